"""A program under test, or a peer: started, watched, stopped by its own process id, and nothing left behind.

Everything waits for a condition with a time limit; nothing sleeps. Output is pumped by threads, so a program never
blocks on a full pipe. Each program carries a mark in its environment, by which its descendants are found again even
when they were handed to another parent.
"""

from __future__ import annotations

import os
import re
import subprocess
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from signal import SIGKILL, SIGTERM, Signals
from typing import IO, Self

MARK = "MSM_TEST_PROCESS"
# A loaded two-core machine starts Envoy or VLC within this many seconds.
START_SECONDS = 30.0
# A program that was asked to end gets this long before it is killed, and its children as long to follow it.
STOP_SECONDS = 10.0
CHUNK_BYTES = 1 << 16


class ProcessError(AssertionError):
    """A program did not do what was waited for; the message ends with its last output."""


def wait_until(condition: Callable[[], bool], timeout: float, what: str) -> None:
    """Wait for something outside a process's output, such as a file or /proc: at most `timeout` seconds."""
    deadline = time.monotonic() + timeout
    pause = threading.Event()
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"{what} did not happen within {timeout:g} s")
        pause.wait(0.01)


class Process:
    """A running program. Use it as a context manager: leaving it stops the program and checks for orphans.

    `stdout` receives the raw bytes of standard output; without it, lines of both outputs are kept in `lines`.
    Standard input is a pipe that stays open, so a peer can end itself when the test run dies. `grace` is how many
    seconds the program, and then its children, have to end when they are asked to.
    """

    def __init__(
        self,
        argv: Sequence[str | Path],
        *,
        stdout: Callable[[bytes], None] | None = None,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        grace: float = STOP_SECONDS,
    ) -> None:
        self.name = Path(argv[0]).name
        self.lines: list[str] = []
        self._grace = grace
        self._mark = uuid.uuid4().hex
        self._changed = threading.Condition()
        self._popen = subprocess.Popen(
            [str(part) for part in argv],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, **(env or {}), MARK: self._mark},
            cwd=cwd,
            start_new_session=True,
        )
        self.pid = self._popen.pid
        assert self._popen.stdout is not None and self._popen.stderr is not None
        self._pumps = [
            threading.Thread(target=self._pump, args=(self._popen.stdout, stdout or self._line_reader())),
            threading.Thread(target=self._pump, args=(self._popen.stderr, self._line_reader())),
        ]
        for pump in self._pumps:
            pump.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def output(self) -> str:
        """The lines so far, for messages."""
        with self._changed:
            return "\n".join(self.lines)

    @property
    def running(self) -> bool:
        return self._popen.poll() is None

    def wait_until(self, condition: Callable[[], bool], timeout: float, what: str) -> None:
        """Wait until output makes `condition` true. Raises ProcessError when it ends first, or takes too long."""
        deadline = time.monotonic() + timeout
        with self._changed:
            while not condition():
                ended = not any(pump.is_alive() for pump in self._pumps)
                left = deadline - time.monotonic()
                if ended or left <= 0:
                    why = f"ended with {self._popen.poll()}" if ended else f"took more than {timeout:g} s"
                    raise ProcessError(f"{self.name} {why} before {what}; its output:\n" + self._tail())
                self._changed.wait(min(left, 0.1))

    def wait_for_line(self, pattern: str, timeout: float = START_SECONDS, *, start: int = 0) -> re.Match[str]:
        """The first line from number `start` on that `pattern` is found in."""
        found: list[re.Match[str]] = []

        def seen() -> bool:
            found.extend(match for line in self.lines[start:] if (match := re.search(pattern, line)))
            return bool(found)

        self.wait_until(seen, timeout, f"a line with {pattern!r}")
        return found[0]

    def wait(self, timeout: float = STOP_SECONDS) -> int:
        """The exit status, once the program ended by itself."""
        try:
            return self._popen.wait(timeout)
        except subprocess.TimeoutExpired:
            raise ProcessError(f"{self.name} still ran after {timeout:g} s:\n" + self._tail()) from None

    def send(self, number: Signals) -> None:
        self._popen.send_signal(number)

    def kill(self) -> None:
        """`kill -9` of this program alone: its children live on, as they would for a user."""
        self._popen.kill()
        self._popen.wait()

    def family(self) -> frozenset[int]:
        """Process ids of the program and all its living descendants."""
        parents = dict(_parents())
        family = {pid for pid in parents if pid == self.pid or _marked(pid, self._mark)}
        while more := {pid for pid, parent in parents.items() if parent in family} - family:
            family |= more
        return frozenset(family)

    def stop(self, number: Signals = SIGTERM) -> int:
        """Ask it to end, kill it when it does not, and fail when it leaves a process behind.

        Returns the exit status. Raises ProcessError for a program that had to be killed and for orphans, after
        ending them.
        """
        family = self.family()
        self._popen.send_signal(number)
        complaint = ""
        try:
            self._popen.wait(self._grace)
        except subprocess.TimeoutExpired:
            complaint = f"{self.name} ignored {number.name} for {self._grace:g} s"
            self._popen.kill()
            self._popen.wait()
        complaint = complaint or self._orphans(family)
        self._close()
        if complaint:
            raise ProcessError(f"{complaint}; its output:\n" + self._tail())
        return self._popen.returncode

    def _orphans(self, family: frozenset[int]) -> str:
        def left() -> list[int]:
            alive = dict(_parents())
            return sorted(pid for pid in (family | self.family()) - {self.pid} if pid in alive)

        with suppress(AssertionError):
            wait_until(lambda: not left(), self._grace, "the end of its children")
        orphans = left()
        names = [f"{pid} ({_command(pid)})" for pid in orphans]
        for pid in orphans:
            with suppress(ProcessLookupError):
                os.kill(pid, SIGKILL)
        return f"{self.name} left processes behind: {', '.join(names)}" if names else ""

    def _close(self) -> None:
        assert self._popen.stdin is not None
        with suppress(BrokenPipeError):
            self._popen.stdin.close()
        for pump in self._pumps:
            pump.join(STOP_SECONDS)

    def _line_reader(self) -> Callable[[bytes], None]:
        pending = bytearray()

        def read(chunk: bytes) -> None:
            pending.extend(chunk)
            *lines, rest = bytes(pending).split(b"\n")
            pending[:] = rest
            self.lines.extend(line.decode(errors="replace") for line in lines)

        return read

    def _pump(self, stream: IO[bytes], feed: Callable[[bytes], None]) -> None:
        with stream:
            while chunk := os.read(stream.fileno(), CHUNK_BYTES):
                with self._changed:
                    feed(chunk)
                    self._changed.notify_all()

    def _tail(self) -> str:
        return "\n".join(self.lines[-40:])


def _parents() -> Iterator[tuple[int, int]]:
    """Process id and parent of every process that is not a zombie."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError):
                state, parent = (entry / "stat").read_text().rpartition(")")[2].split()[:2]
                if state != "Z":
                    yield int(entry.name), int(parent)


def _marked(pid: int, mark: str) -> bool:
    with suppress(OSError):
        return f"{MARK}={mark}".encode() in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    return False


def _command(pid: int) -> str:
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    return "?"
