"""Groups of cameras: what is joined, what is not, and that it is left; on loopback, where all stays."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator, Sequence
from ipaddress import IPv4Network
from pathlib import Path

import pytest

from rtsp_filter.proxy.limits import MAX_JOINED_TRACKS
from rtsp_filter.proxy.multicast.group_end import CameraGroups
from rtsp_filter.proxy.multicast.group_pool import GroupPool
from rtsp_filter.rtsp import RTSPError, TransportSpec, parse_transports
from tests.peers.ports import reserve_ports
from tests.peers.rtsp_wire import eventually

HERE = "127.0.0.1"
GROUP = "239.66.1.1"
OWN = GroupPool(IPv4Network("239.66.2.0/24"))


def granted(text: str) -> TransportSpec:
    (spec,) = parse_transports(f"RTP/AVP;multicast;{text}")
    return spec


def nobody(_kind: int, _datagrams: Sequence[object]) -> None:
    raise AssertionError("nothing is sent")


@pytest.fixture
def port() -> Iterator[int]:
    with reserve_ports(2) as ports:
        yield ports.first


@pytest.fixture
def sender() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind((HERE, 0))
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(HERE))
        yield sock


def memberships(group: str) -> int:
    """How many sockets of this machine have joined a group on loopback."""
    number = int.from_bytes(socket.inet_aton(group), "little")
    listing = Path("/proc/net/igmp").read_text().partition("\tlo ")[2]
    found = re.search(rf"\s{number:08X}\s+(\d+)", re.split(r"\n\d", listing)[0])
    return 0 if found is None else int(found[1])


async def test_a_group_is_received_by_all_that_have_joined_it_until_they_leave(
    port: int, sender: socket.socket
) -> None:
    groups = CameraGroups(None)
    got: dict[str, list[tuple[int, bytes]]] = {"one": [], "two": []}

    def into(name: str, kind: int, datagrams: Sequence[memoryview]) -> None:
        got[name] += [(kind, bytes(datagram)) for datagram in datagrams]

    spec = granted(f"destination={GROUP};port={port}-{port + 1};ttl=1")
    one = groups.join(spec, HERE, lambda kind, datagrams: into("one", kind, datagrams))
    two = groups.join(spec, HERE, lambda kind, datagrams: into("two", kind, datagrams))
    assert (len(groups), memberships(GROUP)) == (2, 4)
    sender.sendto(b"rtp", (GROUP, port))
    sender.sendto(b"rtcp", (GROUP, port + 1))
    await eventually(lambda: sum(map(len, got.values())) == 4, "all datagrams")
    assert sorted(got["one"]) == sorted(got["two"]) == [(0, b"rtp"), (1, b"rtcp")]

    one.close()
    sender.sendto(b"more", (GROUP, port))
    await eventually(lambda: len(got["two"]) == 3, "the datagram of who is left")
    assert len(got["one"]) == 2
    two.close()
    assert (len(groups), memberships(GROUP)) == (0, 0)


async def test_where_a_camera_says_where_it_sends_from_nobody_else_is_heard(port: int, sender: socket.socket) -> None:
    got: list[bytes] = []
    end = CameraGroups(None).join(
        granted(f"destination={GROUP};source=127.0.0.2;port={port}-{port + 1}"),
        HERE,
        lambda _, datagrams: got.extend(bytes(datagram) for datagram in datagrams),
    )
    try:
        sender.sendto(b"a stranger's", (GROUP, port))
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as camera:
            camera.bind(("127.0.0.2", 0))
            camera.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(HERE))
            camera.sendto(b"the camera's", (GROUP, port))
        await eventually(lambda: got, "the camera's datagram")
        assert got == [b"the camera's"]
    finally:
        end.close()


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("port=5000-5001", "did not say"),
        (f"destination={GROUP}", "did not say"),
        (f"destination={GROUP};port=0-1", "did not say"),
        ("destination=ff15::1;port=5000-5001", "did not say"),
        ("destination=192.0.2.1;port=5000-5001", "no group for media"),
        ("destination=224.0.0.251;port=5353-5354", "no group for media"),
        ("destination=239.66.2.9;port=5000-5001", "one of the mesh's own"),
    ],
)
async def test_what_is_no_group_of_a_camera_is_not_joined(text: str, reason: str) -> None:
    groups = CameraGroups(OWN)
    with pytest.raises(RTSPError, match=reason) as caught:
        groups.join(granted(text), HERE, nobody)
    assert (caught.value.status, len(groups)) == (502, 0)


async def test_a_camera_that_says_nothing_has_no_group() -> None:
    with pytest.raises(RTSPError, match="did not say"):
        CameraGroups(None).join(None, HERE, nobody)


async def test_where_a_group_cannot_be_joined_nothing_is_held(port: int) -> None:
    groups = CameraGroups(None)
    spec = granted(f"destination={GROUP};port={port}-{port + 1}")
    with pytest.raises(RTSPError, match="cannot be joined") as caught:
        groups.join(spec, "192.0.2.1", nobody)
    assert (caught.value.status, len(groups), memberships(GROUP)) == (503, 0, 0)


async def test_groups_are_joined_for_so_many_tracks_at_once(port: int) -> None:
    groups = CameraGroups(None)
    spec = granted(f"destination={GROUP};port={port}-{port + 1}")
    ends = [groups.join(spec, HERE, nobody) for _ in range(MAX_JOINED_TRACKS)]
    try:
        with pytest.raises(RTSPError, match="already") as caught:
            groups.join(spec, HERE, nobody)
        assert caught.value.status == 453
        ends.pop().close()
        ends.append(groups.join(spec, HERE, nobody))
    finally:
        for end in ends:
            end.close()
