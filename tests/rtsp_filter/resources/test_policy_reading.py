"""What Envoy's Cluster says of balancing is read, or refused by the name of its field."""

from typing import Any

import pytest
from envoy.config.cluster.v3 import cluster_pb2
from envoy.config.endpoint.v3 import endpoint_pb2
from envoy.config.route.v3 import route_components_pb2
from google.protobuf import json_format

from rtsp_filter.balancing import (
    Algorithm,
    Assignment,
    Breaker,
    ClusterPolicy,
    Fallback,
    HashPolicy,
    HashSource,
    Health,
    HealthCheck,
    OutlierDetection,
    Probe,
    SlowStart,
    Subsets,
    SubsetSelector,
)
from rtsp_filter.resources.cluster_reading import read_assignment, read_cluster
from rtsp_filter.resources.policy_reading import merged_labels, read_hash_policies
from rtsp_filter.resources.reading import RouteTableError

_CHECK = {"timeout": "1s", "interval": "5s", "unhealthy_threshold": 3, "healthy_threshold": 2}
_RTSP = {"custom_health_check": {"name": "mediastreamingmesh.io/rtsp"}}


def _policy(**more: Any) -> ClusterPolicy:
    return read_cluster(json_format.ParseDict({"name": "a", "type": "EDS", **more}, cluster_pb2.Cluster())).policy


def _assignment(*localities: Any, **more: Any) -> Assignment:
    value = {"cluster_name": "a", "endpoints": localities, **more}
    return read_assignment(json_format.ParseDict(value, endpoint_pb2.ClusterLoadAssignment()))


def _endpoint(**more: Any) -> dict[str, Any]:
    return {"endpoint": {"address": {"socket_address": {"address": "192.0.2.1", "port_value": 554}}}, **more}


def test_what_a_cluster_does_not_say_is_as_in_envoy() -> None:
    assert _policy() == ClusterPolicy()
    assert _policy(outlier_detection={}).outliers == OutlierDetection()


def test_algorithms_and_their_settings() -> None:
    least = _policy(lb_policy="LEAST_REQUEST", least_request_lb_config={"choice_count": 5})
    assert (least.algorithm, least.choice_count) == (Algorithm.LEAST_REQUEST, 5)
    ring = _policy(lb_policy="RING_HASH", ring_hash_lb_config={"minimum_ring_size": 10, "maximum_ring_size": 20})
    assert (ring.algorithm, ring.minimum_ring_size, ring.maximum_ring_size) == (Algorithm.RING_HASH, 10, 20)
    maglev = _policy(lb_policy="MAGLEV", maglev_lb_config={"table_size": 1009})
    assert (maglev.algorithm, maglev.table_size) == (Algorithm.MAGLEV, 1009)
    assert _policy(lb_policy="RANDOM").algorithm is Algorithm.RANDOM


def test_panic_localities_and_limits() -> None:
    common = {"healthy_panic_threshold": {"value": 20}, "locality_weighted_lb_config": {}}
    found = _policy(common_lb_config=common, circuit_breakers={"thresholds": [{"max_connections": 3}]})
    assert (found.panic_percent, found.locality_weighted) == (20, True)
    assert found.breaker == Breaker(max_sessions=3)
    pending = {"thresholds": [{"max_pending_requests": 4}]}
    assert _policy(circuit_breakers=pending).breaker == Breaker(max_setups=4)


def test_subsets() -> None:
    config = {
        "fallback_policy": "DEFAULT_SUBSET",
        "default_subset": {"quality": "hd"},
        "subset_selectors": [{"keys": ["quality"]}, {"keys": ["site"], "fallback_policy": "ANY_ENDPOINT"}],
    }
    assert _policy(lb_subset_config=config).subsets == Subsets(
        selectors=(
            SubsetSelector(keys=frozenset({"quality"})),
            SubsetSelector(keys=frozenset({"site"}), fallback=Fallback.ANY),
        ),
        fallback=Fallback.DEFAULT,
        default=frozenset({("quality", ("string_value", "hd"))}),
    )


def test_slow_start_is_that_of_the_algorithm() -> None:
    slow = {"slow_start_config": {"slow_start_window": "60s", "aggression": {"default_value": 2.0, "runtime_key": "x"}}}
    assert _policy(round_robin_lb_config=slow).slow_start == SlowStart(window=60, aggression=2)
    assert _policy(lb_policy="LEAST_REQUEST", round_robin_lb_config=slow).slow_start is None


