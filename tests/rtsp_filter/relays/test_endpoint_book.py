"""What the control plane is told of endpoints: of those that have changed, and of all when it knows nothing."""

from __future__ import annotations

from collections.abc import Sequence

from mesh.model import Endpoint
from mesh.wire import relay_pb2
from rtsp_filter.balancing import Health, Host, HostKey, HostState
from rtsp_filter.relays.endpoint_book import MAX_REPORTED, Count, EndpointBook

EPOCH = 1_000_000.0


def _key(number: int = 1) -> HostKey:
    return (f"c{number}", "192.0.2.1", 554 + number, "/x")


def _state(
    *, passing: bool | None = None, health: Health = Health.HEALTHY, ejected_until: float | None = None
) -> HostState:
    host = Host(endpoint=Endpoint(name="c1", address="192.0.2.1", port=555, path="/x"), health=health)
    return HostState(
        host=host, since=0.0, sessions=3, passing=passing, ejected_until=ejected_until, ejection="5 failures in a row"
    )


class Notes:
    """A book, and how often it said that there is something to tell."""

    def __init__(self) -> None:
        self.calls = 0
        self.book = EndpointBook(self._called)
        self.state: HostState | None = None

    def _called(self) -> None:
        self.calls += 1

    def changes(self) -> list[relay_pb2.EndpointReport]:
        return self.book.changes(lambda cluster, key: self.state, epoch=EPOCH)

    def all(self) -> list[relay_pb2.EndpointReport]:
        return self.book.all(lambda cluster, key: self.state, epoch=EPOCH)


def _names(reports: Sequence[relay_pb2.EndpointReport]) -> list[str]:
    return [status.endpoint.name for report in reports for status in report.endpoints]


def test_what_is_counted_is_told_once_with_all_that_is_known_of_the_endpoint() -> None:
    notes = Notes()
    tally = notes.book.tally("a", _key())
    tally.count(Count.SETUPS)
    tally.count(Count.SETUPS)
    tally.count(Count.FAILED_SETUPS)
    tally.sampled(packets=100, lost=3, jitter=0.002)
    assert notes.calls > 0
    notes.state = _state()
    (report,) = notes.changes()
    (status,) = report.endpoints
    assert not report.stated
    assert status == relay_pb2.EndpointStatus(
        endpoint=relay_pb2.EndpointKey(cluster="a", name="c1", address="192.0.2.1", port=555, path="/x"),
        setups=2,
        failed_setups=1,
        packets=100,
        lost_packets=3,
        jitter=0.002,
        sessions=3,
        healthy=True,
        why="5 failures in a row",
    )
    assert notes.changes() == []
    tally.count(Count.KEEPALIVES)
    (report,) = notes.changes()
    assert (report.endpoints[0].keepalives, report.endpoints[0].setups) == (1, 2)


def test_only_endpoints_that_have_changed_are_told() -> None:
    notes = Notes()
    for number in range(10):
        notes.book.changed("a", _key(number))
    assert len(_names(notes.changes())) == 10
    notes.book.tally("a", _key(7)).count(Count.CONNECTIONS)
    assert _names(notes.changes()) == ["c7"]


def test_an_endpoint_that_is_ejected_or_fails_is_told_with_the_time_and_why() -> None:
    notes = Notes()
    notes.book.changed("a", _key())
    notes.state = _state(ejected_until=30.0)
    ((status,),) = (report.endpoints for report in notes.changes())
    assert (status.healthy, status.ejected_until, status.why) == (True, EPOCH + 30.0, "5 failures in a row")
    for state in (_state(passing=False), _state(health=Health.UNHEALTHY)):
        notes.book.changed("a", _key())
        notes.state = state
        ((status,),) = (report.endpoints for report in notes.changes())
        assert not status.healthy


def test_an_endpoint_that_has_left_is_told_as_gone_and_who_still_counts_for_it_counts_for_nobody() -> None:
    notes = Notes()
    tally = notes.book.tally("a", _key())
    tally.count(Count.CONNECTIONS)
    notes.changes()
    notes.book.left("a", _key())
    notes.book.left("a", _key(2))
    tally.count(Count.CONNECTIONS, -1)
    (report,) = notes.changes()
    assert ([key.name for key in report.gone], len(report.endpoints)) == (["c1"], 0)
    assert notes.changes() == []
    assert not notes.book.known("a", _key())


def test_an_endpoint_that_comes_back_begins_anew() -> None:
    notes = Notes()
    notes.book.tally("a", _key()).count(Count.SETUPS, 5)
    notes.book.left("a", _key())
    notes.book.tally("a", _key()).count(Count.SETUPS)
    (report,) = notes.changes()
    assert [status.setups for status in report.endpoints] == [1]
    assert not report.gone


def test_a_stream_that_begins_is_told_all_and_what_was_due_with_it() -> None:
    notes = Notes()
    notes.book.tally("a", _key(1)).count(Count.SETUPS)
    notes.changes()
    notes.book.tally("b", _key(2)).count(Count.SETUPS)
    notes.book.refused("a")
    (report,) = notes.all()
    assert report.stated
    assert sorted(_names([report])) == ["c1", "c2"]
    assert [(each.cluster, each.refused) for each in report.clusters] == [("a", 1)]
    assert notes.changes() == []


def test_nothing_to_tell_is_no_report() -> None:
    assert Notes().all() == []
    assert Notes().changes() == []


def test_sessions_that_found_no_endpoint_are_counted_by_cluster() -> None:
    notes = Notes()
    notes.book.refused("a")
    notes.book.refused("a")
    (report,) = notes.changes()
    assert [(each.cluster, each.refused) for each in report.clusters] == [("a", 2)]
    assert notes.changes() == []


def test_wrong_passwords_are_counted_by_users() -> None:
    notes = Notes()
    for users in ("crew", "guests", "crew"):
        notes.book.wrong_password(users)
    assert notes.calls > 0
    (report,) = notes.changes()
    assert [(each.users, each.wrong_passwords) for each in report.users] == [("crew", 2), ("guests", 1)]
    assert notes.changes() == []
    notes.book.wrong_password("guests")
    (report,) = notes.changes()
    assert [(each.users, each.wrong_passwords) for each in report.users] == [("guests", 2)]
    (report,) = notes.all()
    assert (report.stated, len(report.users)) == (True, 2)


def test_a_message_has_so_many_endpoints_and_they_are_all_told() -> None:
    notes = Notes()
    for number in range(2 * MAX_REPORTED + 1):
        notes.book.changed("a", _key(number))
    notes.book.refused("a")
    reports = notes.all()
    assert [len(report.endpoints) for report in reports] == [MAX_REPORTED, MAX_REPORTED, 1]
    assert all(report.stated for report in reports)
    assert max(report.ByteSize() for report in reports) < 4_000_000
    assert [len(report.clusters) for report in reports] == [1, 0, 0]
