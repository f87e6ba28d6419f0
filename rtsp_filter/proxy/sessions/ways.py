"""How the media of one track gets from one leg of a session to the other.

Each leg is UDP or TCP, and media runs from the camera to the client or, where the client records, the other way. UDP
always passes the media proxy: a relay leads from the sender to the receiver, or, where one leg is TCP, to or from this
process, which puts datagrams into interleaved frames or takes them out. TCP to TCP passes through without a look inside
(the session itself forwards whole reads). A camera may send to a multicast group as well: this process receives that,
where frames would come from otherwise.

Life of a way: `prepare` says what to ask of the camera; then either the session gives it up, when the camera was not
asked or has refused, or `granted` and `finish`, which says what to tell the client, and `opened` before anybody sends.
A camera that fails may be replaced: `vacate` while it is gone, then `ask_another`, `granted` and `refill`; the client's
side stays as it is.
"""

from __future__ import annotations

from dataclasses import replace

from rtsp_filter.proxy.sessions.framed_ways import Framed, PassedThrough
from rtsp_filter.proxy.sessions.group_ways import FramedFromGroup, RelayedFromGroup
from rtsp_filter.proxy.sessions.relayed_ways import Relayed, Through
from rtsp_filter.proxy.sessions.transport import CameraLeg
from rtsp_filter.proxy.sessions.way import Legs, Way
from rtsp_filter.relays import Allocation
from rtsp_filter.rtsp import LowerTransport, TransportSpec


def make_way(legs: Legs, spec: TransportSpec, camera: CameraLeg, media: str) -> Way:
    """The way between the client's transport, which `spec` offers, and the camera's."""
    if spec.records:
        legs = replace(legs, splice=None)  # whoever takes a recording is not replaced
    client_is_tcp = spec.lower is LowerTransport.TCP
    if camera is CameraLeg.MULTICAST:
        return (FramedFromGroup if client_is_tcp else RelayedFromGroup)(legs, spec, camera, media)
    if client_is_tcp and camera is CameraLeg.TCP:
        return (PassedThrough if legs.splice is None else Framed)(legs, spec, camera, media)
    if legs.splice is not None and not client_is_tcp and camera is CameraLeg.UDP:
        return Through(legs, spec, camera, media)
    return Relayed(legs, spec, camera, media)


def resumed_way(
    legs: Legs,
    spec: TransportSpec,
    granted: TransportSpec | None,
    media: str,
    relay_id: str,
    allocation: Allocation,
) -> Way:
    """A way from UDP to UDP that another proxy has made."""
    way = Relayed(legs, spec, CameraLeg.UDP, media)
    way.resume(relay_id, allocation, granted)
    legs.hold(relay_id)
    return way
