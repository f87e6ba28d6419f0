"""Programs end with what they started, or the test hears of it."""

from __future__ import annotations

import os
from pathlib import Path
from signal import SIGKILL

import pytest

from tests.peers.process import STOP_SECONDS, Process, ProcessError, wait_until

SLEEPER = "trap 'exit 3' TERM; echo ready; while :; do read -r line; done"


def shell(script: str, grace: float = STOP_SECONDS) -> Process:
    return Process(["sh", "-c", script], grace=grace)


def alive(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


def test_a_line_is_waited_for_and_its_match_returned() -> None:
    with shell("echo port 17; exec cat") as process:
        assert process.wait_for_line(r"port (\d+)")[1] == "17"


def test_waiting_ends_when_the_program_does_and_shows_its_output() -> None:
    told = pytest.raises(ProcessError, match=r"ended with 4(.|\n)*no such camera")
    with shell("echo no such camera >&2; exit 4") as process, told:
        process.wait_for_line("ready", timeout=10)


def test_waiting_has_a_limit() -> None:
    with shell("exec cat") as process, pytest.raises(ProcessError, match=r"took more than 0\.1 s"):
        process.wait_for_line("ready", timeout=0.1)


def test_stopping_gives_the_exit_status() -> None:
    with shell(SLEEPER) as process:
        process.wait_for_line("ready")
        assert process.stop() == 3


def test_an_orphan_is_told_of_and_ended() -> None:
    process = shell("setsid sh -c 'trap \"\" TERM; echo child $$; exec cat /dev/zero >/dev/null' & wait", grace=0.2)
    child = int(process.wait_for_line(r"child (\d+)")[1])
    with pytest.raises(ProcessError, match=f"left processes behind: {child}"):
        process.stop()
    wait_until(lambda: not alive(child), 5, "the end of the orphan")


def test_killing_spares_the_children() -> None:
    process = shell("setsid sh -c 'echo child $$; exec cat /dev/zero >/dev/null' & wait")
    child = int(process.wait_for_line(r"child (\d+)")[1])
    process.kill()
    assert alive(child)
    os.kill(child, SIGKILL)
    process.stop()
