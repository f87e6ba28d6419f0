"""A mesh under test: `msm` as users start it, whole or in parts, on ports of its own, and its REST API."""

from __future__ import annotations

import asyncio
import http.client
import json
import os
import re
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import ExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote

from tests.peers.certificates import Certificate
from tests.peers.ports import reserve_ports
from tests.peers.process import START_SECONDS, Process

MSM = Path(sys.executable).with_name("msm")
PORTS_PER_SLOT = 4
# More than one, on any machine: what is wrong between threads shows.
WORKERS = ("--envoy-workers", "2")
API_SECONDS = 5.0
# The API from inside a network namespace.
_FETCH = """
import http.client, sys
connection = http.client.HTTPConnection(sys.argv[1], timeout=5)
connection.request(sys.argv[2], sys.argv[3])
answer = connection.getresponse()
sys.stdout.write(f"{answer.status}\\n{answer.read().decode()}")
"""


class Mesh:
    """Use it as a context manager: leaving it ends every part and fails for what a part leaves behind.

    `address` is what everything listens on, media too unless `media` names other addresses; `slots` is how many media
    slots there are. `prefix` is a command that parts are started with, such as `host.command([])`. `main` is the
    process that `up` started.
    """

    def __init__(
        self,
        *,
        slots: int = 15,
        address: str = "127.0.0.1",
        media: Sequence[str] = (),
        prefix: Sequence[str] = (),
    ) -> None:
        self._stack = ExitStack()
        self._prefix = tuple(prefix)
        self._range = self._stack.enter_context(reserve_ports(4 + PORTS_PER_SLOT * slots))
        self._host = f"[{address}]" if ":" in address else address
        self._media_addresses = media or (address,)
        self.main: Process
        first = self._range.first
        self.rtsp, self.api, self.xds, self.rtsps = (f"{self._host}:{first + number}" for number in range(4))
        self.media_ports = f"{first + 4}-{self._range.last}"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End every part."""
        self._stack.close()

    def up(self, *options: str, env: dict[str, str] | None = None) -> Process:
        """Start a whole mesh in one process, and wait until a session would work."""
        listen = ("--rtsp", self.rtsp, "--api", self.api, "--xds", self.xds)
        self.main = self.start("up", *listen, *self._media(), *WORKERS, *options, env=env)
        self.wait_ready(self.main)
        return self.main

    def serve(self, *options: str) -> Process:
        """Start a control plane, and wait until its API answers."""
        process = self.start("serve", "--api", self.api, "--xds", self.xds, *self._media(), *options)
        process.wait_for_line("REST API listens")
        return process

    def envoy(self) -> Process:
        """Start a media proxy."""
        process = self.start("envoy", "--xds", self.xds, *WORKERS)
        process.wait_for_line("envoy started")
        return process

    def proxy(self, *options: str) -> Process:
        """Start an RTSP proxy."""
        process = self.start("proxy", "--rtsp", self.rtsp, "--xds", self.xds, *options)
        process.wait_for_line("RTSP proxy listens")
        return process

    def start(self, *arguments: str, env: dict[str, str] | None = None) -> Process:
        """Any `msm` command, which ends with the mesh."""
        return self._stack.enter_context(Process([*self._prefix, MSM, *arguments], env=env))

    def url(self, path: str) -> str:
        return f"rtsp://{self.rtsp}{path}"

    def secured(self, certificate: Certificate) -> tuple[str, ...]:
        """The options of `up` or `proxy` with which players may come by TLS, at `rtsps`."""
        files = ("--rtsps-certificate", str(certificate.chain), "--rtsps-key", str(certificate.key))
        return ("--rtsps", self.rtsps, *files)

    def wait_ready(self, process: Process) -> None:
        """Wait until a session would work."""
        process.wait_until(self.ready, START_SECONDS, "the mesh was ready")

    def ready(self) -> bool:
        """Whether a session would work now."""
        with suppress(OSError, http.client.HTTPException):
            return self.fetch("GET", "/readyz")[0] == 200
        return False

    def get(self, path: str) -> Any:
        """What the REST API says."""
        status, text = self.fetch("GET", path)
        assert status == 200, f"GET {path}: {status} {text}"
        return json.loads(text)

    def items(self, path: str) -> list[dict[str, Any]]:
        """What the REST API lists."""
        listed: list[dict[str, Any]] = self.get(path)["items"]
        return listed

    def slots(self) -> dict[str, int]:
        """How many warm slots are free, open and resting."""
        found = re.findall(r'^msm_slots\{state="(\w+)"\} (\d+)', self.fetch("GET", "/metrics")[1], re.MULTILINE)
        return {state: int(count) for state, count in found}

    def fetch(self, method: str, path: str) -> tuple[int, str]:
        """Status and body of a request to the REST API."""
        return fetch(self.api, method, path, prefix=self._prefix)

    def _media(self) -> tuple[str, ...]:
        addresses = [f"--media-address={address}" for address in self._media_addresses]
        return ("--media-ports", self.media_ports, *addresses)


def fetch(api: str, method: str, path: str, *, prefix: Sequence[str] = ()) -> tuple[int, str]:
    """Status and body of a request to the REST API at `api` (host:port), by a process that `prefix` starts if given.

    Raises OSError or HTTPException where nobody answers.
    """
    if prefix:
        argv = [*prefix, sys.executable, "-ISc", _FETCH, api, method, path]
        done = subprocess.run(argv, check=False, capture_output=True, text=True, timeout=2 * API_SECONDS)
        if done.returncode:
            raise ConnectionError(done.stderr)
        status, _, body = done.stdout.partition("\n")
        return int(status), body
    connection = http.client.HTTPConnection(api, timeout=API_SECONDS)
    try:
        connection.request(method, path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


def children(process: Process, name: str) -> list[int]:
    """Process ids of the descendants of `process` whose program has this name."""
    found = []
    for pid in process.family():
        with suppress(OSError):
            if Path(f"/proc/{pid}/exe").readlink().name == name:
                found.append(pid)
    return found


def envoy_admin(envoy: Process, path: str) -> str:
    """What the admin interface of the Envoy below this process answers."""
    (pid,) = children(envoy, "envoy")
    arguments = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    config = Path(os.fsdecode(arguments[arguments.index(b"--config-path") + 1]))
    connection = _UnixConnection(config.with_name("admin.sock"))
    try:
        connection.request("GET", path)
        return connection.getresponse().read().decode()
    finally:
        connection.close()


def envoy_stats(envoy: Process, pattern: str) -> dict[str, int]:
    """Counters and gauges of that Envoy whose names contain the regular expression `pattern`."""
    lines = envoy_admin(envoy, f"/stats?filter={quote(pattern)}").splitlines()
    pairs = (line.rpartition(": ") for line in lines)
    return {name: int(value) for name, _, value in pairs if value.isdecimal()}


def receivers(envoy: Process) -> dict[str, list[str]]:
    """Where the Envoy below this process sends what arrives: assignments that are not empty, and their endpoints."""
    dump = json.loads(envoy_admin(envoy, "/config_dump?include_eds&resource=dynamic_endpoint_configs"))
    found: dict[str, list[str]] = {}
    for config_of in (entry["endpoint_config"] for entry in dump["configs"]):
        for locality in config_of.get("endpoints", ()):
            for endpoint in locality.get("lb_endpoints", ()):
                address = endpoint["endpoint"]["address"]["socket_address"]
                found.setdefault(config_of["cluster_name"], []).append(f"{address['address']}:{address['port_value']}")
    return found


class _UnixConnection(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path: Path) -> None:
        super().__init__("envoy", timeout=API_SECONDS)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.connect(str(self._path))


@asynccontextmanager
async def running_mesh(
    *options: str, slots: int = 15, address: str = "127.0.0.1", media: Sequence[str] = ()
) -> AsyncIterator[Mesh]:
    """A whole mesh that is ready, for tests whose peers run on the event loop."""
    mesh = Mesh(slots=slots, address=address, media=media)
    try:
        await asyncio.to_thread(mesh.up, *options)
        yield mesh
    finally:
        await asyncio.to_thread(mesh.close)
