"""Whatever a cluster says and whatever happens to its endpoints, a session gets one of them, or a reason."""

from __future__ import annotations

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from mesh.model import Endpoint
from rtsp_filter.balancing import (
    Algorithm,
    Assignment,
    Balancer,
    Breaker,
    ClusterPolicy,
    ClusterView,
    Health,
    HealthCheck,
    Host,
    HostState,
    OutlierDetection,
    Probe,
    RefusalKind,
    SlowStart,
    Use,
)

_CHECK = HealthCheck(probe=Probe.OPTIONS, interval=5, timeout=1, healthy_threshold=1, unhealthy_threshold=1)

_hosts = st.builds(
    lambda number, weight, health, priority, zone: Host(
        endpoint=Endpoint(name=f"cam{number}", address="192.0.2.1", port=554),
        weight=weight,
        health=health,
        priority=priority,
        locality=("", zone, ""),
        locality_weight={"a": 3, "b": 1}[zone],
    ),
    st.integers(0, 5),
    st.integers(1, 100),
    st.sampled_from(Health),
    st.integers(0, 2),
    st.sampled_from("ab"),
)
_assignments = st.builds(
    Assignment,
    hosts=st.lists(_hosts, max_size=6, unique_by=lambda host: host.key).map(tuple),
    overprovisioning=st.sampled_from([100, 140, 200]),
)
_policies = st.builds(
    ClusterPolicy,
    algorithm=st.sampled_from(Algorithm),
    table_size=st.just(101),
    minimum_ring_size=st.just(64),
    maximum_ring_size=st.just(256),
    panic_percent=st.sampled_from([0.0, 1.0, 50.0, 100.0]),
    locality_weighted=st.booleans(),
    breaker=st.builds(Breaker, max_sessions=st.none() | st.integers(1, 5), max_setups=st.none() | st.integers(1, 5)),
    slow_start=st.none() | st.builds(SlowStart, window=st.floats(1, 100), aggression=st.floats(0.1, 10)),
    outliers=st.none() | st.builds(OutlierDetection, consecutive_failures=st.integers(1, 2), max_percent=st.just(100)),
    health_check=st.none() | st.just(_CHECK),
)


class _World:
    def __init__(self) -> None:
        self.balancer = Balancer()
        self.view = ClusterView(policy=ClusterPolicy(), assignment=Assignment())
        self.now = 0.0
        self.uses: list[Use] = []
        self.chance = random.Random(1).random

    def say(self, policy: ClusterPolicy, assignment: Assignment) -> None:
        self.view = ClusterView(policy=policy, assignment=assignment)
        self.balancer.update({"c": self.view}, self.now)

    def ask(self, key_hash: int | None) -> HostState | None:
        """A pick, of which everything is checked that holds always."""
        answer = self.balancer.pick("c", key_hash=key_hash, chance=self.chance, now=self.now)
        hosts = {host.key: host for host in self.view.assignment.hosts}
        if isinstance(answer, HostState):
            assert hosts[answer.host.key] is answer.host
            return answer
        if answer.kind is RefusalKind.NO_ENDPOINT and self.view.policy.panic_percent:
            assert not hosts
        return None


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_a_session_gets_an_endpoint_of_the_cluster_or_a_reason(data: st.DataObject) -> None:
    world = _World()
    world.say(data.draw(_policies), data.draw(_assignments))
    for _ in range(data.draw(st.integers(1, 25))):
        step = data.draw(st.sampled_from(["say", "session", "attempt", "end", "fail", "check", "wait"]))
        state = world.ask(data.draw(st.none() | st.integers(0, (1 << 64) - 1)))
        if step == "say":
            policy = data.draw(st.just(world.view.policy) | _policies)
            world.say(policy, data.draw(_assignments))
        elif step == "wait":
            world.now += data.draw(st.floats(0, 100))
        elif step == "end" and world.uses:
            world.uses.pop().end()
        elif state is not None:
            key = state.host.key
            if step == "fail":
                world.balancer.failed("c", key, "no answer", world.now)
            elif step == "check":
                world.balancer.checked("c", key, passing=data.draw(st.booleans()), reason="no answer", now=world.now)
            elif step in ("session", "attempt"):
                begin = world.balancer.session if step == "session" else world.balancer.attempt
                use = begin("c", key)
                assert use is not None
                world.uses.append(use)
    for use in world.uses:
        use.end()
    assert all(state.load == 0 for _, state in world.balancer.states())
