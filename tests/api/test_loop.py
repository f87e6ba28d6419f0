"""What every command that runs for long has in common."""

from __future__ import annotations

import resource
import subprocess
import sys

import pytest

from api.loop import run_until_signal
from api.run import warn_of_few_files
from rtsp_filter.proxy import ProxyLimits


def test_a_command_may_open_all_the_files_that_its_hard_limit_allows():
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(256, before[1]), before[1]))

    async def files() -> int:
        return resource.getrlimit(resource.RLIMIT_NOFILE)[0]

    try:
        assert run_until_signal(files) == before[1]
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_children_inherit_the_limit():
    code = (
        "import subprocess, sys; from api.loop import run_until_signal\n"
        "async def main(): return subprocess.call(['sh', '-c', 'test $(ulimit -Sn) = $(ulimit -Hn)'])\n"
        "sys.exit(run_until_signal(main))"
    )
    done = subprocess.run(["sh", "-c", 'ulimit -Sn 256; exec "$0" -c "$1"', sys.executable, code], check=False)
    assert done.returncode == 0


@pytest.mark.parametrize(("most", "told"), [(100, False), (10**9, True)])
def test_fewer_files_than_the_limits_promise_are_told_of(most, told, capsys):
    warn_of_few_files(ProxyLimits(max_connections=most, max_sessions=0))
    assert ("LimitNOFILE" in capsys.readouterr().out) is told
