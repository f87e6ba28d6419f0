"""The media plane: relays become resources, acknowledgements become ready relays."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from tests.peers import second_opinion
from xds_server.compile.slots import slot_names
from xds_server.envoy.bootstrap import MediaProxy
from xds_server.media import WARMED_AT_ONCE, MediaPlane, MediaSettings
from xds_server.relays.registry import SETTLE_TIME
from xds_server.relays.relay import Allocated, Ready, Receiver, Relay, RelayState
from xds_server.relays.senders import Sender
from xds_server.relays.slots import MINIMUM_WARM, REST_AFTER_STOP, SlotLayout, SlotState
from xds_server.resource_types import CLUSTER, ENDPOINT, LISTENER

SETTINGS = MediaSettings(layout=SlotLayout(first_port=20000, last_port=20799), addresses=("127.0.0.1", "::1"))
CAPACITY = SETTINGS.layout.capacity


def plane(settle_time: float = 0.0) -> MediaPlane:
    return MediaPlane(SETTINGS, now=0.0, settle_time=settle_time)


def relay(relay_id: str) -> Relay:
    return Relay(
        relay_id=relay_id,
        session_id="session",
        media="video",
        receiver=Receiver(address="192.0.2.1", rtp_port=5000, rtcp_port=5001),
        owner="proxy",
        state=RelayState.WAITING,
        deadline=math.inf,
    )


def acknowledge_all(media: MediaPlane) -> None:
    for type_url in (CLUSTER.type_url, ENDPOINT.type_url, LISTENER.type_url):
        resources = media.cache.resources(type_url)
        media.resources_acknowledged(type_url, {name: resource.version for name, resource in resources.items()}, 0.0)


def targets(media: MediaPlane, slot: int) -> list[tuple[str, int]]:
    """Where the slot's two flows go, as another protobuf implementation reads it."""
    found = []
    for name in slot_names(slot):
        resource = media.cache.get(ENDPOINT.type_url, name)
        assert resource is not None
        assignment = second_opinion.ClusterLoadAssignment.parse(resource.body)
        assert assignment.cluster_name == name
        for locality in assignment.endpoints:
            for endpoint in locality.lb_endpoints:
                assert endpoint.endpoint is not None
                assert endpoint.endpoint.address is not None
                assert endpoint.endpoint.address.socket_address is not None
                address = endpoint.endpoint.address.socket_address
                assert address.port_value is not None
                found.append((address.address, address.port_value))
    return found


def test_every_cluster_is_there_from_the_start_and_only_warm_slots_have_listeners() -> None:
    media = plane()
    assert len(media.cache.resources(CLUSTER.type_url)) == 2 * CAPACITY
    assert len(media.cache.resources(ENDPOINT.type_url)) == 2 * CAPACITY
    assert len(media.cache.resources(LISTENER.type_url)) == 2 * MINIMUM_WARM


def grown() -> MediaPlane:
    """A connected media proxy that has all its slots, and relays that need more."""
    media = plane()
    media.proxy_connected(None, had_state=False, now=0.0)
    acknowledge_all(media)
    for number in range(2 * MINIMUM_WARM):
        media.registry.open(relay(str(number)), 0.0)
    media.flush()
    return media


def warm(media: MediaPlane) -> int:
    return len(media.cache.resources(LISTENER.type_url)) // 2


def test_growing_the_pool_adds_listeners_a_few_at_a_time_and_touches_no_cluster() -> None:
    media = grown()
    clusters = dict(media.cache.resources(CLUSTER.type_url))
    assert warm(media) == MINIMUM_WARM + WARMED_AT_ONCE
    media.flush()
    assert warm(media) == MINIMUM_WARM + WARMED_AT_ONCE
    while warm(media) < media.registry.pool.size:
        before = warm(media)
        acknowledge_all(media)
        media.flush()
        assert before < warm(media) <= before + WARMED_AT_ONCE
    assert dict(media.cache.resources(CLUSTER.type_url)) == clusters


def test_a_slot_that_the_media_proxy_refuses_does_not_stop_the_growth() -> None:
    media = grown()
    media.resources_rejected(LISTENER.type_url, slot_names(warm(media) - 1), "cannot bind", 0.0)
    media.flush()
    assert warm(media) == MINIMUM_WARM + 2 * WARMED_AT_ONCE


def test_listens_as_soon_as_any_slot_works() -> None:
    media = plane()
    media.proxy_connected(None, had_state=False, now=0.0)
    assert not media.listening
    media.resources_rejected(LISTENER.type_url, slot_names(0), "cannot bind", 0.0)
    assert not media.listening
    versions = {name: media.cache.resources(LISTENER.type_url)[name].version for name in slot_names(1)}
    media.resources_acknowledged(LISTENER.type_url, versions, 0.0)
    assert media.listening
    media.proxy_connected(None, had_state=False, now=1.0)
    assert not media.listening


