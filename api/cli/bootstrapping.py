"""What `msm bootstrap` makes of its options: each is read here, and refused by its own name."""

from __future__ import annotations

import ipaddress
import json
import re
import secrets
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import NoReturn

import typer
import yaml
from pydantic import ByteSize, TypeAdapter, ValidationError

from api.addresses import AddressError, HostPort
from api.cli.bootstrap import SESSIONS, SLOTS, Cluster
from xds_server.envoy import (
    METADATA_KEY,
    SPIFFE_SCHEME,
    Bootstrap,
    MediaProxy,
    ProxyKind,
    ProxyNode,
    SocketPath,
    TcpAddress,
    WorkloadIdentity,
    bootstrap,
)
from xds_server.envoy.files import connections_within, files_for
from xds_server.envoy.machine import files_allowed, memory_allowed, processors
from xds_server.envoy.overload import MIN_HEAP_BYTES, heap_limit

# As the settings have it.
_MAX_NAME = 253
# Linux: sun_path of sockaddr_un, its terminating zero left out.
_MAX_SOCKET_PATH = 107
_INSTANCE_BYTES = 8
# SPIFFE-ID sections 2.1 and 2.2.
_TRUST_DOMAIN = re.compile(r"[a-z0-9._-]{1,255}\Z")
_SPIFFE_ID = re.compile(r"spiffe://[a-z0-9._-]{1,255}(/[A-Za-z0-9._-]+)+\Z")
_GATEWAY = re.compile(r"[a-z0-9.-]+/[a-z0-9.-]+\Z")
_JSON = ".json"
_SUFFIXES = (".yaml", ".yml", _JSON)
_CARRIES = {ProxyKind.MEDIA: "media", ProxyKind.GATEWAY: "gateway"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """The options as they were given."""

    node: str
    cluster: Cluster
    gateway: str | None
    xds: HostPort
    region: str
    zone: str
    metadata: tuple[str, ...]
    admin: str
    memory: str | None
    workers: int | None
    files: int | None
    slots: int | None
    sessions: int | None
    connections: int | None
    identity: str | None
    server_id: str | None
    trust_domain: str | None

    @property
    def states_room(self) -> bool:
        """Did somebody say how much the proxy shall carry?"""
        return any(count is not None for count in (self.slots, self.sessions, self.connections))


def bootstrap_of(options: Options) -> Bootstrap:
    """What the options ask for. Raises typer.BadParameter."""
    kind = ProxyKind(options.cluster.value)
    _check_kind(options, kind)
    if not options.xds.port:
        _refuse("--xds", "name the port at which the control plane listens")
    node = _node(options, kind)
    return Bootstrap(
        node=node,
        xds=TcpAddress(host=options.xds.host, port=options.xds.port),
        admin=_admin(options.admin),
        heap_bytes=heap_limit(memory_allowed()) if options.memory is None else _memory(options.memory),
        connections=options.connections or connections_within(node.process.files),
        identity=_identity(options),
    )


def files_needed(options: Options, process: MediaProxy) -> str:
    """A sentence when what the proxy shall carry needs more files than it may open; empty when not."""
    slots = 0 if options.cluster is Cluster.GATEWAY else options.slots or SLOTS
    sessions, connections = options.sessions or SESSIONS, options.connections or connections_within(process.files)
    needed = files_for(slots=slots, sessions=sessions, connections=connections, workers=process.workers)
    if needed <= process.files:
        return ""
    return (
        f"{slots} slots, {sessions} UDP sessions and {connections} TCP connections of gateways need {needed} files with"
        f" {process.workers} workers, and Envoy may open {process.files}: raise the limit (ulimit -n {needed}, or"
        f" LimitNOFILE={needed} of a systemd unit), ask for less, or say with --files what Envoy will have"
    )


def text_of(made: Bootstrap, output: Path | None, workers: int | None) -> str:
    """The file: JSON where its name says so, else YAML. Raises typer.BadParameter for a name that Envoy cannot read."""
    if output is not None and output.suffix not in _SUFFIXES:
        _refuse("--output", f"Envoy tells by a file's name what is in it: let {output} end with .yaml or .json")
    if output is not None and output.suffix == _JSON:
        return json.dumps(bootstrap(made), indent=2) + "\n"
    concurrency = "" if workers is None else f" --concurrency {workers}"
    head = (
        f"# The {_CARRIES[made.node.kind]} proxy {json.dumps(made.node.id)} of a media streaming mesh.\n"
        f"# Start it with: envoy -c {output or 'FILE'}{concurrency}\n"
    )
    return head + yaml.safe_dump(bootstrap(made), sort_keys=False)


def _refuse(option: str, reason: str) -> NoReturn:
    raise typer.BadParameter(reason, param_hint=option)


def _check_kind(options: Options, kind: ProxyKind) -> None:
    if kind is ProxyKind.MEDIA and options.gateway is not None:
        _refuse("--gateway", f"a media proxy serves all Gateways: --cluster {Cluster.GATEWAY}")
    if kind is ProxyKind.GATEWAY and options.slots is not None:
        _refuse("--slots", f"that is for media proxies: --cluster {Cluster.MEDIA}")


def _node(options: Options, kind: ProxyKind) -> ProxyNode:
    if not 0 < len(options.node) <= _MAX_NAME:
        _refuse("--node", f"a name has 1 to {_MAX_NAME} characters")
    if options.gateway is not None and not _GATEWAY.match(options.gateway):
        _refuse("--gateway", f'"{options.gateway}" is not NAMESPACE/NAME in lower case, for example games/lobby')
    return ProxyNode(
        id=options.node,
        kind=kind,
        process=MediaProxy(
            workers=options.workers or processors(),
            files=options.files or files_allowed(),
            instance=secrets.token_hex(_INSTANCE_BYTES),
        ),
        region=options.region,
        zone=options.zone,
        gateway=options.gateway,
        metadata=dict(_pair(text) for text in options.metadata),
    )


def _pair(text: str) -> tuple[str, str]:
    key, separator, value = text.partition("=")
    if not key or not separator:
        _refuse("--metadata", f'"{text}" is not KEY=VALUE')
    if key == METADATA_KEY:
        _refuse("--metadata", f"{METADATA_KEY} is what the mesh itself says")
    return key, value


def _admin(text: str) -> SocketPath | TcpAddress:
    if "/" in text:
        return _socket("--admin", text)
    try:
        address = HostPort.parse(text)
        loopback = ipaddress.ip_address(address.host).is_loopback
    except AddressError as error:
        _refuse("--admin", str(error))
    except ValueError:
        loopback = False
    if not loopback:
        _refuse("--admin", "whoever reaches it can end Envoy: 127.0.0.1:PORT, [::1]:PORT or the path of a Unix socket")
    return TcpAddress(host=address.host, port=address.port)


def _memory(text: str) -> int:
    try:
        size = int(TypeAdapter(ByteSize).validate_python(text))
    except ValidationError:
        _refuse("--memory", f'"{text}" is no size, for example 512MiB or 2GiB')
    if size < MIN_HEAP_BYTES:
        _refuse("--memory", f"an Envoy needs {MIN_HEAP_BYTES >> 20}MiB at least")
    return size


def _identity(options: Options) -> WorkloadIdentity | None:
    if options.identity is None:
        for option, value in (("--server-id", options.server_id), ("--trust-domain", options.trust_domain)):
            if value is not None:
                _refuse(option, "that needs --identity")
        return None
    if (options.server_id is None) == (options.trust_domain is None):
        _refuse("--identity", "say whom to trust as the control plane: --server-id ID, or --trust-domain DOMAIN")
    return WorkloadIdentity(agent=_socket("--identity", options.identity), server=_server(options))


def _server(options: Options) -> str:
    if options.trust_domain is not None:
        domain = options.trust_domain.removeprefix(SPIFFE_SCHEME)
        if not _TRUST_DOMAIN.match(domain):
            _refuse("--trust-domain", f'"{options.trust_domain}" is no trust domain, for example example.org')
        return f"{SPIFFE_SCHEME}{domain}/"
    assert options.server_id is not None
    if not _SPIFFE_ID.match(options.server_id):
        _refuse("--server-id", f'"{options.server_id}" is no SPIFFE ID, for example spiffe://example.org/control-plane')
    return options.server_id


def _socket(option: str, text: str) -> SocketPath:
    path = PurePosixPath(text.removeprefix("unix:"))
    if not path.is_absolute():
        _refuse(option, f'"{text}": the path of a socket begins with /')
    clean = "/" + str(path).lstrip("/")
    if len(clean.encode()) > _MAX_SOCKET_PATH:
        _refuse(option, f"the path of a socket has at most {_MAX_SOCKET_PATH} bytes")
    return SocketPath(path=clean)
