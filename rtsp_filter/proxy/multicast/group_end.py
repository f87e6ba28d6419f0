"""Groups that cameras send to, as this process receives them: a pair of sockets for each track.

They are joined on the network that leads to the camera, for its own packets only where it says where these come from
(RFC 4607), and left when the sockets are closed. Sockets are bound to the group, so what others send to this machine at
the same ports is not theirs, and several sessions may have the same group.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Callable

from rtsp_filter.proxy.cameras.upstream import UpstreamError
from rtsp_filter.proxy.limits import MAX_JOINED_TRACKS
from rtsp_filter.proxy.multicast.group_pool import GroupPool
from rtsp_filter.proxy.sessions.udp_end import Receive, read_datagrams
from rtsp_filter.rtsp import RTSPError, StatusCode, TransportSpec
from rtsp_filter.udp_ports import BUFFER_BYTES

# Linux's numbers (ip(7)); Python names the first from 3.12 on, and the second not at all.
_IP_ADD_SOURCE_MEMBERSHIP = 39
_IP_MULTICAST_ALL = 49

# What hosts and routers say to each other; it is never media (RFC 5771, section 4).
_OF_PROTOCOLS = ipaddress.IPv4Network("224.0.0.0/24")
_ANY = "0.0.0.0"


class GroupEnd:
    """One track's pair of sockets. Raises OSError when it cannot be had."""

    def __init__(
        self, group: str, spec: TransportSpec, *, interface: str, receive: Receive, on_closed: Callable[[], None]
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._sockets: list[socket.socket] = []
        self._on_closed = on_closed
        try:
            for kind, port in enumerate(spec.port or ()):
                sock = _joined(group, port, interface, _address(spec.source))
                self._sockets.append(sock)
                self._loop.add_reader(sock, read_datagrams, sock, kind, receive)
        except OSError:
            self._let_go()
            raise

    def close(self) -> None:
        """Leave the group."""
        self._let_go()
        self._on_closed()

    def _let_go(self) -> None:
        for sock in self._sockets:
            self._loop.remove_reader(sock)
            sock.close()
        self._sockets.clear()


class CameraGroups:
    """All that this proxy has joined. `own` are the groups that it sends to itself."""

    def __init__(self, own: GroupPool | None) -> None:
        self._own = own
        self._joined = 0

    def join(self, granted: TransportSpec | None, local_address: str, receive: Receive) -> GroupEnd:
        """Receive what the camera has granted, on the network of `local_address`, where this end of the connection to
        it is. Raises RTSPError: 502 for what is no group, 453 and 503 where it cannot be had here."""
        group = self._group(granted)
        assert granted is not None
        if self._joined >= MAX_JOINED_TRACKS:
            raise RTSPError(
                f"this proxy receives {MAX_JOINED_TRACKS} tracks of multicast cameras already",
                status=StatusCode.NOT_ENOUGH_BANDWIDTH,
            )
        try:
            end = GroupEnd(
                group, granted, interface=_address(local_address) or _ANY, receive=receive, on_closed=self._left
            )
        except OSError as error:
            raise RTSPError(
                f"the camera's group {group} cannot be joined at {local_address}: {error.strerror or error}",
                status=StatusCode.SERVICE_UNAVAILABLE,
            ) from error
        self._joined += 1
        return end

    def __len__(self) -> int:
        return self._joined

    def _left(self) -> None:
        self._joined -= 1

    def _group(self, granted: TransportSpec | None) -> str:
        group = None if granted is None else _address(granted.destination)
        if granted is None or group is None or granted.port is None or 0 in granted.port:
            raise UpstreamError("the camera did not say to which group of IPv4 and ports it sends")
        address = ipaddress.IPv4Address(group)
        if not address.is_multicast or address in _OF_PROTOCOLS:
            raise UpstreamError(f"the camera sends to {group}, which is no group for media")
        if self._own is not None and self._own.has(group):
            raise UpstreamError(f"the camera sends to {group}, which is one of the mesh's own (--multicast-groups)")
        return group


def _joined(group: str, port: int, interface: str, source: str | None) -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER_BYTES)
        sock.setsockopt(socket.IPPROTO_IP, _IP_MULTICAST_ALL, 0)
        sock.bind((group, port))
        membership = socket.inet_aton(group) + socket.inet_aton(interface)
        if source is None:
            sock.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, membership)
        else:
            sock.setsockopt(socket.IPPROTO_IP, _IP_ADD_SOURCE_MEMBERSHIP, membership + socket.inet_aton(source))
    except OSError:
        sock.close()
        raise
    return sock


def _address(text: str | None) -> str | None:
    """An IPv4 address that means one; None for anything else that cameras write."""
    try:
        address = ipaddress.IPv4Address(text or "")
    except ValueError:
        return None
    return None if address.is_unspecified else str(address)
