"""Canaries of a mesh: which documents begin one anew, what is remembered, and what the mesh looks like."""

from __future__ import annotations

from dataclasses import replace

from mesh.documents import compile_documents, load_documents
from mesh.model import Mesh, ObjectName, merge
from xds_server.canary import CanaryController, Evidence, Phase
from xds_server.canary.controller import MAX_HISTORY

OURS = "apiVersion: mediastreamingmesh.io/v1alpha1\n"
LOBBY = ObjectName("default", "lobby")
BAD = {"default/new": Evidence(setups=20, failed=20)}
GOOD = {"default/new": Evidence(setups=20)}


def _mesh(canary: str = "", *, routes: tuple[str, ...] = ("lobby",)) -> Mesh:
    refs = "[{kind: Backend, name: old}, {kind: Backend, name: new}]"
    endpoints = "[{name: a, address: 192.0.2.1}]"
    texts = [
        f"{OURS}kind: Backend\nmetadata: {{name: {name}}}\nspec: {{endpoints: {endpoints}}}\n"
        for name in ("old", "new")
    ]
    texts += [
        f"{OURS}kind: RTSPRoute\nmetadata: {{name: {name}}}\nspec: {{rules: [{{backendRefs: {refs}}}]}}\n"
        for name in routes
    ]
    targets = ", ".join(f"{{kind: RTSPRoute, name: {name}}}" for name in routes)
    spec = f"{{targetRefs: [{targets}], canary: {{backendRef: {{kind: Backend, name: new}}{canary}}}}}"
    texts.append(f"{OURS}kind: MediaPolicy\nmetadata: {{name: trial}}\nspec: {spec}\n")
    return merge([compile_documents(load_documents([("mesh.yaml", "---\n".join(texts))]), source="files")])


def _weights(mesh: Mesh, route: ObjectName = LOBBY) -> list[int]:
    return [each.weight for each in mesh.routes[route].rules[0].backends]


def test_a_mesh_without_canaries_is_as_it_was() -> None:
    mesh = Mesh()
    controller = CanaryController()
    assert controller.update(mesh, 0.0) == []
    assert controller.applied(mesh) is mesh
    assert controller.next_timer() is None


def test_the_weights_of_a_route_follow_its_canary() -> None:
    mesh, controller = _mesh(), CanaryController()
    (begun,) = controller.update(mesh, 0.0)
    assert (begun.route, begun.step.percent) == (LOBBY, 5)
    assert _weights(controller.applied(mesh)) == [19, 1]
    assert controller.measured(GOOD, 1.0) == []
    assert controller.next_timer() == 60.0
    (step,) = controller.tick(60.0)
    assert step.step.percent == 25
    assert _weights(controller.applied(mesh)) == [3, 1]
    (step,) = controller.measured(BAD, 61.0)
    assert step.step.phase is Phase.ROLLED_BACK
    assert _weights(controller.applied(mesh)) == [1, 0]


def test_other_backends_are_no_evidence() -> None:
    mesh, controller = _mesh(), CanaryController()
    controller.update(mesh, 0.0)
    assert controller.measured({"default/old": Evidence(setups=50, failed=50)}, 1.0) == []
    assert controller.rollouts[LOBBY].evidence == Evidence()


def test_what_the_canary_refuses_is_compared_with_the_other_backend_of_its_route() -> None:
    refused = Evidence(setups=20, refused=20)
    for others, told in ((Evidence(setups=400, refused=400), []), (Evidence(setups=400), [Phase.ROLLED_BACK])):
        mesh, controller = _mesh(), CanaryController()
        controller.update(mesh, 0.0)
        steps = controller.measured({"default/new": refused, "default/old": others, "default/foreign": refused}, 1.0)
        assert [each.step.phase for each in steps] == told


def test_what_is_measured_of_a_backend_counts_for_every_route_that_has_it_as_canary() -> None:
    yard = ObjectName("default", "yard")
    mesh, controller = _mesh(routes=("lobby", "yard")), CanaryController()
    controller.update(mesh, 0.0)
    assert {each.route for each in controller.measured(BAD, 1.0)} == {LOBBY, yard}
    applied = controller.applied(mesh)
    assert _weights(applied, LOBBY) == _weights(applied, yard) == [1, 0]


def test_a_canary_whose_document_stays_goes_on_and_another_one_begins_anew() -> None:
    controller = CanaryController()
    controller.update(_mesh(), 0.0)
    controller.measured(BAD, 1.0)
    assert controller.update(_mesh(), 2.0) == []
    assert controller.rollouts[LOBBY].step.phase is Phase.ROLLED_BACK
    (begun,) = controller.update(_mesh(", interval: 2m"), 3.0)
    assert (begun.step.percent, begun.step.at) == (5, 3.0)
    assert [each.step.percent for each in controller.history(LOBBY)] == [5, 0, 5]


def test_a_canary_that_no_document_names_is_forgotten() -> None:
    controller = CanaryController()
    controller.update(_mesh(), 0.0)
    controller.measured(BAD, 1.0)
    controller.update(Mesh(), 2.0)
    assert controller.history(LOBBY) == ()
    (begun,) = controller.update(_mesh(), 3.0)
    assert begun.step.percent == 5


def test_only_so_many_steps_are_remembered() -> None:
    controller = CanaryController()
    mesh = _mesh()
    canary = mesh.canaries[LOBBY]
    for number in range(2 * MAX_HISTORY):
        canaries = {LOBBY: replace(canary, interval=1.0 + number)}
        controller.update(replace(mesh, canaries=canaries), float(number))
    history = tuple(controller.history(LOBBY))
    assert len(history) == MAX_HISTORY
    assert history[-1].step.at == 2 * MAX_HISTORY - 1


def test_sessions_are_sampled_while_loss_is_judged_and_no_longer() -> None:
    mesh, controller = _mesh(", loss: {samplePercent: 20}"), CanaryController()
    controller.update(mesh, 0.0)
    (mirror,) = controller.applied(mesh).routes[LOBBY].rules[0].mirrors
    assert (str(mirror.backend), float(mirror.part)) == ("default/new", 0.2)
    controller.measured(BAD, 1.0)
    assert controller.applied(mesh).routes[LOBBY].rules[0].mirrors == ()
