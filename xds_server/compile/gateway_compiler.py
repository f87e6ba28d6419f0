"""Mesh → what gateways get, one mesh after another, each at the cost of what changed since the one before."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from mesh.attachments import Attachment
from mesh.model import Mesh
from mesh.objects import ObjectName
from xds_server.compile.assignments import Share
from xds_server.compile.gateways import compile_attachment, resource_name
from xds_server.resources import Resource


class GatewayChange(NamedTuple):
    """What changed of one gateway: resources, and (type URL, name) of those that are gone."""

    gateway: ObjectName
    upsert: list[Resource]
    remove: list[tuple[str, str]]


class _Made(NamedTuple):
    """What was made of a listener, and of what."""

    attachment: Attachment
    shares: tuple[Share, ...]
    resources: tuple[Resource, ...]


class GatewayCompiler:
    """Remembers what it made of each listener, and makes again only what is no longer equal.

    Resources are made once, whoever gets them. `default_addresses` are for gateways that name none.
    """

    def __init__(self, default_addresses: Sequence[str]) -> None:
        self._default_addresses = tuple(default_addresses)
        self._made: dict[str, _Made] = {}

    def compile(self, mesh: Mesh) -> list[GatewayChange]:
        """What changed since the mesh before; everything, the first time."""
        wanted = {resource_name(each.gateway.name, each.listener.name): each for each in mesh.attachments}
        gone = [self._made.pop(name) for name in sorted(self._made.keys() - wanted.keys())]
        changes = [GatewayChange(made.attachment.gateway.name, [], _keys(made.resources)) for made in gone]
        for name, attachment in wanted.items():
            shares = tuple((mesh.backends[each.backend], each.weight) for each in attachment.route.backends)
            known = self._made.get(name)
            if known is None or (known.attachment, known.shares) != (attachment, shares):
                changes.append(self._compile(name, attachment, shares))
        return changes

    def resources(self, gateway: ObjectName) -> Iterator[Resource]:
        """All that there is of one gateway."""
        for made in self._made.values():
            if made.attachment.gateway.name == gateway:
                yield from made.resources

    def _compile(self, name: str, attachment: Attachment, shares: tuple[Share, ...]) -> GatewayChange:
        messages = compile_attachment(attachment, shares, self._default_addresses)
        before = self._made.get(name)
        made = self._made[name] = _Made(attachment, shares, tuple(map(Resource.of, messages)))
        kept = _keys(made.resources)
        gone = [key for key in _keys(before.resources) if key not in kept] if before is not None else []
        return GatewayChange(attachment.gateway.name, list(made.resources), gone)


def _keys(resources: Sequence[Resource]) -> list[tuple[str, str]]:
    return [(resource.type_url, resource.name) for resource in resources]
