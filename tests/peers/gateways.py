"""Gateways under test: the documents of a gateway and its routes, and a mesh that serves them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

from tests.peers.mesh import Mesh, envoy_admin, envoy_stats
from tests.peers.ports import reserve_ports
from tests.peers.process import Process, wait_until

Document = dict[str, Any]

GATEWAY_API = "gateway.networking.k8s.io"
OURS = "mediastreamingmesh.io"
LOOPBACK = "127.0.0.1"
GATEWAY = "edge"
# A change of a file is in Envoy, on a loaded machine, within this many seconds.
CHANGE_SECONDS = 20.0


def gateway(**ports: int) -> Document:
    """The gateway: listeners by name, which begins with the protocol, as in `udp_game=7777`."""
    listeners = [{"name": _name(key), "protocol": key[:3].upper(), "port": port} for key, port in ports.items()]
    spec = {"gatewayClassName": "media-streaming-mesh", "addresses": [{"value": LOOPBACK}], "listeners": listeners}
    return _document("Gateway", GATEWAY, spec, f"{GATEWAY_API}/v1")


def route(listener: str, **weights: int) -> Document:
    """A UDPRoute or TCPRoute, named as its listener; backends by name, with their weights."""
    backends = [{"group": OURS, "kind": "Backend", "name": name, "weight": weight} for name, weight in weights.items()]
    return _route(listener, backends)


def service_route(listener: str, name: str, port: int) -> Document:
    """A UDPRoute or TCPRoute to a port of a Service."""
    return _route(listener, [{"kind": "Service", "name": name, "port": port}])


def service(name: str, port: int, *, ready: Sequence[str], terminating: Sequence[str] = ()) -> list[Document]:
    """A Service with a UDP port, and the addresses of its pods: those that are ready, those that only end what runs."""
    ports = [{"name": "game", "port": port, "protocol": "UDP"}]
    conditions = {"ready": False, "serving": True, "terminating": True}
    endpoints = [{"addresses": [address], "conditions": {"ready": True}} for address in ready]
    endpoints += [{"addresses": [address], "conditions": conditions} for address in terminating]
    labels = {"kubernetes.io/service-name": name}
    pods = {"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "metadata": {"name": name, "labels": labels}}
    return [
        _document("Service", name, {"ports": ports}, "v1"),
        {**pods, "addressType": "IPv4", "ports": ports, "endpoints": endpoints},
    ]


def backend(name: str, *ports: int, address: str = LOOPBACK) -> Document:
    """A backend: endpoints at an address of this machine."""
    endpoints = [{"name": f"port-{port}", "address": address, "port": port} for port in ports]
    return _document("Backend", name, {"endpoints": endpoints}, f"{OURS}/v1alpha1")


def policy(listener: str, **settings: Document) -> Document:
    """A MediaPolicy for the route of this listener."""
    target = {"group": GATEWAY_API, "kind": f"{listener[:3].upper()}Route", "name": _name(listener)}
    return _document("MediaPolicy", _name(listener), {"targetRefs": [target], **settings}, f"{OURS}/v1alpha1")


def resource(listener: str) -> str:
    """The name of a listener's resources in Envoy."""
    return f"gateway/default/{GATEWAY}/{_name(listener)}"


class Edge:
    """A mesh that reads a folder of documents. Use it as a context manager.

    `take_port` gives a port for a listener.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.mesh: Mesh
        self.process: Process
        self._stack = ExitStack()
        self._ports = self._stack.enter_context(reserve_ports())
        self.take_port = self._ports.take

    def __enter__(self) -> Self:
        self.folder.mkdir()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def up(self, *documents: Document) -> None:
        """Start a mesh with these documents, and wait until Envoy has their listeners."""
        self.write(*documents)
        self.mesh = self._stack.enter_context(Mesh(slots=1))
        self.process = self.mesh.up("-f", str(self.folder))
        wanted = [resource(name) for name in _listeners(documents)]
        wait_until(lambda: self.listening(wanted), CHANGE_SECONDS, f"listening for {', '.join(wanted)}")

    def write(self, *documents: Document, file: str = "mesh") -> None:
        """Replace a file, in one step."""
        new = self.folder / f".{file}"
        new.write_text("\n---\n".join(map(json.dumps, documents)))
        new.rename(self.folder / f"{file}.yaml")

    def listening(self, names: Sequence[str]) -> bool:
        """Whether Envoy has all of these listeners."""
        return set(names) <= set(self.listeners())

    def listeners(self) -> list[str]:
        """Names of Envoy's active listeners."""
        shown = json.loads(envoy_admin(self.process, "/listeners?format=json"))
        return [listener["name"] for listener in shown.get("listener_statuses", ())]

    def stats(self, pattern: str) -> dict[str, int]:
        """Envoy's counters and gauges whose names contain this regular expression."""
        return envoy_stats(self.process, pattern)

    def stat(self, name: str) -> int:
        """One of them; 0 while it is not there."""
        return self.stats(f"^{name}$").get(name, 0)

    def taken(self) -> Mapping[str, int]:
        """How many updates of each kind Envoy has taken."""
        return self.stats(r"(lds|cds|gateway/.*)\.update_success$")


def _route(listener: str, backends: list[Document]) -> Document:
    parent = {"name": GATEWAY, "sectionName": _name(listener)}
    spec = {"parentRefs": [parent], "rules": [{"backendRefs": backends}]}
    return _document(f"{listener[:3].upper()}Route", _name(listener), spec, f"{GATEWAY_API}/v1")


def _document(kind: str, name: str, spec: Document, version: str) -> Document:
    return {"apiVersion": version, "kind": kind, "metadata": {"name": name}, "spec": spec}


def _name(key: str) -> str:
    return key.replace("_", "-")


def _listeners(documents: Sequence[Document]) -> list[str]:
    return [each["name"] for doc in documents if doc["kind"] == "Gateway" for each in doc["spec"]["listeners"]]
