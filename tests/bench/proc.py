"""What a process has cost so far, from /proc (proc(5))."""

from __future__ import annotations

import os
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")
# Of processor time, in seconds.
RESOLUTION = 1 / _TICKS
# Fields of /proc/PID/stat, counted from the one behind the command's name.
_UTIME, _STIME = 11, 12


def cpu_seconds(pid: int) -> float:
    """Processor time of all threads, in the kernel and outside."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[_UTIME]) + int(fields[_STIME])) / _TICKS


def memory_bytes(pid: int) -> int:
    """Memory that is the process's own: pages shared with others count in part (Pss), so forks do not count twice."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError(f"/proc/{pid}/smaps_rollup has no Pss")


def command_name(pid: int) -> str:
    """The program's name, as `ps` shows it; 15 characters at most."""
    return Path(f"/proc/{pid}/comm").read_text().strip()
