"""What the API, its metrics and its commands say of what is measured: endpoints, and the canaries that follow."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from api.app import create_app
from mesh.wire import relay_pb2
from tests.api.cli.test_read import msm, serving
from tests.api.measured import FAR, measured_plane, report
from tests.api.metrics import scrape
from tests.api.planes import RTSP_NODE, empty_plane


async def test_an_endpoint_is_shown_with_what_each_proxy_says_of_it(connect):
    plane = measured_plane()
    answer = (await connect(plane).get("/v1/endpoints")).json()
    far, left = answer["items"]
    assert (far["backend"], far["name"], far["address"], far["port"], far["path"]) == (
        "site/far",
        "only",
        "cam.example",
        554,
        "",
    )
    assert (far["packets"], far["lost_packets"], far["jitter"]) == (100, 5, 0.0125)
    (said,) = far["proxies"]
    assert (said["proxy"], said["state"], said["reason"], said["ejected_until"]) == (RTSP_NODE, "healthy", None, None)
    assert (left["setups"], left["failed_setups"], left["sessions"], left["connections"]) == (9, 5, 2, 2)
    assert (left["keepalives"], left["failed_keepalives"], left["frames_dropped"]) == (7, 1, 3)
    (said,) = left["proxies"]
    assert (said["state"], said["reason"]) == ("ejected", "5 failures in a row")
    assert datetime.fromisoformat(said["ejected_until"]) > datetime.now(UTC)


async def test_an_ejection_whose_time_is_over_is_over(connect):
    plane = measured_plane()
    report(plane, relay_pb2.EndpointStatus(endpoint=FAR, healthy=True, ejected_until=1.0, why="5 failures in a row"))
    far = (await connect(plane).get("/v1/endpoints")).json()["items"][0]
    assert (far["proxies"][0]["state"], far["proxies"][0]["reason"]) == ("healthy", None)


async def test_an_endpoint_that_fails_its_checks_is_shown_so(connect):
    plane = measured_plane()
    report(plane, relay_pb2.EndpointStatus(endpoint=FAR, healthy=False, why="no answer within 1 s"))
    far = (await connect(plane).get("/v1/endpoints")).json()["items"][0]
    assert (far["proxies"][0]["state"], far["proxies"][0]["reason"]) == ("failing", "no answer within 1 s")


async def test_endpoints_are_gone_with_the_proxy_that_told_of_them(connect):
    plane = measured_plane()
    plane.relays.stream_closed(plane.relays.streams[RTSP_NODE])
    assert (await connect(plane).get("/v1/endpoints")).json()["items"] == []


async def test_a_canary_is_shown_with_its_way_and_the_routes_with_its_share(connect):
    plane = measured_plane()
    client = connect(plane)
    (canary,) = (await client.get("/v1/canaries")).json()["items"]
    assert (canary["route"], canary["backend"], canary["phase"], canary["percent"], canary["steps"]) == (
        "site/lobby",
        "site/far",
        "stepping",
        20,
        [20, 100],
    )
    assert canary["measured"] == {
        "setups": 4,
        "failed_setups": 0,
        "refused_setups": 0,
        "packets": 100,
        "lost_packets": 5,
    }
    assert canary["waits_for"] == "6 more set-ups"
    (begun,) = canary["history"]
    assert (begun["phase"], begun["percent"], begun["reason"]) == ("stepping", 20, "a new canary begins")
    assert abs((datetime.now(UTC) - datetime.fromisoformat(begun["at"])).total_seconds()) < 60
    report(plane, relay_pb2.EndpointStatus(endpoint=FAR, setups=6, failed_setups=2, healthy=True))
    (canary,) = (await client.get("/v1/canaries")).json()["items"]
    assert (canary["phase"], canary["percent"]) == ("rolled_back", 0)
    assert canary["history"][-1]["reason"] == "2 of 6 set-ups failed"
    (route,) = (await client.get("/v1/routes")).json()["items"]
    assert {each["backend"]: each["share"] for each in route["rules"][0]["backends"]} == {
        "site/pair": 1.0,
        "site/far": 0.0,
    }


async def test_metrics_are_by_backend(connect):
    values = await scrape(connect(measured_plane()))
    pair, far = ("backend", "site/pair"), ("backend", "site/far")
    assert values["msm_endpoints", pair, ("state", "ejected")] == 1
    assert values["msm_endpoints", far, ("state", "healthy")] == 1
    assert values["msm_upstream_connections", pair] == 2
    assert values["msm_upstream_connections_opened_total", pair] == 6
    assert values["msm_setups_total", pair] == 9
    assert values["msm_setups_failed_total", pair] == 5
    assert values["msm_upstream_keepalives_total", pair] == 7
    assert values["msm_upstream_keepalives_failed_total", pair] == 1
    assert values["msm_frames_dropped_total", pair] == 3
    assert values["msm_sampled_packets_total", far] == 100
    assert values["msm_sampled_packets_lost_total", far] == 5
    assert values["msm_sessions_without_endpoint_total", far] == 0
    assert values["msm_canary_share", far, ("route", "site/lobby")] == 0.2


async def test_wrong_passwords_are_told_for_each_filter_and_for_no_other_name(connect):
    plane = measured_plane()
    told = [
        relay_pb2.UsersStatus(users=f"AuthenticationFilter/site/{name}", wrong_passwords=3) for name in ("crew", "gone")
    ]
    report = relay_pb2.ProxyMessage(endpoint_report=relay_pb2.EndpointReport(users=told))
    plane.relays.stream_message(plane.relays.streams[RTSP_NODE], report)
    values = await scrape(connect(plane))
    found = {name[1][1]: value for name, value in values.items() if name[0] == "msm_wrong_passwords_total"}
    assert found == {"site/crew": 3}


async def test_counters_stay_when_the_proxy_is_gone(connect):
    plane = measured_plane()
    plane.relays.stream_closed(plane.relays.streams[RTSP_NODE])
    values = await scrape(connect(plane))
    assert values["msm_setups_total", ("backend", "site/pair")] == 9
    assert ("msm_endpoints", ("backend", "site/pair"), ("state", "ejected")) not in values


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["endpoints"], ["site/far", "only", "healthy", "5 %", "site/pair", "left", "ejected"]),
        (["endpoints", "--wide"], ["cam.example:554", "12.5 ms", "5 failures in a row"]),
        (["endpoints", "--json"], ['"failed_setups": 5']),
        (["canaries"], ["site/lobby", "site/far", "stepping", "20 %", "6 more set-ups", "a new canary begins"]),
        (["canaries", "--wide"], ["20, 100"]),
        (["canaries", "--json"], ['"waits_for": "6 more set-ups"']),
    ],
)
async def test_a_table_shows_what_is_measured(arguments, words):
    async with serving(create_app(measured_plane())) as address:
        result = await msm(*arguments, "--api", address)
    assert result.exit_code == 0
    assert [word for word in words if word not in result.stdout] == []


@pytest.mark.parametrize(
    ("command", "sentence"),
    [("endpoints", "No RTSP proxy has dealt with a camera yet."), ("canaries", "There are no canaries.")],
)
async def test_a_mesh_where_nothing_was_measured_says_so(command, sentence):
    async with serving(create_app(empty_plane())) as address:
        result = await msm(command, "--api", address)
    assert (result.exit_code, result.stdout.strip()) == (0, sentence)
