"""Policies of backends become fields of clusters, which the RTSP proxy reads as they were meant."""

from dataclasses import replace

import pytest
from envoy.config.cluster.v3 import cluster_pb2

from mesh.gateways import (
    Algorithm,
    Described,
    Ejection,
    HealthCheck,
    MediaSource,
    OnBackendFailure,
    PolicySettings,
    ProbeProtocol,
)
from mesh.model import Backend, Endpoint, Mesh, ObjectName, Route, Rule, WeightedBackend
from rtsp_filter.balancing import Algorithm as ReadAlgorithm
from rtsp_filter.balancing import Breaker, ClusterPolicy, OutlierDetection, Probe
from rtsp_filter.balancing import HealthCheck as ReadHealthCheck
from rtsp_filter.resources.cluster_reading import read_cluster
from xds_server.compile.routes import RouteCompiler

LOBBY = ObjectName("default", "lobby")


def _mesh(policy: PolicySettings | None) -> Mesh:
    route = Route(
        name=LOBBY, rules=(Rule(name="rule-0", matches=(), backends=(WeightedBackend(backend=LOBBY),)),), hostnames=()
    )
    backend = Backend(name=LOBBY, endpoints=(Endpoint(name="a", address="192.0.2.1", port=554),))
    policies = {} if policy is None else {LOBBY: policy}
    return Mesh(routes={LOBBY: route}, backends={LOBBY: backend}, backend_policies=policies)


CHECK = HealthCheck(
    protocol=ProbeProtocol.RTSP,
    port=None,
    path="/",
    interval=2.5,
    timeout=0.5,
    healthy_threshold=2,
    unhealthy_threshold=4,
)


def _read(policy: PolicySettings | None) -> ClusterPolicy:
    messages = RouteCompiler().compile(_mesh(policy)).upsert
    (cluster,) = (message for message in messages if isinstance(message, cluster_pb2.Cluster))
    return read_cluster(cluster).policy


def test_without_a_policy_clusters_say_nothing_of_balancing() -> None:
    assert _read(None) == ClusterPolicy()


def test_every_setting_is_read_as_it_was_meant() -> None:
    policy = PolicySettings(
        algorithm=Algorithm.MAGLEV,
        max_sessions=10,
        health_check=CHECK,
        ejection=Ejection(failures=3, base=400.0, max_percent=50),
        on_backend_failure=OnBackendFailure.MOVE,
    )
    assert _read(policy) == ClusterPolicy(
        algorithm=ReadAlgorithm.MAGLEV,
        table_size=16_381,
        panic_percent=1,
        breaker=Breaker(max_sessions=10),
        outliers=OutlierDetection(consecutive_failures=3, base_ejection=400.0, max_ejection=400.0, max_percent=50),
        health_check=ReadHealthCheck(
            probe=Probe.OPTIONS, interval=2.5, timeout=0.5, healthy_threshold=2, unhealthy_threshold=4
        ),
        moves_sessions=True,
    )


def test_every_algorithm_is_read_as_it_was_meant() -> None:
    read = {algorithm: _read(PolicySettings(algorithm=algorithm)).algorithm.name for algorithm in Algorithm}
    assert read == {algorithm: algorithm.name for algorithm in Algorithm}


def test_a_check_by_tcp_only_connects() -> None:
    check = replace(CHECK, protocol=ProbeProtocol.TCP)
    read = _read(PolicySettings(health_check=check)).health_check
    assert read is not None
    assert read.probe is Probe.CONNECT


def test_a_check_by_describe_is_read_as_it_was_meant() -> None:
    check = replace(CHECK, describe=Described(path="/low", codecs=("video/H264",)))
    read = _read(PolicySettings(health_check=check)).health_check
    assert read is not None
    assert (read.probe, read.path, read.codecs) == (Probe.DESCRIBE, "/low", ("video/H264",))


def test_a_policy_that_changes_changes_its_cluster_alone() -> None:
    compiler = RouteCompiler()
    compiler.compile(_mesh(None))
    messages = compiler.compile(_mesh(PolicySettings(max_sessions=5))).upsert
    assert {message.DESCRIPTOR.name for message in messages} == {"Cluster", "ClusterLoadAssignment"}
    assert not compiler.compile(_mesh(PolicySettings(max_sessions=5))).upsert


@pytest.mark.parametrize("source", MediaSource)
def test_whose_packets_are_taken_is_read_as_it_was_meant(source: MediaSource) -> None:
    assert _read(PolicySettings(media_source=source)) == ClusterPolicy(media_source=source)
