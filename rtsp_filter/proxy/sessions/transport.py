"""The Transport header at a proxy: what the client may have, what the camera is asked for, what the client is told.

Pure. UDP media passes the media proxy, so both sides are told of its ports; interleaved media passes this process, so
the camera is asked for the very channels of the client and chunks need no change.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence
from dataclasses import replace
from enum import Enum
from functools import lru_cache

from rtsp_filter.relays.book import Allocation
from rtsp_filter.rtsp import Delivery, LowerTransport, Pair, RTSPError, StatusCode, TransportError, TransportSpec

_CHANNELS = 256
# Addresses that are kept taken apart: those of the media proxy, the cameras and the clients of the moment.
_KNOWN_ADDRESSES = 4096


class CameraLeg(Enum):
    """How media travels between a camera and the mesh."""

    UDP = "UDP"
    TCP = "TCP"
    MULTICAST = "multicast"

    @classmethod
    def of(cls, spec: TransportSpec) -> CameraLeg:
        """Which of them a transport is."""
        return cls.MULTICAST if spec.delivery is Delivery.MULTICAST else cls(spec.lower.value)


def choose(
    offered: Iterable[TransportSpec],
    client_address: str,
    allowed: frozenset[LowerTransport],
    *,
    no_multicast: str = "not in this session",
) -> TransportSpec:
    """The first offer that can be honoured: unicast that is allowed, or multicast unless `no_multicast` says why not.
    Raises TransportError (461), or 403 for a third party's address."""
    offered = tuple(offered)
    for spec in offered:
        if spec.delivery is Delivery.MULTICAST and _possible_multicast(spec) and not no_multicast:
            return spec
        if spec.delivery is not Delivery.UNICAST or spec.lower not in allowed:
            continue
        if spec.lower is LowerTransport.UDP and (spec.client_port is None or 0 in spec.client_port):
            continue
        if spec.destination is not None and not _same_address(spec.destination, client_address):
            raise RTSPError(
                f"destination {spec.destination} is not where this request came from", status=StatusCode.FORBIDDEN
            )
        return spec
    names = " or ".join(
        [*sorted(f"unicast {lower.value}" for lower in allowed), *([] if no_multicast else ["multicast"])]
    )
    wanted = any(spec.delivery is Delivery.MULTICAST for spec in offered)
    why_not = f"; multicast is not: {no_multicast}" if wanted and no_multicast else ""
    raise TransportError(f"none of the offered transports is possible here: {names} is{why_not}")


def _possible_multicast(spec: TransportSpec) -> bool:
    return spec.lower is LowerTransport.UDP and not spec.records


def free_channels(taken: Iterable[Pair]) -> Pair:
    """The lowest even pair of channels that no other track has."""
    used = {channel for pair in taken for channel in pair}
    for channel in range(0, _CHANNELS, 2):
        if not used & {channel, channel + 1}:
            return Pair(channel, channel + 1)
    raise TransportError("all interleaved channels are taken")


def channels(spec: TransportSpec, taken: Iterable[Pair]) -> Pair:
    """The channels of a new track: those asked for, else free ones. Raises RTSPError for channels in use."""
    taken = list(taken)
    wanted = spec.interleaved
    if wanted is None:
        return free_channels(taken)
    if wanted.rtp == wanted.rtcp or any(set(wanted) & set(pair) for pair in taken):
        raise RTSPError(f"interleaved channels {wanted} are in use", status=StatusCode.BAD_REQUEST)
    return wanted


def channel_table(tracks: Iterable[tuple[Pair, Pair]]) -> bytes | None:
    """For tracks as (camera's channels, client's channels): the table from the first to the second, None where they
    are equal and nothing needs to change."""
    table = bytearray(range(_CHANNELS))
    for camera, client in tracks:
        for theirs, ours in zip(camera, client, strict=True):
            table[theirs] = ours
    return None if table == bytes(range(_CHANNELS)) else bytes(table)


