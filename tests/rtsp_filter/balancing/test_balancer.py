"""The balancer: which endpoint a session goes to, by what is known of all of them."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh.model import Endpoint
from rtsp_filter.balancing import (
    Algorithm,
    Assignment,
    Balancer,
    Breaker,
    ClusterPolicy,
    ClusterView,
    Fallback,
    Health,
    HealthCheck,
    Host,
    HostEvent,
    HostState,
    Labels,
    OutlierDetection,
    Probe,
    Refusal,
    RefusalKind,
    SlowStart,
    Subsets,
    SubsetSelector,
    key_of,
)
from rtsp_filter.balancing.hashing import hash_text

_CHECK = HealthCheck(probe=Probe.OPTIONS, interval=5, timeout=1, healthy_threshold=1, unhealthy_threshold=3)
_OUTLIERS = OutlierDetection(consecutive_failures=2, max_percent=100)


def _host(
    number: int,
    *,
    weight: int = 1,
    health: Health = Health.HEALTHY,
    priority: int = 0,
    zone: str = "",
    zone_weight: int = 0,
    labels: Labels = frozenset(),
) -> Host:
    return Host(
        endpoint=Endpoint(name=f"cam{number}", address=f"192.0.2.{number}", port=554),
        weight=weight,
        health=health,
        priority=priority,
        locality=("", zone, ""),
        locality_weight=zone_weight,
        labels=labels,
    )


class _Cluster:
    """A balancer with one cluster, asked by people in a hurry."""

    def __init__(self, hosts: Sequence[Host], policy: ClusterPolicy | None = None) -> None:
        self.events: list[tuple[str, HostEvent]] = []
        self.balancer = Balancer(lambda _, state, event: self.events.append((state.host.endpoint.name, event)))
        self.policy = policy or ClusterPolicy()
        self.now = 1000.0
        self.chance = random.Random(7).random
        self.assign(hosts)

    def assign(self, hosts: Sequence[Host]) -> None:
        view = ClusterView(policy=self.policy, assignment=Assignment(hosts=tuple(hosts)))
        self.balancer.update({"c": view}, self.now)

    def ask(self, labels: Labels = frozenset(), key: str | None = None) -> HostState | Refusal:
        key_hash = None if key is None else hash_text(key)
        return self.balancer.pick("c", labels=labels, key_hash=key_hash, chance=self.chance, now=self.now)

    def pick(self, labels: Labels = frozenset(), key: str | None = None) -> str:
        answer = self.ask(labels, key)
        return answer.message if isinstance(answer, Refusal) else answer.host.endpoint.name

    def picks(self, count: int) -> Counter[str]:
        return Counter(self.pick() for _ in range(count))

    def begin(self) -> str:
        """A session that goes on."""
        answer = self.ask()
        assert isinstance(answer, HostState)
        assert self.balancer.session("c", answer.host.key) is not None
        return answer.host.endpoint.name

    def fail(self, host: Host, times: int = 1) -> None:
        for _ in range(times):
            self.balancer.failed("c", host.key, "no answer", self.now)

    def check(self, host: Host, *, passing: bool) -> None:
        self.balancer.checked("c", host.key, passing=passing, reason="no answer", now=self.now)

    def state(self, host: Host) -> HostState:
        return next(state for _, state in self.balancer.states() if state.host.key == host.key)


def test_round_robin_keeps_weights_of_95_to_5_over_1000_sessions() -> None:
    counts = _Cluster([_host(1, weight=95), _host(2, weight=5)]).picks(1000)
    assert abs(counts["cam1"] - 950) <= 47
    assert abs(counts["cam2"] - 50) <= 2


def test_a_routes_clusters_keep_weights_of_95_to_5_over_1000_sessions() -> None:
    balancer = Balancer()
    counts = Counter(balancer.share("r", (("a", 95), ("b", 5))) for _ in range(1000))
    assert abs(counts[1] - 50) <= 2


def test_weights_of_a_route_go_on_when_they_or_other_routes_change() -> None:
    balancer = Balancer()
    counts: Counter[int] = Counter()
    for number in range(1000):
        balancer.routes_changed()
        counts[balancer.share("r", (("a", 95), ("b", 5), ("c", number % 2)))] += 1
    assert abs(counts[1] - 50) <= 2


@given(st.lists(st.integers(1, 100), min_size=1, max_size=10), st.lists(st.integers(0, 9), max_size=100))
def test_weights_hold_though_endpoints_come_and_go(weights: list[int], changes: list[int]) -> None:
    hosts = [_host(number, weight=weight) for number, weight in enumerate(weights)]
    cluster = _Cluster(hosts)
    counts: Counter[str] = Counter()
    for change in changes:
        if change == 0:
            cluster.assign([*hosts, _host(200)])
            cluster.assign(hosts)
        counts[cluster.pick()] += 1
    for host in hosts:
        share = len(changes) * host.weight / sum(weights)
        assert abs(counts[host.endpoint.name] - share) <= 2 + len(hosts) / 2


def test_least_request_prefers_the_endpoint_with_fewer_sessions() -> None:
    cluster = _Cluster(
        [_host(number) for number in range(4)], ClusterPolicy(algorithm=Algorithm.LEAST_REQUEST, choice_count=4)
    )
    counts = Counter(cluster.begin() for _ in range(400))
    assert set(counts.values()) == {100}


def test_two_choices_keep_endpoints_close_together() -> None:
    cluster = _Cluster([_host(number) for number in range(10)], ClusterPolicy(algorithm=Algorithm.LEAST_REQUEST))
    counts = Counter(cluster.begin() for _ in range(1000))
    assert max(counts.values()) - min(counts.values()) <= 10


def test_least_request_with_weights_divides_them_by_sessions() -> None:
    """Turns come at the rate of weight / sessions, so while none ends sessions are as the root of the weights."""
    cluster = _Cluster([_host(1, weight=3), _host(2)], ClusterPolicy(algorithm=Algorithm.LEAST_REQUEST))
    counts = Counter(cluster.begin() for _ in range(400))
    assert 1.65 <= counts["cam1"] / counts["cam2"] <= 1.8


def test_least_request_counts_sessions_until_they_end() -> None:
    hosts = [_host(1), _host(2)]
    cluster = _Cluster(hosts, ClusterPolicy(algorithm=Algorithm.LEAST_REQUEST, choice_count=2))
    uses = [cluster.balancer.session("c", hosts[0].key) for _ in range(5)]
    assert cluster.picks(20) == {"cam2": 20}
    for use in uses:
        assert use is not None
        use.end()
        use.end()
    assert cluster.state(hosts[0]).sessions == 0
    assert len(cluster.picks(50)) == 2


def test_random_uses_all_whatever_their_weight() -> None:
    counts = _Cluster([_host(1, weight=100), _host(2)], ClusterPolicy(algorithm=Algorithm.RANDOM)).picks(1000)
    assert 400 < counts["cam1"] < 600


@pytest.mark.parametrize("algorithm", [Algorithm.RING_HASH, Algorithm.MAGLEV])
def test_the_same_key_goes_to_the_same_endpoint_in_every_proxy(algorithm: Algorithm) -> None:
    policy = ClusterPolicy(algorithm=algorithm, table_size=1009)
    hosts = [_host(number) for number in range(5)]
    one, other = _Cluster(hosts, policy), _Cluster(hosts[::-1], policy)
    keys = [f"/cam{number}" for number in range(50)]
    assert [one.pick(key=key) for key in keys] == [other.pick(key=key) for key in keys]
    assert len({one.pick(key=key) for key in keys}) == 5


@pytest.mark.parametrize("algorithm", [Algorithm.RING_HASH, Algorithm.MAGLEV])
def test_keys_of_an_endpoint_that_is_left_out_come_back_with_it(algorithm: Algorithm) -> None:
    hosts = [_host(number) for number in range(5)]
    cluster = _Cluster(hosts, ClusterPolicy(algorithm=algorithm, table_size=1009, outliers=_OUTLIERS))
    keys = [f"/cam{number}" for number in range(50)]
    before = [cluster.pick(key=key) for key in keys]
    cluster.fail(hosts[0], 2)
    assert "cam0" not in [cluster.pick(key=key) for key in keys]
    cluster.now += 31
    assert [cluster.pick(key=key) for key in keys] == before


def test_localities_get_sessions_by_weight_whatever_the_number_of_their_endpoints() -> None:
    hosts = [_host(1, zone="a", zone_weight=3), _host(2, zone="b", zone_weight=1), _host(3, zone="b", zone_weight=1)]
    counts = _Cluster(hosts, ClusterPolicy(locality_weighted=True)).picks(400)
    assert counts == {"cam1": 300, "cam2": 50, "cam3": 50}


def test_a_locality_loses_weight_with_its_healthy_endpoints() -> None:
    """Half of its endpoints at 140 %: 70 % of its weight."""
    zone_b = [_host(2, zone="b", zone_weight=1), _host(3, zone="b", zone_weight=1, health=Health.UNHEALTHY)]
    hosts = [_host(1, zone="a", zone_weight=1), *zone_b]
    counts = _Cluster(hosts, ClusterPolicy(locality_weighted=True)).picks(1700)
    assert abs(counts["cam1"] - 1000) <= 2
    assert abs(counts["cam2"] - 700) <= 2


@pytest.mark.parametrize("algorithm", [Algorithm.RING_HASH, Algorithm.MAGLEV])
def test_hashing_gives_localities_keys_by_weight(algorithm: Algorithm) -> None:
    hosts = [_host(1, zone="a", zone_weight=9), *(_host(n, zone="b", zone_weight=1) for n in (2, 3, 4))]
    cluster = _Cluster(hosts, ClusterPolicy(algorithm=algorithm, locality_weighted=True, table_size=1009))
    counts = Counter(cluster.pick(key=f"/{number}") for number in range(1000))
    assert 850 < counts["cam1"] < 950


def test_lower_priorities_get_what_the_first_cannot_take() -> None:
    hosts = [_host(1), _host(2, health=Health.UNHEALTHY), _host(3, priority=1)]
    assert _Cluster(hosts).picks(100) == {"cam1": 70, "cam3": 30}


def test_degraded_endpoints_get_what_healthy_ones_cannot_take() -> None:
    hosts = [_host(1), _host(2, health=Health.DEGRADED)]
    assert _Cluster(hosts).picks(100) == {"cam1": 70, "cam2": 30}


def test_with_too_few_usable_endpoints_all_are_tried() -> None:
    hosts = [_host(1), *(_host(number, health=Health.UNHEALTHY) for number in (2, 3))]
    assert len(_Cluster(hosts).picks(30)) == 3
    assert _Cluster(hosts, ClusterPolicy(panic_percent=0)).picks(30) == {"cam1": 30}
    assert _Cluster(hosts[1:], ClusterPolicy(panic_percent=0)).pick() == "has no endpoint now"


_HD: Labels = frozenset({("quality", "hd")})
_SD: Labels = frozenset({("quality", "sd")})


@pytest.mark.parametrize(
    ("fallback", "expected"),
    [
        (Fallback.NONE, {"has no endpoint now"}),
        (Fallback.ANY, {"cam1", "cam2"}),
        (Fallback.DEFAULT, {"cam2"}),
    ],
)
def test_a_route_gets_endpoints_with_its_labels_or_the_fallback(fallback: Fallback, expected: set[str]) -> None:
    subsets = Subsets(
        selectors=(SubsetSelector(keys=frozenset({"quality"})),), fallback=fallback, default=frozenset({("at", "x")})
    )
    hosts = [_host(1, labels=_HD), _host(2, labels=frozenset({("at", "x")}))]
    cluster = _Cluster(hosts, ClusterPolicy(subsets=subsets))
    assert {cluster.pick(_HD) for _ in range(10)} == {"cam1"}
    assert {cluster.pick(_SD) for _ in range(10)} == expected
    assert {cluster.pick(frozenset({("unknown", "x")})) for _ in range(10)} == expected
    assert {cluster.pick(_HD | {("at", "x")}) for _ in range(10)} == expected  # no selector has both keys
    assert {cluster.pick() for _ in range(10)} == expected


def test_a_selector_has_a_fallback_of_its_own() -> None:
    selector = SubsetSelector(keys=frozenset({"quality"}), fallback=Fallback.ANY)
    cluster = _Cluster([_host(1, labels=_HD)], ClusterPolicy(subsets=Subsets(selectors=(selector,))))
    assert cluster.pick(_SD) == "cam1"
    assert cluster.pick() == "has no endpoint now"


def test_a_cluster_takes_so_many_sessions_and_no_more() -> None:
    hosts = [_host(1), _host(2)]
    cluster = _Cluster(hosts, ClusterPolicy(breaker=Breaker(max_sessions=2)))
    first = cluster.balancer.session("c", hosts[0].key)
    cluster.begin()
    answer = cluster.ask()
    assert answer == Refusal(kind=RefusalKind.FULL, message="has its 2 sessions already")
    assert cluster.balancer.full("c") == answer
    assert first is not None
    first.end()
    assert cluster.pick() in ("cam1", "cam2")


def test_a_cluster_sets_up_so_many_sessions_at_once_and_no_more() -> None:
    hosts = [_host(1)]
    cluster = _Cluster(hosts, ClusterPolicy(breaker=Breaker(max_setups=1)))
    attempt = cluster.balancer.attempt("c", hosts[0].key)
    answer = cluster.ask()
    assert isinstance(answer, Refusal)
    assert answer.kind is RefusalKind.FULL
    assert attempt is not None
    attempt.end()
    assert cluster.pick() == "cam1"


def test_a_new_endpoint_gets_its_share_slowly() -> None:
    cluster = _Cluster([_host(1)], ClusterPolicy(slow_start=SlowStart(window=100)))
    cluster.assign([_host(1), _host(2)])
    cluster.now += 10
    early = cluster.picks(110)
    assert abs(early["cam2"] - 10) <= 2
    cluster.now += 40
    assert abs(cluster.picks(150)["cam2"] - 50) <= 3
    cluster.now += 51
    assert abs(cluster.picks(100)["cam2"] - 50) <= 2


def test_endpoints_that_were_there_first_need_no_slow_start() -> None:
    policy = ClusterPolicy(slow_start=SlowStart(window=100))
    assert _Cluster([_host(1, weight=1), _host(2, weight=3)], policy).picks(100) == {"cam1": 25, "cam2": 75}


def test_who_fails_several_times_in_a_row_is_left_out_and_comes_back_after_a_time_that_grows() -> None:
    hosts = [_host(1), _host(2)]
    cluster = _Cluster(hosts, ClusterPolicy(outliers=_OUTLIERS))
    cluster.fail(hosts[0])
    assert len(cluster.picks(10)) == 2
    cluster.fail(hosts[0])
    assert cluster.picks(10) == {"cam2": 10}
    assert cluster.state(hosts[0]).why == "2 failures in a row, the last: no answer"
    cluster.now += 29.9
    assert cluster.picks(10) == {"cam2": 10}
    cluster.now += 0.2
    assert len(cluster.picks(10)) == 2
    assert cluster.state(hosts[0]).why == ""
    cluster.fail(hosts[0], 2)
    cluster.now += 59
    assert cluster.picks(10) == {"cam2": 10}
    cluster.now += 2
    assert len(cluster.picks(10)) == 2
    assert cluster.events == [("cam1", HostEvent.EJECTED), ("cam1", HostEvent.RETURNED)] * 2


def test_time_without_failures_is_to_an_endpoints_credit() -> None:
    hosts = [_host(1), _host(2)]
    cluster = _Cluster(hosts, ClusterPolicy(outliers=_OUTLIERS))
    for _ in range(3):
        cluster.fail(hosts[0], 2)
        cluster.now += 300
        cluster.pick()
        cluster.now += 60
    cluster.fail(hosts[0], 2)
    state = cluster.state(hosts[0])
    assert state.ejected_until == cluster.now + 30


def test_an_answer_between_failures_begins_the_count_anew() -> None:
    hosts = [_host(1), _host(2)]
    cluster = _Cluster(hosts, ClusterPolicy(outliers=_OUTLIERS))
    for _ in range(5):
        cluster.fail(hosts[0])
        cluster.balancer.succeeded("c", hosts[0].key)
    assert len(cluster.picks(10)) == 2


def test_only_so_many_endpoints_are_left_out_but_always_one() -> None:
    hosts = [_host(number) for number in range(5)]
    outliers = OutlierDetection(consecutive_failures=1, max_percent=10)
    cluster = _Cluster(hosts, ClusterPolicy(outliers=outliers))
    for host in hosts[:3]:
        cluster.fail(host)
    assert len(cluster.picks(50)) == 4


def test_an_endpoint_to_be_checked_is_used_when_it_has_passed() -> None:
    hosts = [_host(1), _host(2)]
    cluster = _Cluster(hosts, ClusterPolicy(health_check=_CHECK, panic_percent=1))
    assert len(cluster.picks(10)) == 2  # none has passed: all are tried
    cluster.check(hosts[0], passing=True)
    assert cluster.picks(10) == {"cam1": 10}
    assert cluster.state(hosts[1]).why == "it has not been asked yet"
    cluster.check(hosts[1], passing=True)
    assert len(cluster.picks(10)) == 2
    cluster.check(hosts[0], passing=False)
    assert cluster.picks(10) == {"cam2": 10}
    assert cluster.state(hosts[0]).why == "no answer"
    assert cluster.events[-1] == ("cam1", HostEvent.FAILS)


def test_an_endpoint_that_fails_from_the_beginning_is_told_of_once() -> None:
    host = _host(1)
    cluster = _Cluster([host], ClusterPolicy(health_check=_CHECK))
    cluster.check(host, passing=False)
    cluster.check(host, passing=False)
    assert cluster.events == [("cam1", HostEvent.FAILS)]


def test_without_checks_nothing_is_left_of_what_they_said() -> None:
    hosts = [_host(1), _host(2)]
    cluster = _Cluster(hosts, ClusterPolicy(health_check=_CHECK))
    cluster.check(hosts[0], passing=True)
    cluster.policy = ClusterPolicy()
    cluster.assign(hosts)
    assert len(cluster.picks(10)) == 2
    assert cluster.state(hosts[1]).why == ""


def test_sessions_of_an_endpoint_that_went_are_counted_until_they_end() -> None:
    hosts = [_host(1), _host(2)]
    cluster = _Cluster(hosts, ClusterPolicy(breaker=Breaker(max_sessions=1)))
    use = cluster.balancer.session("c", hosts[0].key)
    cluster.assign(hosts[1:])
    assert isinstance(cluster.ask(), Refusal)
    cluster.balancer.update({}, cluster.now)
    assert cluster.pick() == "has no endpoint now"
    cluster.assign(hosts)
    assert cluster.state(hosts[0]).sessions == 1
    assert use is not None
    use.end()
    assert cluster.pick() == "cam1"
    cluster.balancer.update({}, cluster.now)
    assert list(cluster.balancer.states()) == []


def test_what_is_not_known_has_no_endpoint_and_takes_no_session() -> None:
    balancer = Balancer()
    answer = balancer.pick("c", chance=random.random, now=0)
    assert answer == Refusal(kind=RefusalKind.NO_ENDPOINT, message="has no endpoint now")
    assert balancer.session("c", key_of(_host(1).endpoint)) is None
    balancer.succeeded("c", _host(1).key)
    balancer.failed("c", _host(1).key, "gone", 0)
