"""How a server is spoken to: what a route table knows of it, and what becomes of that where it leads elsewhere."""

import pytest

from mesh.model import BackendTLS, BackendTransport, Endpoint
from rtsp_filter.resources.access import PLAIN, Access
from rtsp_filter.resources.cluster_reading import Cluster
from rtsp_filter.routes.table import RouteTable
from rtsp_filter.rtsp import RTSPURL, Credentials, RTSPError

ANN = Credentials(username="ann", password="s3cret")  # noqa: S106
TLS = BackendTLS(hostname="cam.example")


def endpoint(*, transport: BackendTransport = BackendTransport.AUTO, credentials: str = "") -> Endpoint:
    return Endpoint(name="a", address="192.0.2.1", port=554, transport=transport, credentials=credentials)


def test_a_table_knows_how_its_endpoints_are_spoken_to() -> None:
    clusters = {"plain": Cluster(name="plain"), "tls": Cluster(name="tls", tls=TLS)}
    table = RouteTable(clusters=clusters, credentials={"one": ANN})
    assert table.access("plain", endpoint()) == PLAIN
    full = table.access("tls", endpoint(transport=BackendTransport.HTTP, credentials="one"))
    assert full == Access(tls=TLS, tunnelled=True, credentials=ANN)
    assert "s3cret" not in repr(full)


@pytest.mark.parametrize(("cluster", "credentials"), [("gone", ""), ("plain", "late")])
def test_where_it_is_not_known_nobody_is_spoken_to(cluster: str, credentials: str) -> None:
    table = RouteTable(clusters={"plain": Cluster(name="plain")})
    with pytest.raises(RTSPError) as caught:
        table.access(cluster, endpoint(credentials=credentials))
    assert caught.value.status == 503


@pytest.mark.parametrize(
    ("access", "scheme", "interleaved_only"),
    [
        (PLAIN, "rtsp", False),
        (Access(tls=TLS), "rtsps", True),
        (Access(tunnelled=True), "rtsp", True),
        (Access(tls=TLS, tunnelled=True), "rtsp", True),
    ],
)
def test_media_stays_inside_of_what_is_encrypted_or_tunnelled(
    access: Access, scheme: str, interleaved_only: bool
) -> None:
    assert (access.scheme, access.interleaved_only) == (scheme, interleaved_only)


def test_credentials_stay_at_the_port_that_they_are_for() -> None:
    access = Access(credentials=ANN)
    assert access.led_to(RTSPURL.parse("rtsp://cam/x"), 554) == access
    moved = access.led_to(RTSPURL.parse("rtsp://cam:8554/x"), 554)
    assert (moved.credentials, moved.withheld, moved.knows_password) == (None, True, True)
    assert moved.led_to(RTSPURL.parse("rtsp://cam/x"), 554).knows_password
    assert not PLAIN.led_to(RTSPURL.parse("rtsp://cam:8554/x"), 554).knows_password


def test_a_redirect_may_lead_to_tls_and_is_verified_there() -> None:
    led = PLAIN.led_to(RTSPURL.parse("rtsps://cam.example/x"), 554)
    assert led.tls == TLS
    own = Access(tls=BackendTLS(hostname="other", authorities="PEM"))
    assert own.led_to(RTSPURL.parse("rtsps://cam.example/x"), 322) == own
