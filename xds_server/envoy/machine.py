"""What this machine lets an Envoy have: memory, files, processors."""

from __future__ import annotations

import os
import resource
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

_CGROUPS = Path("/sys/fs/cgroup")
_MEMBERSHIP = Path("/proc/self/cgroup")
# What Linux grants where it is asked for files without limit.
_MOST_FILES = Path("/proc/sys/fs/nr_open")


def memory_allowed() -> int:
    """Bytes of memory that this process's control group, and the machine, have at most."""
    physical = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return min([physical, *control_group_limits(_CGROUPS, _MEMBERSHIP.read_text())])


def files_allowed() -> int:
    """Files that an Envoy started here may open: the hard limit, to which Envoy raises its own by itself."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    return int(_MOST_FILES.read_text()) if hard == resource.RLIM_INFINITY else hard


def processors() -> int:
    """Processors that this process may use; Envoy starts a worker for each unless told otherwise."""
    return len(os.sched_getaffinity(0))


def control_group_limits(root: Path, membership: str) -> Iterator[int]:
    """Memory limits, in bytes, of a process's control group and of all above it.

    `membership` is what cgroups(7) calls /proc/PID/cgroup. In a container the group's path may not be visible; its
    limits then are those at the root.
    """
    for line in membership.splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            yield from _limits_upwards(root, path, "memory.max")
        elif "memory" in controllers.split(","):
            yield from _limits_upwards(root / "memory", path, "memory.limit_in_bytes")


def _limits_upwards(root: Path, path: str, name: str) -> Iterator[int]:
    group = root / path.strip("/")
    for folder in (group, *group.parents):
        with suppress(OSError, ValueError):  # not visible, or "max"
            yield int((folder / name).read_text())
        if folder == root:
            return
