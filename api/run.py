"""Wires the parts of a mesh into one process: which of them run is the command's choice, how they meet is here.

`up` is the control plane, a media proxy and an RTSP proxy that talk over the same gRPC as they would between machines.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import gc
import resource
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import structlog
import uvicorn

from api.app import create_app
from api.loop import run_until_signal, until_terminated
from api.progress import tell_until_ready
from api.settings import DEFAULT_RTSPS, HostPort, MeshSettings
from mesh.documents import compile_documents, route_options
from mesh.model import MeshError, PathMatchType
from rtsp_filter.proxy import Listen, MulticastSettings, ProxyLimits, ProxySettings, RTSPProxy, SecureListen
from xds_server.compile.envoy_parts import RECEIVE_BUFFER_BYTES
from xds_server.control_plane import ControlPlane, ControlPlaneSettings
from xds_server.envoy import EnvoyProcess, TcpAddress, check_gateway_ports, check_media_ports
from xds_server.media import MediaSettings
from xds_server.relays.registry import SETTLE_TIME
from xds_server.relays.slots import SlotLayout
from xds_server.sources.files import FileSource
from xds_server.sources.reading import SOURCE
from xds_server.sources.refusals import refusal_lines

_RECEIVE_BUFFER_LIMIT = Path("/proc/sys/net/core/rmem_max")
# What the slice of --route calls itself.
_COMMAND_LINE = "command line"
# Connections of the REST API that wait to be accepted.
_API_BACKLOG = 128
# A client of the REST API that neither finishes its request nor reads its answer is dropped after this long.
_API_STOP_SECONDS = 2

# Files of an RTSP proxy besides its clients and cameras: the control plane, the API, the event loop.
_RESERVED_FILES = 128

# As many URLs as a person reads in a log line.
_SHOWN_PATHS = 8

log = structlog.get_logger()


def run(main: Callable[[], Awaitable[int]]) -> int:
    """Run a command's coroutine until it ends, or SIGINT or SIGTERM ends it; gives the exit code, 1 with the reason in
    the log when a part could not run."""

    async def explained() -> int:
        try:
            return await main()
        except ExceptionGroup as group:
            known, unknown = group.split((OSError, MeshError, TimeoutError))
            if known is None or unknown is not None:
                raise
            for line in refusal_lines("\n".join(str(error) for error in known.exceptions)):
                log.error("the mesh cannot run", error=line)
            return 1

    return run_until_signal(explained)


class Parts:
    """The running parts of this process, under one task group."""

    def __init__(self, settings: MeshSettings, tasks: asyncio.TaskGroup) -> None:
        self.settings = settings
        self._tasks = tasks
        self._running: list[asyncio.Task[None]] = []
        self._files: FileSource | None = None

    def read(self, *, fresh: bool) -> ControlPlane:
        """A control plane that has read its sources, and does not run yet. `fresh`: no proxy can be older than this
        process. Raises MeshError."""
        settings = self.settings
        first, last = settings.media_ports
        plane = ControlPlane(
            ControlPlaneSettings(
                listen=str(settings.xds),
                media=MediaSettings(
                    layout=SlotLayout(first_port=first, last_port=last),
                    addresses=settings.media_address,
                    multicast_ttl=settings.multicast_ttl,
                ),
                media_node=settings.media_node,
                settle_time=0.0 if fresh else SETTLE_TIME,
                sources=frozenset(self._source_names()),
            )
        )
        self._sources(plane)
        return plane

    async def control_plane(self, plane: ControlPlane) -> None:
        """Start the control plane that `read` has given, and follow its files."""
        warn_of_small_buffers()
        if self._files is not None:
            self._start(self._files.run(), "files")
        self._start(plane.run(), f"control plane (--xds {self.settings.xds})")
        await plane.listening.wait()

    def _source_names(self) -> Iterator[str]:
        if self.settings.route:
            yield _COMMAND_LINE
        if self.settings.file:
            yield SOURCE

    def _sources(self, plane: ControlPlane) -> None:
        """Feed the control plane. Raises MeshError for what cannot be used: later errors leave the last good state,
        at the start there is none."""
        settings = self.settings
        if settings.route:
            plane.set_slice(compile_documents(route_options(settings.route), source=_COMMAND_LINE))
        if settings.file:
            self._files = FileSource(
                settings.file,
                on_slice=plane.set_slice,
                on_error=lambda error: plane.source_failed(SOURCE, str(error)),
            )
            plane.set_slice(self._files.load())
        if plane.source_errors:
            raise MeshError("\n".join(plane.source_errors.values()))

    async def api(self, plane: ControlPlane) -> int:
        """Start the REST API; gives its port."""
        sock = _bind(self.settings.api)
        config = uvicorn.Config(
            create_app(plane),
            log_config=None,
            access_log=False,
            lifespan="off",
            timeout_graceful_shutdown=_API_STOP_SECONDS,
        )
        self._start(_serve(_Server(config), sock), "REST API")
        log.info("REST API listens", api=f"http://{self.settings.api.host}:{sock.getsockname()[1]}")
        return int(sock.getsockname()[1])

    def envoy(self, xds: HostPort) -> EnvoyProcess:
        """Start a media proxy whose control plane is at `xds`."""
        envoy = EnvoyProcess(
            node_id=self.settings.media_node,
            workers=self.settings.envoy_workers,
            xds=TcpAddress(host=xds.host, port=xds.port),
        )
        self._start(envoy.run(), "Envoy")
        return envoy

    async def rtsp_proxy(self, xds: HostPort) -> RTSPProxy:
        """Start an RTSP proxy whose control plane is at `xds`."""
        settings = self.settings
        limits = ProxyLimits(session_timeout=settings.session_timeout)
        warn_of_few_files(limits)
        proxy = RTSPProxy(
            ProxySettings(
                listen=Listen(address=settings.rtsp.host, port=settings.rtsp.port),
                secure=_secure_listen(settings),
                multicast=_multicast(settings),
                control_plane=str(xds),
                node_id=settings.rtsp_node,
                limits=limits,
            )
        )
        self._start(proxy.run(), f"RTSP proxy (--rtsp {settings.rtsp})")
        await proxy.listening.wait()
        return proxy

    def _start(self, coroutine: Awaitable[object], name: str) -> None:
        self._running.append(self._tasks.create_task(_named(coroutine, name), name=name))

    async def stop(self) -> None:
        """End every part, the last one first: whoever was built on another part ends before it."""
        for task in reversed(self._running):
            task.cancel()
            await asyncio.wait([task])


def _secure_listen(settings: MeshSettings) -> SecureListen | None:
    """Where players connect to by TLS; nowhere without a certificate."""
    if settings.rtsps_certificate is None:
        return None
    address = settings.rtsps or DEFAULT_RTSPS
    return SecureListen(
        listen=Listen(address=address.host, port=address.port),
        certificate=settings.rtsps_certificate,
        key=settings.rtsps_key,
    )


def _multicast(settings: MeshSettings) -> MulticastSettings | None:
    """What players of multicast get; nothing without groups."""
    if settings.multicast_groups is None:
        return None
    return MulticastSettings(groups=settings.multicast_groups, ttl=settings.multicast_ttl)


@asynccontextmanager
async def parts(settings: MeshSettings) -> AsyncIterator[Parts]:
    """Parts that end together: when the block ends, when one of them fails, or by cancellation."""
    async with asyncio.TaskGroup() as tasks:
        running = Parts(settings, tasks)
        try:
            yield running
        finally:
            await running.stop()


async def up(settings: MeshSettings) -> int:
    """A whole mesh."""
    async with parts(settings) as mesh:
        plane = mesh.read(fresh=True)  # before any port is looked at: what is asked for is mended first
        first, last = settings.media_ports
        check_media_ports(range(first, last + 1), settings.media_address)
        check_gateway_ports(plane.mesh.attachments, settings.media_address)
        await mesh.control_plane(plane)
        xds = HostPort(host=reachable(settings.xds.host), port=plane.port)
        mesh.envoy(xds)
        proxy = await mesh.rtsp_proxy(xds)
        await mesh.api(plane)
        await tell_until_ready(plane)
        say_what_plays(plane, HostPort(host=settings.rtsp.host, port=proxy.port))
        await forever()
    return 0


async def serve(settings: MeshSettings) -> int:
    """A control plane, which proxies older than itself may come back to."""
    async with parts(settings) as mesh:
        plane = mesh.read(fresh=False)
        await mesh.control_plane(plane)
        await mesh.api(plane)
        await forever()
    return 0


async def proxy(settings: MeshSettings) -> int:
    """An RTSP proxy, which SIGTERM ends when its sessions have ended or gone to others; a second one ends it at once,
    as SIGINT does."""
    async with parts(settings) as mesh:
        rtsp = await mesh.rtsp_proxy(settings.xds)
        freeze()
        await until_terminated()
        await rtsp.drain(settings.drain_time)
    return 0


async def envoy(settings: MeshSettings) -> int:
    """A media proxy."""
    async with parts(settings) as mesh:
        mesh.envoy(settings.xds)
        await forever()
    return 0


def say_what_plays(plane: ControlPlane, rtsp: HostPort) -> None:
    """One line for people: the mesh works, and this is what can be played."""
    paths = sorted(
        {
            match.path.value
            for route in plane.mesh.routes.values()
            for rule in route.rules
            for match in rule.matches
            if match.path.type is not PathMatchType.REGULAR_EXPRESSION
        }
    )
    ports = [f"{each.listener.protocol.value} {each.listener.port}" for each in plane.mesh.attachments]
    if paths:
        log.info("the mesh is ready", play=[f"rtsp://{rtsp}{path}" for path in paths[:_SHOWN_PATHS]])
    elif ports:
        log.info("the mesh is ready", gateways=ports[:_SHOWN_PATHS])
    else:
        log.warning("the mesh is ready and has no routes: give it --route PATH=URL, or documents with -f")


def reachable(host: str) -> str:
    """Where this machine reaches what listens at `host`."""
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)


def freeze() -> None:
    """What has started stays: the garbage collector, which stops media over TCP while it looks at everything there is,
    need not look at it again."""
    gc.collect()
    gc.freeze()


async def forever() -> None:
    """Wait for cancellation."""
    freeze()
    await asyncio.get_running_loop().create_future()


def warn_of_small_buffers() -> None:
    """Say so when the kernel grants smaller receive buffers than a key frame's burst needs."""
    with contextlib.suppress(OSError, ValueError):
        allowed = int(_RECEIVE_BUFFER_LIMIT.read_text())
        if allowed < RECEIVE_BUFFER_BYTES:
            log.warning(
                "the kernel allows smaller receive buffers than a burst of video needs; packets may be lost",
                allowed_bytes=allowed,
                wanted_bytes=RECEIVE_BUFFER_BYTES,
                remedy=f"sysctl -w net.core.rmem_max={RECEIVE_BUFFER_BYTES}",
            )


