"""What every proxy has, in the terms of client status discovery.

The state is that of the streams themselves, as the REST API shows it. A resource is seen from two sides: what the
server has done about it (`config_status`), and what the client has done with it (`client_status`):

| state | config_status | client_status |
| --- | --- | --- |
| synced | SYNCED | ACKED; DOES_NOT_EXIST for a name that was asked for and is nowhere |
| sent, stale | STALE | ACKED when the client has an older version, else REQUESTED |
| not sent | NOT_SENT | REQUESTED |
| rejected | ERROR | NACKED |

`version_info` is the version that the client has, or was sent and has not answered yet; `xds_config` is its content,
where the cache still holds it, unless it is a secret: nobody who looks needs to know it. What was refused, and why, is
in `error_state`. When something happened is not kept.

Answers are joined from pieces that are serialized one by one, so that an answer costs its bytes and no tree of
messages, and whoever makes it can do something else between two pieces.

Source: Envoy API, service.status.v3.ClientConfig.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from envoy.admin.v3 import config_dump_shared_pb2
from envoy.config.core.v3 import base_pb2
from envoy.service.status.v3 import csds_pb2
from google.protobuf import json_format

from xds_server.cache import ResourceCache
from xds_server.references import SECRETS
from xds_server.resources import Failure
from xds_server.subscription import ConnectedProxy, Node, ResourceStatus, SyncState
from xds_server.wire import bytes_field

CacheOf = Callable[[Node], ResourceCache | None]
"""The cache that a node is served from."""

_NODE_FIELD = csds_pb2.ClientConfig.NODE_FIELD_NUMBER
_CONFIGS_FIELD = csds_pb2.ClientConfig.GENERIC_XDS_CONFIGS_FIELD_NUMBER
_ANSWERS = {
    SyncState.SYNCED: csds_pb2.SYNCED,
    SyncState.SENT: csds_pb2.STALE,
    SyncState.STALE: csds_pb2.STALE,
    SyncState.NOT_SENT: csds_pb2.NOT_SENT,
    SyncState.REJECTED: csds_pb2.ERROR,
}


def clients(proxies: Iterable[ConnectedProxy]) -> list[list[ConnectedProxy]]:
    """The streams of each proxy, the newest last; proxies by cluster and node id."""
    found: dict[tuple[str, str], list[ConnectedProxy]] = {}
    for proxy in sorted(proxies, key=lambda each: each.connected_at):
        found.setdefault((proxy.node.cluster, proxy.node.id), []).append(proxy)
    return [found[key] for key in sorted(found)]


def statuses_of(streams: Sequence[ConnectedProxy]) -> Iterator[ResourceStatus]:
    """The resources of a proxy over all its streams, the newest of which comes last; each when it is asked for.

    A proxy may have a stream for each type; an older one that carries the same type is about to end.
    """
    return (status for status in _by_newest(streams) if status is not None)


def client_config(streams: Sequence[ConnectedProxy], cache_of: CacheOf, *, contents: bool) -> Iterator[bytes]:
    """A ClientConfig, in pieces, some of which are empty. `contents`: with the resources themselves."""
    node = streams[-1].node
    yield bytes_field(_NODE_FIELD, _node(node).SerializeToString())
    cache = cache_of(node)
    for status in _by_newest(streams):
        if status is None:
            yield b""
        else:
            yield bytes_field(_CONFIGS_FIELD, _config(status, cache, contents=contents).SerializeToString())


def _by_newest(streams: Sequence[ConnectedProxy]) -> Iterator[ResourceStatus | None]:
    """What the newest stream of each type tells; None for what an older one does, so that passing over it can pause."""
    told: set[str] = set()
    for stream in reversed(streams):
        types: set[str] = set()
        for status in stream.statuses():
            types.add(status.type_url)
            yield None if status.type_url in told else status
        told |= types


def _node(node: Node) -> Any:
    message = base_pb2.Node(
        id=node.id, cluster=node.cluster, user_agent_name=node.user_agent, user_agent_version=node.user_agent_version
    )
    json_format.ParseDict(dict(node.metadata), message.metadata)
    where = node.locality
    message.locality.region, message.locality.zone, message.locality.sub_zone = where.region, where.zone, where.sub_zone
    message.client_features.extend(sorted(node.client_features))
    return message


def _config(status: ResourceStatus, cache: ResourceCache | None, *, contents: bool) -> Any:
    held = cache.get(status.type_url, status.name) if cache else None
    contents = contents and status.type_url != SECRETS
    version = _version(status)
    config = csds_pb2.ClientConfig.GenericXdsConfig(
        type_url=status.type_url,
        name=status.name,
        version_info=version or "",
        config_status=_ANSWERS[status.state],
        client_status=_client_status(status),
    )
    if status.state is SyncState.REJECTED:
        config.error_state.version_info = status.version_sent or ""
        config.error_state.details = status.error or ""
        if contents and held is not None and held.version == status.version_sent:
            _put(config.error_state.failed_configuration, status, held.body)
    elif isinstance(held, Failure) and held.version == version:
        config.client_status = config_dump_shared_pb2.RECEIVED_ERROR
        config.error_state.details = held.message
    elif contents and held is not None and held.version == version:
        _put(config.xds_config, status, held.body)
    return config


def _version(status: ResourceStatus) -> str | None:
    return status.version_sent if status.state is SyncState.SENT else status.version_acknowledged


def _client_status(status: ResourceStatus) -> int:
    if status.state is SyncState.REJECTED:
        return int(config_dump_shared_pb2.NACKED)
    if status.version_acknowledged is not None:
        return int(config_dump_shared_pb2.ACKED)
    if status.state is SyncState.SYNCED:
        return int(config_dump_shared_pb2.DOES_NOT_EXIST)
    return int(config_dump_shared_pb2.REQUESTED)


def _put(field: Any, status: ResourceStatus, body: bytes) -> None:
    field.type_url, field.value = status.type_url, body
