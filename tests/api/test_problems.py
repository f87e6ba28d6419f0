"""Whatever goes wrong is told as problem details (RFC 9457), with a type that leads to its meaning."""

from __future__ import annotations

import pytest

from api.problems import MEDIA_TYPE, PROBLEM_TYPES
from tests.api.planes import empty_plane, routed_plane


@pytest.mark.parametrize(
    ("method", "path", "status", "detail"),
    [
        ("GET", "/v1/routes/site/nothing", 404, "there is no route site/nothing"),
        ("GET", "/v1/sessions/nothing", 404, "there is no session nothing; it may have ended"),
        ("DELETE", "/v1/sessions/nothing", 404, "there is no session nothing; it may have ended"),
        ("GET", "/v1/proxies/nothing/resources", 404, "no proxy nothing is connected"),
        ("GET", "/v2/routes", 404, "nothing is at /v2/routes; /docs lists what there is"),
        ("POST", "/v1/routes", 405, "POST is not possible here"),
        (
            "GET",
            "/v1/proxies/envoy/resources?type=xxx",
            400,
            'type: "xxx" is no resource type; known are cds, ecds, eds, lds, rds, rtds, sds, srds, vhds, and their type'
            " URLs",
        ),
        ("GET", "/v1/explain", 422, "query.url: Field required"),
        ("GET", "/v1/explain?url=http://h/", 422, "url: not an RTSP URL (rtsp://host[:port]/path)"),
        (
            "POST",
            "/v3/discovery:listeners",
            501,
            "listeners are served over gRPC, at port 0: use api_type DELTA_GRPC or GRPC in place of REST",
        ),
        ("GET", "/readyz", 503, "no media proxy (Envoy) is connected; no RTSP proxy is connected"),
    ],
)
async def test_an_error_is_a_problem(connect, method, path, status, detail):
    response = await connect(routed_plane()).request(method, path)
    assert response.status_code == status
    assert response.headers["content-type"] == MEDIA_TYPE
    problem = response.json()
    assert (problem["status"], problem["detail"]) == (status, detail)
    assert problem["instance"] == path.partition("?")[0]
    assert problem["title"]


async def test_the_type_of_a_problem_leads_to_its_meaning(connect):
    client = connect(empty_plane())
    page = (await client.get("/docs")).text
    link = (await client.get("/nothing")).json()["type"]
    path, _, anchor = link.partition("#")
    assert path == "/docs"
    assert f'id="{anchor}"' in page
    for kind in PROBLEM_TYPES:
        assert f'id="problem-{kind.slug}"' in page


async def test_an_invalid_request_names_each_parameter(connect):
    response = await connect(empty_plane()).get("/v1/explain")
    assert response.json()["errors"] == [{"parameter": "query.url", "message": "Field required"}]


async def test_a_wrong_method_is_told_every_right_one(connect):
    response = await connect(empty_plane()).put("/v1/sessions/s1")
    assert response.status_code == 405
    assert response.headers["allow"] == "DELETE, GET"


async def test_a_defect_is_a_problem_that_tells_nothing_of_the_inside(connect, capsys):
    plane = empty_plane()
    plane.mesh = None  # type: ignore[assignment] - the defect
    response = await connect(plane).get("/v1/routes")
    assert response.status_code == 500
    assert response.headers["content-type"] == MEDIA_TYPE
    assert response.json()["detail"] == "this server failed; its log has details"
    assert "a request failed by a defect of this server" in capsys.readouterr().out