def test_health_checks_and_outliers() -> None:
    assert _policy(health_checks=[{**_CHECK, **_RTSP}]).health_check == HealthCheck(
        probe=Probe.OPTIONS, interval=5, timeout=1, healthy_threshold=2, unhealthy_threshold=3
    )
    found = _policy(health_checks=[{**_CHECK, "tcp_health_check": {}}]).health_check
    assert found is not None
    assert found.probe is Probe.CONNECT
    outliers = {"consecutive_5xx": 2, "base_ejection_time": "5s", "max_ejection_time": "50s", "interval": "1s"}
    assert _policy(outlier_detection={**outliers, "max_ejection_percent": 30}).outliers == OutlierDetection(
        consecutive_failures=2, base_ejection=5, max_ejection=50, interval=1, max_percent=30
    )


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"lb_policy": "CLUSTER_PROVIDED"}, "Cluster.lb_policy CLUSTER_PROVIDED is not supported"),
        ({"load_balancing_policy": {"policies": [{}]}}, "Cluster.load_balancing_policy is not supported"),
        ({"max_requests_per_connection": 1}, "Cluster.max_requests_per_connection is not supported"),
        ({"least_request_lb_config": {"choice_count": 1}}, "LeastRequestLbConfig.choice_count must be 2 or more"),
        (
            {"least_request_lb_config": {"active_request_bias": {"default_value": 11.0, "runtime_key": "x"}}},
            "LeastRequestLbConfig.active_request_bias must be from 0 to 10",
        ),
        (
            {
                "round_robin_lb_config": {
                    "slow_start_config": {"slow_start_window": "9s", "min_weight_percent": {"value": 0}}
                }
            },
            "SlowStartConfig.min_weight_percent must be more than 0",
        ),
        (
            {"common_lb_config": {"healthy_panic_threshold": {"value": "NaN"}}},
            "CommonLbConfig.healthy_panic_threshold must be from 0 to 100",
        ),
        ({"ring_hash_lb_config": {"hash_function": "MURMUR_HASH_2"}}, "RingHashLbConfig.hash_function must be XX_HASH"),
        ({"ring_hash_lb_config": {"maximum_ring_size": 100000}}, "RingHashLbConfig.maximum_ring_size must be from 1"),
        ({"ring_hash_lb_config": {"minimum_ring_size": 0}}, "RingHashLbConfig.minimum_ring_size must be from 1"),
        ({"maglev_lb_config": {"table_size": 1000}}, "MaglevLbConfig.table_size must be a prime number"),
        ({"maglev_lb_config": {"table_size": 5000011}}, "MaglevLbConfig.table_size must be a prime number up to"),
        ({"common_lb_config": {"zone_aware_lb_config": {}}}, "CommonLbConfig.zone_aware_lb_config is not supported"),
        (
            {"common_lb_config": {"consistent_hashing_lb_config": {"hash_balance_factor": 120}}},
            "CommonLbConfig.consistent_hashing_lb_config is not supported",
        ),
        ({"circuit_breakers": {"thresholds": [{"max_retries": 1}]}}, "Thresholds.max_retries is not supported"),
        ({"circuit_breakers": {"per_host_thresholds": [{}]}}, "CircuitBreakers.per_host_thresholds is not supported"),
        ({"circuit_breakers": {"thresholds": [{"priority": "HIGH"}]}}, "Thresholds.priority must be DEFAULT"),
        ({"lb_subset_config": {"list_as_any": True}}, "LbSubsetConfig.list_as_any is not supported"),
        (
            {"lb_subset_config": {"subset_selectors": [{"keys": ["a"], "fallback_policy": "KEYS_SUBSET"}]}},
            "LbSubsetSelector.fallback_policy KEYS_SUBSET is not supported",
        ),
        ({"lb_subset_config": {"default_subset": {"a": [1]}}}, "the value of a is no plain one"),
        ({"round_robin_lb_config": {"slow_start_config": {}}}, "SlowStartConfig.slow_start_window must be longer"),
        (
            {"outlier_detection": {"success_rate_minimum_hosts": 3}},
            "OutlierDetection.success_rate_minimum_hosts is not supported",
        ),
        (
            {"outlier_detection": {"consecutive_gateway_failure": 3}},
            "OutlierDetection.consecutive_gateway_failure is not supported",
        ),
        (
            {"outlier_detection": {"enforcing_success_rate": 100}},
            "OutlierDetection.enforcing_success_rate must be 0: success rates are not looked at",
        ),
        ({"outlier_detection": {"consecutive_5xx": 0}}, "OutlierDetection.consecutive_5xx must be 1 or more"),
        ({"health_checks": [{**_CHECK, **_RTSP}] * 2}, "Cluster.health_checks: more than one is not supported"),
        ({"health_checks": [{**_CHECK, "http_health_check": {"path": "/"}}]}, "http_health_check is not supported"),
        ({"health_checks": [{**_CHECK, "custom_health_check": {"name": "x"}}]}, "only tcp_health_check and custom_"),
        (
            {"health_checks": [{**_CHECK, **_RTSP, "interval": "0s"}]},
            "HealthCheck.interval must be longer than nothing",
        ),
        (
            {"health_checks": [{**_CHECK, "tcp_health_check": {"send": {"text": "00"}}}]},
            "TcpHealthCheck.send is not supported",
        ),
    ],
)
def test_what_cannot_be_honoured_is_refused_by_name(fields: dict[str, Any], expected: str) -> None:
    with pytest.raises(RouteTableError, match="cluster a: ") as caught:
        _policy(**fields)
    assert expected in str(caught.value)


