"""Which endpoint of a cluster a session goes to, as Envoy's Cluster says: pure, with time and chance as arguments."""

from rtsp_filter.balancing.balancer import Balancer, ClusterView, Use
from rtsp_filter.balancing.cluster import NO_ENDPOINT, HostEvent, Refusal, RefusalKind
from rtsp_filter.balancing.hashing import HashPolicy, HashSource, hash_of
from rtsp_filter.balancing.health import HealthSchedule, Question
from rtsp_filter.balancing.hosts import Assignment, Health, Host, HostKey, HostState, key_of
from rtsp_filter.balancing.settings import (
    MAX_RING_SIZE,
    MAX_TABLE_SIZE,
    Algorithm,
    Breaker,
    ClusterPolicy,
    Fallback,
    HealthCheck,
    Labels,
    OutlierDetection,
    Probe,
    SlowStart,
    Subsets,
    SubsetSelector,
)

__all__ = [
    "MAX_RING_SIZE",
    "MAX_TABLE_SIZE",
    "NO_ENDPOINT",
    "Algorithm",
    "Assignment",
    "Balancer",
    "Breaker",
    "ClusterPolicy",
    "ClusterView",
    "Fallback",
    "HashPolicy",
    "HashSource",
    "Health",
    "HealthCheck",
    "HealthSchedule",
    "Host",
    "HostEvent",
    "HostKey",
    "HostState",
    "Labels",
    "OutlierDetection",
    "Probe",
    "Question",
    "Refusal",
    "RefusalKind",
    "SlowStart",
    "SubsetSelector",
    "Subsets",
    "Use",
    "hash_of",
    "key_of",
]
