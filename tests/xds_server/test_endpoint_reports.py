"""What RTSP proxies say of endpoints: the latest counts, and differences are summed up."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mesh.wire import relay_pb2
from xds_server.canary import Evidence
from xds_server.endpoint_reports import EndpointReports


def _key(name: str, cluster: str = "default/lobby") -> relay_pb2.EndpointKey:
    return relay_pb2.EndpointKey(cluster=cluster, name=name, address="192.0.2.1", port=554)


def _report(*statuses: relay_pb2.EndpointStatus, stated: bool = False) -> relay_pb2.EndpointReport:
    return relay_pb2.EndpointReport(endpoints=statuses, stated=stated)


def _status(name: str = "a", **counts: int) -> relay_pb2.EndpointStatus:
    return relay_pb2.EndpointStatus(endpoint=_key(name), healthy=True, **counts)


def _names(reports: EndpointReports) -> dict[str, list[str]]:
    return {key.name: [each.proxy for each in reported] for key, reported in reports.endpoints()}


def test_the_latest_of_each_proxy_is_kept_and_what_is_new_counts() -> None:
    reports = EndpointReports()
    assert reports.take("p", _report(_status(setups=3, failed_setups=1))) == {
        "default/lobby": Evidence(setups=3, failed=1)
    }
    assert reports.take("p", _report(_status(setups=5, failed_setups=1, packets=100, lost_packets=2))) == {
        "default/lobby": Evidence(setups=2, packets=100, lost=2)
    }
    assert reports.take("q", _report(_status(setups=1))) == {"default/lobby": Evidence(setups=1)}
    ((_, reported),) = reports.endpoints()
    assert [(each.proxy, each.status.setups) for each in reported] == [("p", 5), ("q", 1)]
    assert reports.totals["default/lobby"].setups == 6


def test_what_an_endpoint_has_refused_has_not_failed() -> None:
    assert EndpointReports().take("p", _report(_status(setups=3, refused_setups=2))) == {
        "default/lobby": Evidence(setups=3, refused=2)
    }


def test_a_report_without_anything_that_counts_is_no_evidence() -> None:
    assert EndpointReports().take("p", _report(_status(sessions=2, connections=2, keepalives=1))) == {}


def test_what_a_proxy_has_counted_before_its_stream_is_of_an_earlier_time() -> None:
    reports = EndpointReports()
    assert reports.take("p", _report(_status(setups=900, failed_setups=800), stated=True)) == {}
    assert reports.take("p", _report(_status(setups=901, failed_setups=801))) == {
        "default/lobby": Evidence(setups=1, failed=1)
    }


def test_counts_that_go_back_have_begun_anew() -> None:
    reports = EndpointReports()
    reports.take("p", _report(_status(setups=10)))
    assert reports.take("p", _report(_status(setups=2))) == {"default/lobby": Evidence(setups=2)}


def test_what_goes_is_forgotten_an_endpoint_or_a_proxy_but_not_its_part_in_totals() -> None:
    reports = EndpointReports()
    reports.take("p", _report(_status("a", setups=1), _status("b")))
    reports.take("q", _report(_status("b", setups=1)))
    reports.take("p", relay_pb2.EndpointReport(gone=[_key("a"), _key("never")]))
    assert _names(reports) == {"b": ["p", "q"]}
    reports.forget("q")
    assert _names(reports) == {"b": ["p"]}
    assert reports.totals["default/lobby"].setups == 2


def test_sessions_that_found_no_endpoint_have_failed() -> None:
    reports = EndpointReports()
    refused = relay_pb2.EndpointReport(clusters=[relay_pb2.ClusterStatus(cluster="default/lobby", refused=2)])
    assert reports.take("p", refused) == {"default/lobby": Evidence(setups=2, failed=2)}
    refused.clusters[0].refused = 5
    assert reports.take("p", refused) == {"default/lobby": Evidence(setups=3, failed=3)}
    assert reports.totals["default/lobby"].refused == 5


def _wrong(proxy_count: int, *, stated: bool = False) -> relay_pb2.EndpointReport:
    users = relay_pb2.UsersStatus(users="crew", wrong_passwords=proxy_count)
    return relay_pb2.EndpointReport(users=[users], stated=stated)


def test_wrong_passwords_of_all_proxies_are_summed_up_and_are_no_evidence() -> None:
    reports = EndpointReports()
    assert reports.take("p", _wrong(2)) == {}
    reports.take("p", _wrong(3))
    reports.take("q", _wrong(1))
    assert reports.wrong_passwords == {"crew": 4}
    reports.forget("p")
    reports.take("p", _wrong(9, stated=True))
    reports.take("p", _wrong(10))
    assert reports.wrong_passwords == {"crew": 5}
    reports.keep_totals([], ["crew"])
    assert reports.wrong_passwords == {"crew": 5}
    reports.keep_totals([], ["guests"])
    assert reports.wrong_passwords == {}


def test_totals_of_backends_that_are_gone_are_forgotten() -> None:
    reports = EndpointReports()
    reports.take("p", _report(_status(setups=1)))
    reports.keep_totals(["default/other"])
    assert reports.totals == {}


@given(st.lists(st.tuples(st.sampled_from("pq"), st.sampled_from("ab"), st.integers(0, 5)), max_size=30))
def test_totals_are_the_sum_of_all_that_was_counted(counted: list[tuple[str, str, int]]) -> None:
    reports, counts = EndpointReports(), dict.fromkeys(((proxy, name) for proxy in "pq" for name in "ab"), 0)
    found = 0
    for proxy, name, more in counted:
        counts[proxy, name] += more
        evidence = reports.take(proxy, _report(_status(name, setups=counts[proxy, name])))
        found += sum(each.setups for each in evidence.values())
    assert found == sum(more for _, _, more in counted)
    if counted:
        assert reports.totals["default/lobby"].setups == found
