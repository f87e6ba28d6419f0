"""What the media proxy reports reaches those whose relays it is about."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from mesh.model import GROUP
from mesh.wire import relay_pb2
from xds_server.media_reports import MediaReports
from xds_server.relays.activity import SILENT_AFTER, Activity
from xds_server.relays.registry import RelayRegistry
from xds_server.relays.relay import Receiver, Relay, RelayState
from xds_server.relays.slots import SlotPool
from xds_server.subscription import Node

RECEIVER = Receiver(address="192.0.2.1", rtp_port=5000, rtcp_port=5001)


def metadata(instance: str) -> Mapping[str, Any]:
    return {GROUP: {"workers": 2, "files": 1000, "instance": instance}}


class World:
    """Relays of two proxies: `mine` of "a", `theirs` of "b"; their sessions have the same names. `told`: messages.
    `opening`: slots that the media proxy has not acknowledged."""

    def __init__(self) -> None:
        self.media_proxy: Node | None = Node(id="envoy", cluster="msm-media", metadata=metadata("1"))
        self.playing = {"mine", "theirs"}
        self.told: list[tuple[str, relay_pb2.RelayActivity]] = []
        self.opening: set[int] = set()
        self.registry = RelayRegistry(
            SlotPool(8, now=0.0), lambda slot: slot not in self.opening, now=0.0, settle_time=0
        )
        for slot, (relay_id, owner) in enumerate((("mine", "a"), ("theirs", "b"))):
            self.hold(relay_id, owner, slot)
        self.reports = MediaReports(
            self.registry,
            media_proxy=lambda: self.media_proxy,
            plays=lambda session_id: session_id in self.playing,
            tell=lambda owner, message: self.told.append((owner, message.relay_activity)),
        )
        self.reports.begun()
        self.reports.reported([], 0.0)

    def hold(self, relay_id: str, owner: str, slot: int) -> None:
        relay = Relay(
            relay_id=relay_id,
            session_id=relay_id,
            media="video",
            receiver=RECEIVER,
            owner=owner,
            state=RelayState.WAITING,
            deadline=0.0,
        )
        self.registry.state(owner, {relay_id: (relay, slot)}, 0.0)

    def received(self, now: float, **packets: int) -> None:
        """A report of the packets that came in for relays."""
        slots = {relay_id: self.registry.relays[relay_id].slot for relay_id in packets}
        counters = [(f"udp.slot-{slots[each]}-rtp.downstream_sess_rx_datagrams", packets[each]) for each in packets]
        self.reports.reported(counters, now)

    def take_told(self) -> list[tuple[str, relay_pb2.RelayActivity]]:
        told, self.told = self.told, []
        return told


@pytest.fixture
def world() -> World:
    return World()


def test_each_owner_is_told_of_its_own_relays(world: World) -> None:
    world.received(1.0, mine=1)
    assert world.take_told() == [("a", relay_pb2.RelayActivity(flowing=["mine"]))]
    world.received(2.0, mine=1)
    world.received(3.0, mine=1, theirs=1)
    assert world.take_told() == [("b", relay_pb2.RelayActivity(flowing=["theirs"]))]
    world.received(4.0, mine=1, theirs=2)
    silent = relay_pb2.SilentRelay(relay_id="mine", seconds=SILENT_AFTER)
    assert world.take_told() == [("a", relay_pb2.RelayActivity(silent=[silent]))]


def test_a_receiver_that_is_heard_is_a_sign_of_life_for_its_owner(world: World) -> None:
    world.reports.reported([("cluster.slot-0-rtcp.udp.sess_rx_datagrams", 1)], 1.0)
    assert world.take_told() == [("a", relay_pb2.RelayActivity(receiver_alive=["mine"]))]


def test_a_relay_whose_session_does_not_play_is_idle(world: World) -> None:
    world.playing.clear()
    for second in range(1, 9):
        world.received(float(second), mine=1)
    assert world.take_told() == []
    known = world.reports.activity.relay("mine", 8.0)
    assert known is not None
    assert known.activity is Activity.IDLE


def test_a_relay_that_is_not_open_yet_is_not_silent(world: World) -> None:
    world.opening.add(2)
    world.hold("new", "c", 2)
    world.playing.add("new")
    for second in range(1, 9):
        world.received(float(second))
    assert "c" not in dict(world.take_told())


def test_a_proxy_that_comes_back_is_told_again(world: World) -> None:
    for second in range(1, 5):
        world.received(float(second), mine=second)
    world.take_told()
    world.reports.tell_again("b")
    world.received(5.0, mine=5)
    ((owner, message),) = world.take_told()
    assert (owner, [each.relay_id for each in message.silent]) == ("b", ["theirs"])


@pytest.mark.parametrize(
    ("node_id", "instance"), [("other", "1"), ("envoy", "2")], ids=["another name", "another process of its name"]
)
def test_only_the_media_proxy_that_has_the_relays_is_believed(world: World, node_id: str, instance: str) -> None:
    assert world.reports.refusal("envoy", metadata("1")) is None
    assert "is not the media proxy" in (world.reports.refusal(node_id, metadata(instance)) or "")
    world.media_proxy = None
    assert world.reports.refusal("envoy", metadata("1")) is not None
