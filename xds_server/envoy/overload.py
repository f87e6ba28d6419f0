"""What a proxy does before it runs out of memory or connections: Envoy's overload manager.

Nearly out of memory, Envoy gives free memory back, and then refuses new TCP connections. It does so at a load shed
point, because the action that is made for it, `stop_accepting_connections`, stops *every* listener: Envoy then reads no
datagram any more, and all media stands still. What UDP may take is bounded elsewhere, by the sessions that a cluster
admits. Nothing is reset (`reset_high_memory_stream`): that is for HTTP streams, and these proxies carry none.

Envoy API: config.overload.v3.OverloadManager.
"""

from __future__ import annotations

from typing import Any

MIN_HEAP_BYTES = 128 << 20
"""A media proxy with the 1,000 slots of the default ports has a heap of 75 MB before there is any media, most of it
clusters; one without slots has 15 MB."""
_HEAP_SHARE = 0.5
"""The heap's part of the memory: datagrams wait in the kernel, up to 4 MiB for each port, and count for the machine."""
_GIVE_BACK_AT = 0.90
_REFUSE_AT = 0.95
# Memory is asked for this often: a burst of connections cannot take 5 % of it in between.
_REFRESH = "0.25s"

_HEAP = "envoy.resource_monitors.fixed_heap"
_CONNECTIONS = "envoy.resource_monitors.global_downstream_max_connections"
_MONITORS = "type.googleapis.com/envoy.extensions.resource_monitors"


def heap_limit(memory_bytes: int) -> int:
    """How large an Envoy's heap may become where `memory_bytes` are there for it and its sockets."""
    return max(MIN_HEAP_BYTES, int(memory_bytes * _HEAP_SHARE))


def overload_manager(*, heap_bytes: int, connections: int) -> dict[str, Any]:
    """`heap_bytes`: how large the heap may become. `connections`: TCP connections of clients at once."""
    return {
        "refresh_interval": _REFRESH,
        "resource_monitors": [
            _monitor(_HEAP, "fixed_heap.v3.FixedHeapConfig", max_heap_size_bytes=heap_bytes),
            _monitor(
                _CONNECTIONS,
                "downstream_connections.v3.DownstreamConnectionsConfig",
                max_active_downstream_connections=connections,
            ),
        ],
        "actions": [{"name": "envoy.overload_actions.shrink_heap", "triggers": [_heap_at(_GIVE_BACK_AT)]}],
        "loadshed_points": [
            {"name": "envoy.load_shed_points.tcp_listener_accept", "triggers": [_heap_at(_REFUSE_AT)]},
        ],
    }


def _monitor(name: str, message: str, **limits: int) -> dict[str, Any]:
    return {"name": name, "typed_config": {"@type": f"{_MONITORS}.{message}", **limits}}


def _heap_at(share: float) -> dict[str, Any]:
    return {"name": _HEAP, "threshold": {"value": share}}