def test_slots_of_relays_from_before_a_restart_are_all_warm_before_anything_is_answered() -> None:
    media = plane(settle_time=SETTLE_TIME)
    media.registry.state("proxy", {"a": (relay("a"), CAPACITY - 1)}, 0.0)
    media.flush()
    assert media.cache.held
    assert warm(media) == CAPACITY


def test_an_open_relay_changes_two_assignments_and_is_ready_when_both_are_acknowledged() -> None:
    media = plane()
    media.proxy_connected(None, had_state=False, now=0.0)
    acknowledge_all(media)
    before = media.cache.revision
    media.registry.open(relay("a"), 0.0)
    assert media.flush() == [("proxy", Allocated(relay_id="a", slot=0))]
    assert media.cache.revision == before + 1
    assert targets(media, 0) == [("192.0.2.1", 5000), ("192.0.2.1", 5001)]
    rtp, rtcp = (media.cache.get(ENDPOINT.type_url, name) for name in slot_names(0))
    assert rtp is not None
    assert rtcp is not None
    media.resources_acknowledged(ENDPOINT.type_url, {rtp.name: rtp.version}, 0.0)
    assert media.flush() == []
    media.resources_acknowledged(ENDPOINT.type_url, {rtcp.name: rtcp.version}, 0.0)
    assert media.flush() == [("proxy", Ready(relay_id="a"))]


def test_a_closed_relay_leaves_an_empty_assignment() -> None:
    media = plane()
    media.registry.open(relay("a"), 0.0)
    media.flush()
    media.registry.close("proxy", "a", sender_stopped=True, now=1.0)
    media.flush()
    assert targets(media, 0) == []


def test_what_an_earlier_stream_acknowledged_does_not_count() -> None:
    media = plane()
    media.proxy_connected(None, had_state=False, now=0.0)
    acknowledge_all(media)
    assert media.acknowledged(0)
    media.proxy_disconnected()
    media.proxy_connected(None, had_state=False, now=0.0)
    assert not media.acknowledged(0)


def test_the_pool_stays_within_the_files_that_the_proxy_may_open() -> None:
    media = plane()
    media.proxy_connected(
        MediaProxy(workers=2, files=512 + 40 * (2 * 2 * 2 * 2 + 2), instance="1"), had_state=False, now=0.0
    )
    assert media.registry.pool.capacity == 40


def test_until_it_has_settled_nothing_is_answered_and_a_relay_that_is_stated_keeps_its_slot() -> None:
    media = plane(settle_time=SETTLE_TIME)
    assert media.cache.held
    media.registry.state("proxy", {"a": (relay("a"), 7)}, 1.0)
    media.flush()
    assert targets(media, 7) == [("192.0.2.1", 5000), ("192.0.2.1", 5001)]
    media.proxy_connected(None, had_state=True, now=1.0)
    media.tick(SETTLE_TIME)
    assert not media.cache.held
    assert media.registry.settled


def test_it_does_not_settle_before_the_media_proxy_had_time_to_say_what_it_has() -> None:
    media = plane(settle_time=SETTLE_TIME)
    media.tick(SETTLE_TIME)
    assert not media.registry.settled
    media.proxy_connected(None, had_state=True, now=10.0)
    media.tick(10.5)
    assert not media.registry.settled
    due = media.registry.next_timer()
    assert due is not None
    media.tick(due)
    assert media.registry.settled


@pytest.mark.parametrize("beyond", [3, CAPACITY - 1])
def test_a_slot_that_a_surviving_proxy_may_still_send_from_rests_however_far_up_it_is(beyond: int) -> None:
    media = plane(settle_time=SETTLE_TIME)
    media.proxy_connected(None, had_state=True, now=0.0)
    empty = {
        name: resource.version
        for name, resource in media.cache.resources(ENDPOINT.type_url).items()
        if name not in slot_names(beyond)
    }
    media.resources_acknowledged(ENDPOINT.type_url, empty, 0.0)
    media.tick(SETTLE_TIME)
    assert media.registry.pool.state(beyond) is SlotState.RESTING
    assert media.registry.pool.count(SlotState.RESTING) == 1


CAMERA = Sender(address="192.0.2.9")


def acknowledge(media: MediaPlane, type_url: str) -> None:
    """What there is now of this type."""
    resources = media.cache.resources(type_url)
    media.resources_acknowledged(type_url, {name: resource.version for name, resource in resources.items()}, 0.0)


