"""What a Cluster says of balancing → a ClusterPolicy, and what a route says of where its sessions belong.

Sessions stand where Envoy counts connections, set-ups that are not answered yet where it counts pending requests.

Envoy API: config.cluster.v3.Cluster, CircuitBreakers, OutlierDetection; config.route.v3.RouteAction.HashPolicy.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import inf
from typing import Any

from envoy.config.cluster.v3 import cluster_pb2
from envoy.config.core.v3 import base_pb2

from mesh.gateways import MediaSource, OnBackendFailure
from mesh.objects import GROUP, MEDIA_SOURCE, ON_BACKEND_FAILURE
from rtsp_filter.balancing import (
    MAX_RING_SIZE,
    MAX_TABLE_SIZE,
    Algorithm,
    Breaker,
    ClusterPolicy,
    Fallback,
    HashPolicy,
    HashSource,
    Labels,
    SlowStart,
    Subsets,
    SubsetSelector,
)
from rtsp_filter.resources.health_reading import read_health_check, read_outliers
from rtsp_filter.resources.reading import only

POLICY_FIELDS = {
    "lb_policy",
    "round_robin_lb_config",
    "least_request_lb_config",
    "ring_hash_lb_config",
    "maglev_lb_config",
    "common_lb_config",
    "circuit_breakers",
    "lb_subset_config",
    "outlier_detection",
    "health_checks",
}
_LABELS = "envoy.lb"
MAX_BIAS = 10
"""Sessions to this power are still numbers; with more the endpoint with the fewest sessions would not change."""
_C = cluster_pb2.Cluster
_ALGORITHMS = {
    _C.ROUND_ROBIN: Algorithm.ROUND_ROBIN,
    _C.LEAST_REQUEST: Algorithm.LEAST_REQUEST,
    _C.RANDOM: Algorithm.RANDOM,
    _C.RING_HASH: Algorithm.RING_HASH,
    _C.MAGLEV: Algorithm.MAGLEV,
}
_FALLBACKS = {
    _C.LbSubsetConfig.NO_FALLBACK: Fallback.NONE,
    _C.LbSubsetConfig.ANY_ENDPOINT: Fallback.ANY,
    _C.LbSubsetConfig.DEFAULT_SUBSET: Fallback.DEFAULT,
}
_Selector = _C.LbSubsetConfig.LbSubsetSelector
_SELECTOR_FALLBACKS = {
    _Selector.NOT_DEFINED: None,
    _Selector.NO_FALLBACK: Fallback.NONE,
    _Selector.ANY_ENDPOINT: Fallback.ANY,
    _Selector.DEFAULT_SUBSET: Fallback.DEFAULT,
}


def read_policy(cluster: Any) -> ClusterPolicy:
    """How a Cluster balances. Raises ValueError for what cannot be honoured."""
    if cluster.lb_policy not in _ALGORITHMS:
        raise ValueError(f"Cluster.lb_policy {_C.LbPolicy.Name(cluster.lb_policy)} is not supported")
    common = cluster.common_lb_config
    only(common, {"healthy_panic_threshold", "locality_weighted_lb_config"})
    panic = common.healthy_panic_threshold.value if common.HasField("healthy_panic_threshold") else 50.0
    if not 0 <= panic <= 100:
        raise ValueError("CommonLbConfig.healthy_panic_threshold must be from 0 to 100")
    choices, bias = _least_request(cluster)
    minimum, maximum = _ring_sizes(cluster)
    return ClusterPolicy(
        algorithm=_ALGORITHMS[cluster.lb_policy],
        choice_count=choices,
        active_request_bias=bias,
        minimum_ring_size=minimum,
        maximum_ring_size=maximum,
        table_size=_table_size(cluster),
        panic_percent=panic,
        locality_weighted=common.HasField("locality_weighted_lb_config"),
        breaker=_breaker(cluster),
        subsets=_subsets(cluster.lb_subset_config) if cluster.HasField("lb_subset_config") else None,
        slow_start=_slow_start(cluster),
        outliers=read_outliers(cluster),
        health_check=read_health_check(cluster),
        moves_sessions=_moves_sessions(cluster.metadata),
        media_source=MediaSource(_said(cluster.metadata, MEDIA_SOURCE) or MediaSource.ANY.value),
    )


def _moves_sessions(metadata: Any) -> bool:
    return OnBackendFailure(_said(metadata, ON_BACKEND_FAILURE) or OnBackendFailure.END.value) is OnBackendFailure.MOVE


def _said(metadata: Any, name: str) -> str:
    """What our own metadata says under a name; empty: nothing."""
    facts = metadata.filter_metadata.get(GROUP)
    return "" if facts is None or name not in facts.fields else str(facts.fields[name].string_value)


def read_labels(metadata: Any) -> Labels:
    """Plain values of `envoy.lb` metadata. Raises ValueError for others, which no route could ask for."""
    facts = metadata.filter_metadata.get(_LABELS)
    return frozenset() if facts is None else _labels(facts)


def merged_labels(route: Any, cluster: Any) -> Labels:
    """What a weighted cluster's metadata_match adds to the route's, or says instead."""
    return frozenset({**dict(read_labels(route)), **dict(read_labels(cluster))}.items())


def read_hash_policies(action: Any) -> tuple[HashPolicy, ...]:
    """RouteAction.hash_policy. Raises ValueError for what cannot be honoured."""
    return tuple(_hash_policy(policy) for policy in action.hash_policy)


def _hash_policy(policy: Any) -> HashPolicy:
    kind = policy.WhichOneof("policy_specifier")
    if kind == "header":
        only(policy.header, {"header_name"})
        return HashPolicy(source=HashSource.HEADER, name=policy.header.header_name, terminal=policy.terminal)
    if kind == "query_parameter":
        return HashPolicy(source=HashSource.QUERY_PARAMETER, name=policy.query_parameter.name, terminal=policy.terminal)
    if kind == "connection_properties" and policy.connection_properties.source_ip:
        return HashPolicy(source=HashSource.CLIENT_ADDRESS, terminal=policy.terminal)
    raise ValueError(f"RouteAction.HashPolicy.{kind} is not supported")


def _labels(facts: Any) -> Labels:
    return frozenset((name, _plain(name, value)) for name, value in facts.fields.items())


def _plain(name: str, value: Any) -> tuple[str, object]:
    """A value with its kind, because True and 1 are no equals here."""
    kind = value.WhichOneof("kind")
    if kind in ("list_value", "struct_value"):
        raise ValueError(f"{_LABELS}: the value of {name} is no plain one")
    return kind, getattr(value, kind)


def _least_request(cluster: Any) -> tuple[int, float]:
    config = cluster.least_request_lb_config
    only(config, {"choice_count", "active_request_bias", "slow_start_config"})
    only(config.active_request_bias, {"default_value", "runtime_key"})
    choices = config.choice_count.value if config.HasField("choice_count") else 2
    if choices < 2:
        raise ValueError("LeastRequestLbConfig.choice_count must be 2 or more")
    bias = config.active_request_bias.default_value if config.HasField("active_request_bias") else 1.0
    if not 0 <= bias <= MAX_BIAS:
        raise ValueError(f"LeastRequestLbConfig.active_request_bias must be from 0 to {MAX_BIAS}")
    return choices, bias


def _ring_sizes(cluster: Any) -> tuple[int, int]:
    config = cluster.ring_hash_lb_config
    if config.hash_function != _C.RingHashLbConfig.XX_HASH:
        raise ValueError("RingHashLbConfig.hash_function must be XX_HASH")
    minimum = config.minimum_ring_size.value if config.HasField("minimum_ring_size") else 1024
    maximum = config.maximum_ring_size.value if config.HasField("maximum_ring_size") else MAX_RING_SIZE
    for name, size in (("minimum_ring_size", minimum), ("maximum_ring_size", maximum)):
        if not 1 <= size <= MAX_RING_SIZE:
            raise ValueError(f"RingHashLbConfig.{name} must be from 1 to {MAX_RING_SIZE}")
    if minimum > maximum:
        raise ValueError("RingHashLbConfig.minimum_ring_size is above maximum_ring_size")
    return minimum, maximum


def _table_size(cluster: Any) -> int:
    config = cluster.maglev_lb_config
    size = int(config.table_size.value) if config.HasField("table_size") else 65_537
    if size > MAX_TABLE_SIZE or not _is_prime(size):
        raise ValueError(f"MaglevLbConfig.table_size must be a prime number up to {MAX_TABLE_SIZE}")
    return size


def _is_prime(number: int) -> bool:
    return number > 1 and all(number % divisor for divisor in range(2, int(number**0.5) + 1))


def _breaker(cluster: Any) -> Breaker:
    only(cluster.circuit_breakers, {"thresholds"})
    found = Breaker()
    for thresholds in cluster.circuit_breakers.thresholds:
        if thresholds.priority != base_pb2.DEFAULT:
            raise ValueError("CircuitBreakers.Thresholds.priority must be DEFAULT: RTSP has no other")
        only(thresholds, {"max_connections", "max_pending_requests", "priority"})
        found = Breaker(
            max_sessions=_value(thresholds, "max_connections"), max_setups=_value(thresholds, "max_pending_requests")
        )
    return found


def _value(message: Any, name: str) -> int | None:
    return int(getattr(message, name).value) if message.HasField(name) else None


def _subsets(config: Any) -> Subsets | None:
    only(config, {"fallback_policy", "default_subset", "subset_selectors"})
    return Subsets(
        selectors=tuple(_selectors(config)),
        fallback=_FALLBACKS[config.fallback_policy],
        default=_labels(config.default_subset),
    )


def _selectors(config: Any) -> Iterator[SubsetSelector]:
    for selector in config.subset_selectors:
        only(selector, {"keys", "fallback_policy"})
        if selector.fallback_policy not in _SELECTOR_FALLBACKS:
            name = _Selector.LbSubsetSelectorFallbackPolicy.Name(selector.fallback_policy)
            raise ValueError(f"LbSubsetSelector.fallback_policy {name} is not supported")
        yield SubsetSelector(keys=frozenset(selector.keys), fallback=_SELECTOR_FALLBACKS[selector.fallback_policy])


def _slow_start(cluster: Any) -> SlowStart | None:
    """That of the algorithm in use; one of another algorithm means nothing, in Envoy too."""
    only(cluster.round_robin_lb_config, {"slow_start_config"})
    configs = {_C.ROUND_ROBIN: cluster.round_robin_lb_config, _C.LEAST_REQUEST: cluster.least_request_lb_config}
    config = configs.get(cluster.lb_policy)
    if config is None or not config.HasField("slow_start_config"):
        return None
    slow = config.slow_start_config
    window = slow.slow_start_window.ToNanoseconds() / 1e9
    if window <= 0:
        raise ValueError("SlowStartConfig.slow_start_window must be longer than nothing")
    aggression = slow.aggression.default_value if slow.HasField("aggression") else 1.0
    if not 0 < aggression < inf:
        raise ValueError("SlowStartConfig.aggression must be more than 0")
    least = slow.min_weight_percent.value if slow.HasField("min_weight_percent") else 10.0
    if not 0 < least <= 100:
        raise ValueError("SlowStartConfig.min_weight_percent must be more than 0, and 100 at most")
    return SlowStart(window=window, aggression=aggression, min_weight=least / 100)
