"""Explanations: the decision of an RTSP proxy, before it is made, with everything that leaves it to chance."""

from __future__ import annotations

import pytest
from envoy.config.endpoint.v3 import endpoint_pb2
from envoy.config.route.v3 import route_pb2

from api.explain import Explainer
from mesh.documents import compile_documents, load_documents, route_options
from mesh.model import Slice
from mesh.wire import relay_pb2
from rtsp_filter.routes.table import RouteTableError
from rtsp_filter.rtsp import URLError
from tests.api.measured import FAR, measured_plane, report
from tests.api.planes import RTSP_NODE, busy_plane, empty_plane, routed_plane
from xds_server.resources import Resource

URL = "rtsp://cameras.example:8554/lobby/1?res=hd"


def explain(plane, url):
    return Explainer(plane).explain(url)


def test_all_candidates_are_listed_with_their_shares():
    found = explain(routed_plane(), URL)
    assert (found.outcome, found.status) == ("routed", 200)
    assert (found.route, found.rule, found.match) == ("site/lobby", "all", 'is or is below "/lobby"')
    assert found.rewritten_path == "/live/1"
    assert [(item.backend, item.weight, item.share) for item in found.candidates] == [
        ("site/pair", 3, 0.75),
        ("site/far", 1, 0.25),
    ]
    assert [(target.endpoint, target.url, target.share) for item in found.candidates for target in item.targets] == [
        ("left", "rtsp://192.0.2.1:554/axis/live/1?res=hd", 0.375),
        ("right", "rtsp://[2001:db8::2]:8554/live/1?res=hd", 0.375),
        ("only", "rtsp://cam.example:554/live/1?res=hd", 0.25),
    ]
    assert found.message == "route site/lobby/all leads to one of 3 servers"


def test_the_same_question_has_the_same_answer():
    explainer = Explainer(routed_plane())
    assert explainer.explain(URL) == explainer.explain(URL)


def test_the_reasons_end_with_the_first_server():
    assert explain(routed_plane(), URL).reasons[-1].startswith("Chosen: endpoint left at 192.0.2.1")


def test_another_host_has_no_route():
    found = explain(routed_plane(), "rtsp://other.example/lobby")
    assert (found.outcome, found.status, found.virtual_host) == ("not_found", 404, None)
    assert found.message == 'no route is for the host "other.example"'
    assert "cameras.example" in found.reasons[0]


def test_another_path_has_no_route_and_every_route_says_why():
    found = explain(routed_plane(), "rtsp://cameras.example/yard")
    assert (found.outcome, found.virtual_host, found.route) == ("not_found", "cameras.example", None)
    assert any(reason.startswith("Route site/lobby/all does not match") for reason in found.reasons)


def without_endpoints(backend):
    return Resource.of(endpoint_pb2.ClusterLoadAssignment(cluster_name=backend))


def test_a_backend_without_endpoints_is_a_503():
    plane = routed_plane()
    plane.routes.update(upsert=[without_endpoints("site/pair")])
    weighted = explain(plane, URL)
    assert (weighted.outcome, weighted.status) == ("routed", 200)
    assert weighted.message == (
        "route site/lobby/all leads to the server only;"
        " 75 % of the sessions get 503, because their backend has no endpoint"
    )
    alone = explain(plane, URL.replace("/lobby", "/lobby"))
    assert alone.candidates[0].targets == ()


def test_a_route_whose_every_backend_is_empty_leads_nowhere():
    plane = empty_plane()
    plane.set_slice(compile_documents(route_options(["/cam=rtsp://192.0.2.5/"]), source="command line"))
    plane.routes.update(upsert=[without_endpoints("default/cam")])
    found = explain(plane, "rtsp://h/cam")
    assert (found.outcome, found.status, found.route) == ("no_endpoint", 503, "default/cam")


def test_a_change_of_the_mesh_changes_the_answer():
    plane = routed_plane()
    explainer = Explainer(plane)
    assert explainer.explain(URL).status == 200
    plane.set_slice(Slice(source="files"))
    assert explainer.explain(URL).status == 404


def test_the_proxies_that_would_serve_are_named():
    plane = busy_plane()
    found = explain(plane, URL)
    assert [(proxy.id, proxy.current) for proxy in found.rtsp_proxies] == [(RTSP_NODE, True)]
    assert found.media_proxies == ("envoy",)


def test_an_rtsp_proxy_that_is_behind_is_not_current():
    plane = busy_plane()
    plane.set_slice(Slice(source="files"))
    assert [proxy.current for proxy in explain(plane, URL).rtsp_proxies] == [False]


