"""Whether a session of RTSP would work now, and if not, why."""

from __future__ import annotations

from collections import Counter

from xds_server.cache import ResourceCache
from xds_server.media import MediaPlane
from xds_server.resource_types import CLUSTER, ENDPOINT, ROUTE
from xds_server.subscription import ConnectedProxy, SyncState

# Slots that Envoy refused are told of with its own words, which are long, and alike for all.
_SHOWN_REFUSALS = 3


def missing(media: MediaPlane, *, rtsp_proxy: bool, routes: bool) -> list[str]:
    """What a session lacks; empty when one would work.

    rtsp_proxy: one is connected. routes: one of those has acknowledged its routes.
    """
    reasons = []
    if not media.registry.settled:
        reasons.append("waiting for proxies that may still hold relays")
    if not media.connected:
        reasons.append("no media proxy (Envoy) is connected")
    elif not media.listening:
        reasons.append(_why_no_slot(media))
    if not rtsp_proxy:
        reasons.append("no RTSP proxy is connected")
    elif not routes:
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
