"""Whether a session of RTSP would work now, and if not, why."""

from __future__ import annotations

from collections import Counter

from xds_server.cache import ResourceCache
from xds_server.media import MediaPlane
from xds_server.resource_types import CLUSTER, ENDPOINT, ROUTE
from xds_server.scopes import RTSP_CLUSTER
from xds_server.subscription import ConnectedProxy, SyncState

# Slots that Envoy refused are told of with its own words, which are long, and alike for all.
_SHOWN_REFUSALS = 3


class RoutedProxies:
    """RTSP proxies that have answered for all their routes, whatever they said."""

    def __init__(self) -> None:
        self._nodes: dict[str, str] = {}  # by stream

    def answered(self, proxy: ConnectedProxy, routes: ResourceCache) -> bool:
        """A proxy has answered for something; whether it has now answered for all, and had not before."""
        if proxy.node.cluster != RTSP_CLUSTER or proxy.id in self._nodes or not knows_routes(proxy, routes):
            return False
        self._nodes[proxy.id] = proxy.node.id
        return True

    def gone(self, proxy: ConnectedProxy) -> None:
        """A stream has ended."""
        self._nodes.pop(proxy.id, None)

    @property
    def nodes(self) -> frozenset[str]:
        """Their node ids."""
        return frozenset(self._nodes.values())


def missing(media: MediaPlane, *, accepting: frozenset[str], routed: frozenset[str]) -> list[str]:
    """What a session lacks; empty when one would work.

    Node ids of RTSP proxies: `accepting` are connected, and not about to end; `routed` have acknowledged their routes.
    One of them must be both.
    """
    reasons = []
    if not media.registry.settled:
        reasons.append("waiting for proxies that may still hold relays")
    if not media.connected:
        reasons.append("no media proxy (Envoy) is connected")
    elif not media.listening:
        reasons.append(_why_no_slot(media))
    if not accepting:
        reasons.append("no RTSP proxy is connected")
    elif accepting.isdisjoint(routed):
        reasons.append("no RTSP proxy has acknowledged its routes yet")
    return reasons


def knows_routes(proxy: ConnectedProxy, routes: ResourceCache) -> bool:
    """Whether an RTSP proxy was told everything: what it refused, it was told as well.

    Asked for every ACK, so it only counts: a proxy that was told of as many resources as there are, and for which none
    waits to be sent, was told of them. What is on its way is not told yet; its ACK asks again.
    """
    counts = proxy.counts()
    return all(
        _told(counts.get(type_url, Counter()), len(routes.resources(type_url)))
        for type_url in (ROUTE.type_url, CLUSTER.type_url, ENDPOINT.type_url)
    )


def _told(states: Counter[SyncState], resources: int) -> bool:
    return not states[SyncState.NOT_SENT] and states.total() - states[SyncState.SENT] >= resources


def _why_no_slot(media: MediaPlane) -> str:
    refusals = sorted(media.registry.refusals.items())
    if not refusals:
        return "the media proxy has not acknowledged its slots yet"
    told = "; ".join(f"slot {slot}: {message}" for slot, message in refusals[:_SHOWN_REFUSALS])
    return f"the media proxy refused {len(refusals)} slots and has none that works ({told})"