def test_endpoints_that_a_proxy_leaves_out_are_said_to_be():
    plane = measured_plane()
    report(plane, relay_pb2.EndpointStatus(endpoint=FAR, healthy=False, why="no answer within 1 s"))
    targets = [target for item in explain(plane, URL).candidates for target in item.targets]
    assert {target.endpoint: target.left_out for target in targets} == {
        "left": (f"{RTSP_NODE}: ejected, 5 failures in a row",),
        "right": (),
        "only": (f"{RTSP_NODE}: failing, no answer within 1 s",),
    }


def test_credentials_are_not_repeated():
    found = explain(routed_plane(), "rtsp://admin:secret@cameras.example/lobby")
    assert "secret" not in found.model_dump_json()


def test_what_is_no_url_is_refused():
    with pytest.raises(URLError):
        explain(empty_plane(), "lobby")


async def test_routes_that_no_proxy_could_read_are_a_problem_of_ours(connect):
    plane = routed_plane()
    unsupported = route_pb2.RouteConfiguration(name="rtsp", internal_only_headers=["x"])
    plane.routes.update(upsert=[Resource.of(unsupported)])
    with pytest.raises(RouteTableError):
        explain(plane, URL)
    response = await connect(plane).get("/v1/explain", params={"url": URL})
    assert response.status_code == 500
    assert "not supported" in response.json()["detail"]


CHOSEN = """
apiVersion: mediastreamingmesh.io/v1alpha1
kind: RTSPRoute
metadata: {name: chosen}
spec:
  rules:
    - matches: [{method: SETUP, headers: [{name: X-Site, value: "a:b"}], queryParams: [{name: q, value: "1"}]}]
      backendRefs: [{kind: Backend, name: cam}]
---
apiVersion: mediastreamingmesh.io/v1alpha1
kind: Backend
metadata: {name: cam}
spec: {endpoints: [{name: only, address: 192.0.2.5}]}
"""


MOVED = """
apiVersion: mediastreamingmesh.io/v1alpha1
kind: RTSPRoute
metadata: {name: moved, namespace: site}
spec:
  rules:
    - name: all
      filters:
        - {type: RequestRedirect, requestRedirect: {hostname: b.example, port: 8554, statusCode: 301}}
        - {type: ResponseHeaderModifier, responseHeaderModifier: {set: [{name: X-Why, value: moved}], remove: [Server]}}
"""


async def test_a_redirect_is_explained_and_listed(connect):
    plane = empty_plane()
    plane.set_slice(compile_documents(load_documents([("m.yaml", MOVED)]), source="files"))
    found = explain(plane, "rtsp://h/x?q=1")
    assert (found.outcome, found.status, found.location) == ("redirected", 301, "rtsp://b.example:8554/x?q=1")
    assert found.message == "route site/moved/all redirects to rtsp://b.example:8554/x?q=1"
    assert found.candidates == ()
    (rule,) = (await connect(plane).get("/v1/routes/site/moved")).json()["rules"]
    assert rule["redirect"] == {"status": 301, "secure": False, "hostname": "b.example", "port": 8554, "path": None}
    assert rule["response_headers"] == {"remove": ["Server"], "set": [{"name": "X-Why", "value": "moved"}], "add": []}
    assert rule["backends"] == []


async def test_method_and_headers_of_the_request_count(connect):
    plane = empty_plane()
    plane.set_slice(compile_documents(load_documents([("m.yaml", CHOSEN)]), source="files"))
    question = {"url": "rtsp://h/x?q=1", "method": "SETUP", "header": ["x-other: 1", "x-site: a:b"]}
    found = (await connect(plane).get("/v1/explain", params=question)).json()
    assert found["outcome"] == "routed"
    assert found["match"] == (
        'starts with "/", the method is "SETUP", the header X-Site is "a:b", the query parameter q is "1"'
    )
    for wrong in ({"method": "DESCRIBE"}, {"header": ["x-site: a"]}, {"url": "rtsp://h/x?q=2"}):
        found = (await connect(plane).get("/v1/explain", params=question | wrong)).json()
        assert (found["outcome"], found["match"]) == ("not_found", None)


@pytest.mark.parametrize("wrong", [{"method": "GET"}, {"header": "no colon"}, {"header": "X: 1\r\nY: 2"}])
async def test_what_is_no_method_or_header_is_refused(connect, wrong):
    response = await connect(empty_plane()).get("/v1/explain", params={"url": URL, **wrong})
    assert response.status_code in (400, 422)


async def test_the_operation_answers_as_the_explainer(connect):
    plane = busy_plane()
    response = await connect(plane).get("/v1/explain", params={"url": URL})
    assert response.json() == explain(plane, URL).model_dump(mode="json")
