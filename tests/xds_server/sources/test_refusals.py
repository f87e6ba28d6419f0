"""A refused change is told one problem a line, and not without end."""

from __future__ import annotations

from structlog.testing import capture_logs

from xds_server.control_plane import ControlPlane, ControlPlaneSettings
from xds_server.media import MediaSettings
from xds_server.relays.slots import SlotLayout
from xds_server.sources.refusals import SHOWN_PROBLEMS, refusal_lines


def test_each_problem_has_a_line() -> None:
    assert refusal_lines("mesh.yaml:3: unknown field\nmesh.yaml:7: unknown kind") == [
        "mesh.yaml:3: unknown field",
        "mesh.yaml:7: unknown kind",
    ]


def test_what_does_not_fit_a_screen_is_counted() -> None:
    problems = [f"mesh.yaml:{number}: unknown field" for number in range(SHOWN_PROBLEMS + 3)]
    assert refusal_lines("\n".join(problems[:SHOWN_PROBLEMS])) == problems[:SHOWN_PROBLEMS]
    assert refusal_lines("\n".join(problems)) == [*problems[:SHOWN_PROBLEMS], "3 more, see msm sources"]


def test_the_log_has_a_line_for_each_problem() -> None:
    plane = ControlPlane(
        ControlPlaneSettings(
            listen="127.0.0.1:0",
            media=MediaSettings(layout=SlotLayout(first_port=20000, last_port=20015), addresses=("127.0.0.1",)),
        )
    )
    with capture_logs() as lines:
        plane.source_failed("files", "mesh.yaml:3: unknown field\nmesh.yaml:7: unknown kind")
    assert [(line["source"], line["error"]) for line in lines] == [
        ("files", "mesh.yaml:3: unknown field"),
        ("files", "mesh.yaml:7: unknown kind"),
    ]
