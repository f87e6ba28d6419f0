"""docs/interop.md says which players, transports and cameras are tried together: drawn from the tests that try them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path
from typing import Any

from tests.integration import (
    test_multicast,
    test_play_converted,
    test_play_matrix,
    test_play_tunnelled,
    test_record,
    test_rtsp_version2,
)
from tests.peers.players import Player, Shared, Transport

PAGE = Path(__file__).parents[2] / "docs" / "interop.md"
INTRODUCTION = """# What plays with what

Drawn by `tests/integration/test_interop.py` from the tests of every release: a mark is a test in which a real program
decodes at least fifty pictures through the mesh, all of them the camera's, in order and without a gap. Where a camera
knows only the other transport than its player, the mesh turns one into the other.

ffmpeg and GStreamer come from Debian 12; VLC from Debian testing, since Debian 12's cannot open rtsp://. "GStreamer" as
a camera is gst-rtsp-server, as a publisher rtspclientsink; ffmpeg as a server takes one publisher.
"""
NOT_TRIED = """
Not tried: RTSPS with VLC (it has no way to trust a certificate of our own without a person), RTSP 2.0 with anything but
GStreamer (nothing else speaks it), cameras that one can hold in the hand.
"""
NAMES = {Player.FFMPEG: "ffmpeg", Player.GSTREAMER: "GStreamer", Player.VLC: "VLC"}
CAMERAS = {
    test_play_matrix.Camera.BUNDLED: "bundled camera",
    test_play_matrix.Camera.GSTREAMER_AAC: "GStreamer, AAC",
    test_play_matrix.Camera.GSTREAMER_PCMU: "GStreamer, PCMU",
}
ONE_TRANSPORT = "GStreamer, other transport only"
MULTICAST_ONLY = "GStreamer, multicast only"
COLUMNS = [*CAMERAS.values(), ONE_TRANSPORT, MULTICAST_ONLY]


def cases(test: Callable[..., Any]) -> Iterator[dict[str, Any]]:
    """The parameters of every case of a test."""
    marks = [mark.args for mark in getattr(test, "pytestmark", []) if mark.name == "parametrize"]
    names = [(name,) if isinstance(name, str) else tuple(name) for name, _ in marks]
    for values in product(*(list(choices) for _, choices in marks)):
        case: dict[str, Any] = {}
        for keys, value in zip(names, values, strict=True):
            case.update(zip(keys, value if len(keys) > 1 else (value,), strict=True))
        yield case


def played() -> dict[tuple[str, str], set[str]]:
    """Cameras by player and by how it gets its media."""
    found: dict[tuple[str, str], set[str]] = defaultdict(set)
    for case in cases(test_play_matrix.test_player_decodes_every_frame_of_the_camera_through_the_mesh):
        found[NAMES[case["player"]], f"RTSP, {case['transport'].upper()}"].add(CAMERAS[case["kind"]])
    for case in cases(test_play_converted.test_a_camera_that_refuses_the_players_transport_is_asked_for_the_other_one):
        found[NAMES[case["player"]], f"RTSP, {case['transport'].upper()}"].add(ONE_TRANSPORT)
    for case in cases(test_multicast.test_player_decodes_every_frame_from_a_group):
        found[NAMES[case["player"]], "RTSP, multicast"].add("GStreamer, PCMU")
    for _ in cases(test_multicast.test_gstreamer_decodes_every_frame_from_a_group_in_version_2):
        found["GStreamer", "RTSP 2.0, multicast"].add("GStreamer, PCMU")
    for case in cases(test_multicast.test_a_camera_that_sends_to_a_group_only_is_played):
        way = "multicast" if case["transport"] is Shared.MULTICAST else case["transport"].upper()
        found[NAMES[case["player"]], f"RTSP, {way}"].add(MULTICAST_ONLY)
    for case in cases(test_rtsp_version2.test_gstreamer_plays_in_version_2_through_the_mesh):
        found["GStreamer", f"RTSP 2.0, {case['transport'].upper()}"].add("GStreamer, PCMU")
    for case in cases(test_play_tunnelled.test_player_decodes_every_frame_of_the_camera):
        way = "RTSPS, TCP" if isinstance(case["transport"], Transport) else f"RTSP over {case['transport'].upper()}"
        found[NAMES[case["player"]], way].add("bundled camera")
    return found


def published() -> Iterator[tuple[str, str, str]]:
    """Publisher, how it sends, and how the server gets it."""
    for case in cases(test_record.test_a_server_gets_every_picture_of_a_publisher_through_the_mesh):
        yield NAMES[Player(case["publisher"])], case["transport"].upper(), case["transport"].upper()
    for case in cases(test_record.test_a_server_may_get_its_media_by_another_transport_than_the_publisher_sends):
        transport = case["transport"]
        yield NAMES[Player.FFMPEG], transport.upper(), test_record.OTHER[transport].upper()


def draw() -> str:
    players = table(
        ["player", "by", *COLUMNS],
        [
            [*key, *("✓" if camera in cameras else "" for camera in COLUMNS)]
            for key, cameras in sorted(played().items())
        ],
    )
    publishers = table(["publisher", "sends by", "ffmpeg gets it by"], sorted(published()))
    return f"{INTRODUCTION}\n## Players\n\n{players}\n\n## Publishers\n\n{publishers}\n{NOT_TRIED}"


def table(head: list[str], rows: Any) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def test_the_page_shows_what_is_tried() -> None:
    stale = not PAGE.exists() or PAGE.read_text() != draw()
    if stale:
        PAGE.write_text(draw())
    assert not stale, "docs/interop.md was stale; it is redrawn, commit it"