def versions(media: MediaPlane, type_url: str, slot: int = 0) -> list[str]:
    return [media.cache.resources(type_url)[name].version for name in slot_names(slot)]


def connected_plane() -> MediaPlane:
    media = plane()
    media.proxy_connected(None, had_state=False, now=0.0)
    acknowledge_all(media)
    return media


def test_a_relay_for_one_sender_leads_nowhere_until_the_media_proxy_takes_that_senders_packets_only() -> None:
    media = connected_plane()
    before = versions(media, LISTENER.type_url)
    media.registry.open(replace(relay("a"), sender=CAMERA), 0.0)
    assert media.flush() == [("proxy", Allocated(relay_id="a", slot=0))]
    assert all(old != new for old, new in zip(before, versions(media, LISTENER.type_url), strict=True))
    assert targets(media, 0) == []
    acknowledge(media, ENDPOINT.type_url)
    assert media.flush() == []
    acknowledge(media, LISTENER.type_url)
    assert media.flush() == []
    assert targets(media, 0) == [("192.0.2.1", 5000), ("192.0.2.1", 5001)]
    acknowledge(media, ENDPOINT.type_url)
    assert media.flush() == [("proxy", Ready(relay_id="a"))]


def test_a_relay_that_shall_lead_nowhere_before_its_listeners_are_taken_is_ready_with_them() -> None:
    media = connected_plane()
    held = replace(relay("a"), sender=CAMERA)
    media.registry.open(held, 0.0)
    media.flush()
    media.registry.open(replace(held, receiver=None), 0.0)
    media.flush()
    acknowledge_all(media)
    assert media.flush() == [("proxy", Ready(relay_id="a"))]


def opened(media: MediaPlane, relay_id: str, sender: Sender | None) -> None:
    """A relay that is open, and was given back."""
    media.registry.open(replace(relay(relay_id), sender=sender), 0.0)
    media.flush()
    for _ in range(2):
        acknowledge_all(media)
        media.flush()
    assert media.registry.relays[relay_id].state is RelayState.READY
    media.registry.close("proxy", relay_id, sender_stopped=True, now=0.0)
    media.flush()
    acknowledge_all(media)
    media.tick(REST_AFTER_STOP)


def test_a_slot_keeps_its_sender_while_it_is_free_so_the_next_relay_for_it_changes_no_listener() -> None:
    media = connected_plane()
    opened(media, "a", CAMERA)
    listeners = versions(media, LISTENER.type_url)
    media.registry.open(replace(relay("b"), sender=CAMERA), REST_AFTER_STOP)
    media.flush()
    assert versions(media, LISTENER.type_url) == listeners
    assert targets(media, 0) != []


def test_a_slot_that_was_one_senders_takes_anybodys_packets_again_where_a_relay_is_for_anybody() -> None:
    media = connected_plane()
    listeners = versions(media, LISTENER.type_url)
    opened(media, "a", CAMERA)
    opened(media, "b", None)
    assert versions(media, LISTENER.type_url) == listeners


def test_a_relay_that_moves_to_another_sender_leads_nowhere_meanwhile() -> None:
    media = connected_plane()
    media.registry.open(replace(relay("a"), sender=CAMERA), 0.0)
    media.flush()
    for _ in range(2):
        acknowledge_all(media)
        media.flush()
    assert targets(media, 0) != []
    media.registry.open(replace(relay("a"), sender=Sender(address="192.0.2.10")), 0.0)
    media.flush()
    assert targets(media, 0) == []
    acknowledge_all(media)
    media.flush()
    assert targets(media, 0) != []


def test_a_control_plane_that_comes_back_changes_nothing_for_a_relay_of_one_sender() -> None:
    before = connected_plane()
    held = replace(relay("a"), sender=CAMERA)
    before.registry.open(held, 0.0)
    before.flush()
    for _ in range(2):
        acknowledge_all(before)
        before.flush()
    after = plane(SETTLE_TIME)
    after.registry.state("proxy", {"a": (held, 0)}, 0.1)
    after.flush()
    after.proxy_connected(None, had_state=True, now=0.2)
    for type_url in (CLUSTER.type_url, ENDPOINT.type_url, LISTENER.type_url):
        stated = {name: resource.version for name, resource in before.cache.resources(type_url).items()}
        after.resources_acknowledged(type_url, stated, 0.3)
    after.flush()
    for type_url in (LISTENER.type_url, ENDPOINT.type_url):
        assert versions(after, type_url) == versions(before, type_url)