def warn_of_few_files(limits: ProxyLimits) -> None:
    """Say so when this process may have fewer files than an RTSP proxy's limits promise: each client's connection is
    one, and each session's connection to its camera."""
    allowed, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = limits.max_connections + limits.max_sessions + _RESERVED_FILES
    if allowed < wanted:
        log.warning(
            "this process may open fewer files than its limits of connections and sessions need; players beyond that"
            " are refused",
            allowed=allowed,
            wanted=wanted,
            remedy=f"raise the hard limit: ulimit -Hn {wanted}, or LimitNOFILE={wanted} of a systemd unit",
        )


class _Server(uvicorn.Server):
    """uvicorn without its own signal handlers: the process has one place for those."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def _serve(server: uvicorn.Server, sock: socket.socket) -> None:
    serving = asyncio.create_task(server.serve(sockets=[sock]), name="uvicorn")
    try:
        await asyncio.shield(serving)
    finally:
        server.should_exit = True
        await serving
        sock.close()


def _bind(address: HostPort) -> socket.socket:
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    try:
        return socket.create_server((address.host, address.port), family=family, backlog=_API_BACKLOG)
    except OSError as error:
        raise OSError(f"REST API (--api {address}): {_reason(error)}") from error


async def _named(coroutine: Awaitable[object], name: str) -> None:
    """A part that fails for want of something outside ends the mesh, and says which part it was."""
    try:
        await coroutine
    except OSError as error:
        raise OSError(f"{name}: {_reason(error)}") from error


def _reason(error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return (
            "another program has this address: choose another; a second mesh on this machine wants --rtsp, --api, --xds"
            " and --media-ports of its own"
        )
    return error.strerror or str(error)
