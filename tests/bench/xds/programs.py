"""The programs of the benchmark: built, started on one processor, told what to do, and weighed."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Self

from tests.bench.proc import memory_bytes

SOURCES = Path(__file__).with_name("programs")
_BUILD_SECONDS = 600.0
_STOP_SECONDS = 30.0
# A clock that counts a process's own processor time, of all its threads (CPUCLOCK_SCHED, see clock_gettime(2)).
_PROCESS_CLOCK = 2
_LOOK_SECONDS = 0.05
# An idle Go or Python process of ours uses less than this between two looks.
_IDLE_SECONDS = 0.001
_QUIET_LOOKS = 3
_SETTLE_SECONDS = 120.0


@cache
def built() -> Path:
    """A folder with `load` and `peer`. It is kept outside the source tree, by content and Go version, so that later
    runs need neither time nor a network. Raises RuntimeError when Go is missing or the build fails."""
    go = _go()
    folder = _cache_folder() / _fingerprint(go)
    if not (folder / "peer").exists():
        folder.mkdir(parents=True, exist_ok=True)
        command = [go, "build", "-trimpath", "-o", f"{folder}/", "./load", "./peer"]
        build = subprocess.run(
            command, cwd=SOURCES, check=False, capture_output=True, text=True, timeout=_BUILD_SECONDS
        )
        if build.returncode:
            raise RuntimeError(f"building {SOURCES} failed:\n{build.stderr}")
    return folder


def versions() -> str:
    """Of the peer, its gRPC and the compiler, for people."""
    required = (SOURCES / "go.mod").read_text()
    named = ((name, re.search(rf"/{name} v(\S+)", required)) for name in ("go-control-plane", "grpc"))
    peer, its_grpc = (f"{name} {found[1]}" for name, found in named if found)
    go = subprocess.run([_go(), "env", "GOVERSION"], check=True, capture_output=True, text=True).stdout.strip()
    return f"{peer}, grpc-{its_grpc.replace('grpc', 'go')}, {go.replace('go', 'Go ')}"


def _go() -> str:
    found = shutil.which("go")
    if found is None:
        raise RuntimeError("the xds benchmark needs Go 1.23 or later: install it (Debian: golang-go)")
    return found


def _cache_folder() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "msm-bench"


def _fingerprint(go: str) -> str:
    version = subprocess.run([go, "version"], check=True, capture_output=True).stdout
    digest = hashlib.blake2b(version, digest_size=8)
    for path in sorted(path for path in SOURCES.rglob("*") if path.is_file()):
        digest.update(str(path.relative_to(SOURCES)).encode() + path.read_bytes())
    return digest.hexdigest()


class Program:
    """A program that answers a line of JSON with a line of JSON. Leaving the context ends it."""

    def __init__(self, argv: Sequence[str], *, processor: int, env: Mapping[str, str] | None = None) -> None:
        ours = os.sched_getaffinity(0)
        os.sched_setaffinity(0, {processor})  # what is started inherits it
        try:
            self._popen = subprocess.Popen(
                argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env={**os.environ, **(env or {})}
            )
        finally:
            os.sched_setaffinity(0, ours)
        self._name = f"{Path(argv[0]).name} ({self._popen.pid})"
        self.pid = self._popen.pid

    def __str__(self) -> str:
        return self._name

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        assert self._popen.stdin is not None and self._popen.stdout is not None
        self._popen.stdin.close()
        try:
            self._popen.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._popen.kill()
            self._popen.wait()
        self._popen.stdout.close()

    def read(self) -> dict[str, Any]:
        """The next answer. Raises RuntimeError when the program has ended."""
        assert self._popen.stdout is not None
        line = self._popen.stdout.readline()
        if not line:
            raise RuntimeError(f"{self._name} ended with {self._popen.wait()}")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def tell(self, do: str, **arguments: Any) -> dict[str, Any]:
        """One command; gives its answer."""
        assert self._popen.stdin is not None
        self._popen.stdin.write(json.dumps({"do": do, **arguments}) + "\n")
        self._popen.stdin.flush()
        return self.read()

    @property
    def cpu_seconds(self) -> float:
        """Processor time so far, to the microsecond."""
        return time.clock_gettime(~self.pid << 3 | _PROCESS_CLOCK)

    @property
    def memory(self) -> int:
        """Its bytes (Pss)."""
        return memory_bytes(self.pid)

    def wanted(self) -> tuple[float, bool]:
        """Seconds that its threads have run or waited for a processor, and whether one of them runs or waits now: on a
        busy machine a wait may be long, and is counted when it is over."""
        total, ready = 0, False
        for task in Path(f"/proc/{self.pid}/task").iterdir():
            try:
                ran, waited, _ = (task / "schedstat").read_text().split()
                state = (task / "stat").read_text().rpartition(")")[2].split()[0]
            except (FileNotFoundError, ProcessLookupError):
                continue
            total += int(ran) + int(waited)
            ready = ready or state == "R"
        return total / 1e9, ready


def settle(programs: Sequence[Program]) -> float:
    """Wait until none of them runs nor wants to; gives when that began, in seconds since the epoch.

    All of them at once, and for more than a moment: one may wait for another, which waits for a processor.
    """
    deadline = time.monotonic() + _SETTLE_SECONDS
    began, quiet, before = time.time(), 0, -1.0
    while time.monotonic() < deadline:
        wanted = [program.wanted() for program in programs]
        total = sum(seconds for seconds, _ in wanted)
        busy = abs(total - before) > _IDLE_SECONDS or any(ready for _, ready in wanted)
        before, quiet = total, 0 if busy else quiet + 1
        if busy:
            began = time.time()
        if quiet == _QUIET_LOOKS:
            return began
        time.sleep(_LOOK_SECONDS)
    raise RuntimeError(f"still busy after {_SETTLE_SECONDS:g} s: {', '.join(str(each) for each in programs)}")


def python(module: str, *arguments: str) -> list[str]:
    """The command line of a module of the benchmark."""
    return [sys.executable, "-m", module, *arguments]
