"""What a control group says of memory, as cgroups(7) writes it."""

from __future__ import annotations

import resource
from pathlib import Path

import pytest

from xds_server.envoy.machine import control_group_limits, files_allowed, memory_allowed, processors


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text + "\n")


def test_the_limits_of_a_group_and_of_those_above_it_hold(tmp_path: Path) -> None:
    write(tmp_path / "pods/one/memory.max", "1000")
    write(tmp_path / "pods/memory.max", "500")
    assert list(control_group_limits(tmp_path, "0::/pods/one\n")) == [1000, 500]


def test_a_group_without_a_limit_has_none(tmp_path: Path) -> None:
    write(tmp_path / "pods/memory.max", "max")
    assert list(control_group_limits(tmp_path, "0::/pods\n")) == []


def test_in_a_container_the_root_is_the_group(tmp_path: Path) -> None:
    write(tmp_path / "memory.max", "700")
    assert list(control_group_limits(tmp_path, "0::/not/visible\n")) == [700]


def test_groups_of_the_first_version_are_read_too(tmp_path: Path) -> None:
    write(tmp_path / "memory/pods/memory.limit_in_bytes", "900")
    membership = "9:name=systemd:/pods\n4:cpu,memory:/pods\n0::/\n"
    assert list(control_group_limits(tmp_path, membership)) == [900]


def test_this_machine_says_what_it_allows(monkeypatch: pytest.MonkeyPatch) -> None:
    assert memory_allowed() > 1 << 20
    assert processors() >= 1
    assert files_allowed() == resource.getrlimit(resource.RLIMIT_NOFILE)[1]