def upstream_udp(spec: TransportSpec, allocation: Allocation, local_address: str, camera_address: str) -> TransportSpec:
    """What to ask of the camera for UDP: to send to the relay's entrance, or, where the client records, to receive from
    its exit. Raises TransportError where media could not pass between the camera and the media proxy.

    `local_address` is this end of the connection to the camera: where it sends to unless told otherwise.
    """
    media = media_address(allocation.addresses, camera_address, "the camera")
    destination = None if _unspecified(media) or _same_address(media, local_address) else media
    port = allocation.egress_port if spec.records else allocation.ingress_port
    return TransportSpec(
        profile=spec.profile, destination=destination, client_port=Pair(port, port + 1), mode=_mode(spec)
    )


def upstream_tcp(spec: TransportSpec, pair: Pair) -> TransportSpec:
    """What to ask of the camera for interleaved media."""
    return TransportSpec(profile=spec.profile, lower=LowerTransport.TCP, interleaved=pair, mode=_mode(spec))


def upstream_multicast(spec: TransportSpec) -> TransportSpec:
    """What to ask of a camera that sends to a group, which it chooses."""
    return TransportSpec(profile=spec.profile, delivery=Delivery.MULTICAST, mode=spec.mode)


def answer_udp(
    spec: TransportSpec, granted: TransportSpec | None, allocation: Allocation, client_address: str
) -> TransportSpec:
    """What the client is told: its own ports, and the media proxy's as the server's.

    Raises TransportError where the media proxy cannot reach the client.
    """
    media = media_address(allocation.addresses, client_address, "the client")
    port = allocation.ingress_port if spec.records else allocation.egress_port
    return replace(
        _answer(spec, granted),
        source=None if _unspecified(media) else media,
        client_port=spec.client_port,
        server_port=Pair(port, port + 1),
    )


def answer_tcp(spec: TransportSpec, granted: TransportSpec | None, pair: Pair) -> TransportSpec:
    """What the client is told of interleaved media."""
    return replace(_answer(spec, granted), lower=LowerTransport.TCP, interleaved=pair)


def answer_multicast(told: TransportSpec, group: str, ports: Pair, ttl: int) -> TransportSpec:
    """What readers are told of a track that is sent to a group, given what was told of it as of a unicast one."""
    return TransportSpec(
        profile=told.profile,
        delivery=Delivery.MULTICAST,
        destination=group,
        source=told.source,
        port=ports,
        ttl=ttl,
        ssrc=told.ssrc,
    )


def media_address(addresses: Sequence[str], peer: str, who: str) -> str:
    """The media proxy's address for this peer: of its family, and not loopback unless the peer is there too.

    Raises TransportError where there is none, with the remedy.
    """
    remote = _parsed(peer.partition("%")[0])
    for text in addresses:
        address = _parsed(text)
        if address.version == remote.version and (remote.is_loopback or not address.is_loopback):
            return text
    raise TransportError(
        f"UDP media cannot pass between {who} at {peer} and the media address {', '.join(addresses)};"
        " use TCP, or set --media-address to an address of this machine that both sides reach"
    )


def reaches(addresses: Sequence[str], peer: str) -> bool:
    """Whether UDP media can pass between a peer and the media proxy at these addresses."""
    try:
        media_address(addresses, peer, "")
    except TransportError:
        return False
    return True


def _mode(spec: TransportSpec) -> str | None:
    """What the camera is told: the RFC has RECORD in quotes, and ffmpeg as a server takes it only without."""
    return "record" if spec.records else spec.mode


def _answer(spec: TransportSpec, granted: TransportSpec | None) -> TransportSpec:
    ssrc = None if granted is None else granted.ssrc
    return TransportSpec(profile=spec.profile, ssrc=ssrc, mode=spec.mode)


def _unspecified(address: str) -> bool:
    return _parsed(address).is_unspecified


def _same_address(one: str, other: str) -> bool:
    try:
        return _parsed(one) == _parsed(other)
    except ValueError:
        return False


@lru_cache(_KNOWN_ADDRESSES)
def _parsed(address: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """Without the zone. Raises ValueError for what is no address."""
    return ipaddress.ip_address(address.partition("%")[0])