def test_a_policy_is_told_in_one_sentence() -> None:
    cluster = {"circuit_breakers": {"thresholds": [{"max_connections": 3}]}, "outlier_detection": {}}
    assert str(_policy(lb_policy="MAGLEV", health_checks=[{**_CHECK, **_RTSP}], **cluster)) == (
        "balanced by Maglev, limited to 3 sessions, checked by OPTIONS every 5 s,"
        " without endpoints that fail 5 times in a row"
    )


def test_an_assignment_says_localities_priorities_weights_health_and_labels() -> None:
    labels = {"filter_metadata": {"envoy.lb": {"quality": "hd", "channel": 1}}}
    endpoint = _endpoint(load_balancing_weight=3, health_status="DEGRADED", metadata=labels)
    locality = {
        "locality": {"region": "r", "zone": "z"},
        "priority": 1,
        "load_balancing_weight": 7,
        "lb_endpoints": [endpoint],
    }
    found = _assignment(locality, policy={"overprovisioning_factor": 200})
    (host,) = found.hosts
    assert found.overprovisioning == 200
    assert (host.weight, host.health, host.priority, host.locality_weight) == (3, Health.DEGRADED, 1, 7)
    assert host.locality == ("r", "z", "")
    assert host.labels == {("quality", ("string_value", "hd")), ("channel", ("number_value", 1.0))}


def test_endpoints_that_drain_are_no_candidates_at_all() -> None:
    assert _assignment({"lb_endpoints": [_endpoint(health_status="DRAINING")]}).hosts == ()
    (host,) = _assignment({"lb_endpoints": [_endpoint(health_status="TIMEOUT")]}).hosts
    assert host.health is Health.UNHEALTHY


@pytest.mark.parametrize(
    ("locality", "more", "expected"),
    [
        ({"priority": 129}, {}, "the priority 129 is above 128"),
        ({"proximity": 3}, {}, "LocalityLbEndpoints.proximity is not supported"),
        ({}, {"policy": {"drop_overloads": [{}]}}, "Policy.drop_overloads is not supported"),
    ],
)
def test_what_an_assignment_cannot_have_is_refused_by_name(
    locality: dict[str, Any], more: dict[str, Any], expected: str
) -> None:
    with pytest.raises(RouteTableError, match=expected):
        _assignment(locality, **more)


def _action(**fields: Any) -> Any:
    return json_format.ParseDict(fields, route_components_pb2.RouteAction())


def test_hash_policies_of_routes() -> None:
    action = _action(
        hash_policy=[
            {"header": {"header_name": ":path"}, "terminal": True},
            {"query_parameter": {"name": "channel"}},
            {"connection_properties": {"source_ip": True}},
        ]
    )
    assert read_hash_policies(action) == (
        HashPolicy(source=HashSource.HEADER, name=":path", terminal=True),
        HashPolicy(source=HashSource.QUERY_PARAMETER, name="channel"),
        HashPolicy(source=HashSource.CLIENT_ADDRESS),
    )


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        ({"cookie": {"name": "x"}}, "HashPolicy.cookie is not supported"),
        ({"connection_properties": {}}, "HashPolicy.connection_properties is not supported"),
        ({"header": {"header_name": "a", "regex_rewrite": {}}}, "Header.regex_rewrite is not supported"),
    ],
)
def test_other_hash_policies_are_refused_by_name(policy: dict[str, Any], expected: str) -> None:
    with pytest.raises(ValueError, match=expected):
        read_hash_policies(_action(hash_policy=[policy]))


def test_a_weighted_cluster_adds_to_the_labels_that_its_route_wants() -> None:
    def match(**labels: str) -> Any:
        return _action(metadata_match={"filter_metadata": {"envoy.lb": labels}}).metadata_match

    merged = merged_labels(match(quality="hd", site="a"), match(site="b"))
    assert dict(merged) == {"quality": ("string_value", "hd"), "site": ("string_value", "b")}
