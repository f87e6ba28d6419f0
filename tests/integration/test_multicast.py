"""Multicast on either leg: groups of the mesh's own for players, groups of cameras for the mesh."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from signal import SIGINT
from typing import Any

import pytest

from rtsp_filter.proxy.limits import RESUME_GRACE
from tests.peers import group_wire
from tests.peers.cameras import SYSTEM_PYTHON, GstCamera
from tests.peers.clip import AudioCodec, Clip
from tests.peers.frames import MD5Lines, assert_audible, assert_contiguous
from tests.peers.mesh import Mesh
from tests.peers.namespaces import Network, network
from tests.peers.players import GST_PLAYER, GSTREAMER_WAYS, Played, Player, Shared, Transport, Way, play
from tests.peers.process import START_SECONDS, Process, wait_until

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[2]
GROUP = "239.77.1.0"
CAMERA_GROUPS = "239.88.0."
TTL = 3
FRAMES = 50
TRACKS = 2
HOSTS = ("mesh", "camera", "one", "two")
# Nothing is waited for but messages: players say goodbye.
SECONDS = 10.0
# Packets that pass within a second or so.
SOME_PACKETS = 50
READERS = 30

DOCUMENTS = """
apiVersion: mediastreamingmesh.io/v1alpha1
kind: Backend
metadata: {{name: told}}
spec:
  endpoints:
    - {{name: camera, address: {address}, port: {port}, transport: {transport}}}
    - {{name: same, address: {address}, port: {second}, transport: {transport}}}
---
apiVersion: mediastreamingmesh.io/v1alpha1
kind: MediaPolicy
metadata: {{name: told}}
spec: {{targetRefs: [{{kind: Backend, name: told}}], session: {{onBackendFailure: Move}}}}
---
apiVersion: mediastreamingmesh.io/v1alpha1
kind: RTSPRoute
metadata: {{name: told}}
spec:
  rules:
    - matches: [{{path: {{value: /told}}}}]
      filters:
        - type: URLRewrite
          urlRewrite: {{path: {{type: ReplacePrefixMatch, replacePrefixMatch: /}}}}
      backendRefs: [{{kind: Backend, name: told}}]
"""


@dataclass(kw_only=True)
class Scene:
    """Four hosts on a network: one with the mesh, one with a camera, two with players; and what the last one hears."""

    net: Network
    mesh: Mesh
    camera: GstCamera
    wire: Process

    def play(
        self,
        player: Player,
        host: str = "one",
        transport: Way = Shared.MULTICAST,
        while_playing: Callable[[], None] = lambda: None,
    ) -> Played:
        """Every picture that the player decodes is the camera's."""
        played = play(
            player,
            self.mesh.url("/stream"),
            transport,
            frames=FRAMES * (1 + player.breaks),
            prefix=self.net[host].command([]),
            while_playing=while_playing,
        )
        clip = self.camera.clip
        assert_contiguous(played.frames, clip.frames, minimum=FRAMES, breaks=player.breaks)
        assert_audible(played.audio, seconds=1, rate=clip.audio_rate, channels=clip.audio_channels)
        return played

    @contextmanager
    def reader(self, *options: str, path: str = "/stream") -> Iterator[Process]:
        """Somebody who asks for multicast."""
        program = [sys.executable, "-m", "tests.peers.group_reader", self.mesh.url(path), *options]
        with Process(self.net["one"].command(program), cwd=ROOT) as process:
            process.wait_for_line('"event": "playing"')
            yield process

    def tell(self, folder: Path, *, transport: str, second: int) -> None:
        """Routes /told to the camera and an equal one at another port, whose media comes this way."""
        address = self.net["camera"].ipv4
        documents = DOCUMENTS.format(address=address, port=self.camera.port, second=second, transport=transport)
        (folder / "told.yaml").write_text(documents)
        wait_until(lambda: "default/told" in str(self.mesh.items("/v1/routes")), SECONDS, "the route")

    def heard(self, event: str) -> list[dict[str, Any]]:
        """What has been heard on the network."""
        return [told for told in told_by(self.wire) if told["event"] == event]

    def hosts(self, event: str, group: str) -> set[str]:
        """Who has joined or left a group, given the beginning of its address."""
        return {told["host"] for told in self.heard(event) if told["group"].startswith(group)}

    def packets(self, group: str = GROUP) -> int:
        """How many have gone to a group."""
        counts = self.heard("counted")
        return counts[-1]["packets"].get(group, 0) if counts else 0

    def wait_for_packets(self) -> None:
        """Some more."""
        goal = self.packets() + SOME_PACKETS
        wait_until(lambda: self.packets() >= goal, SECONDS, f"{goal} packets to {GROUP}")

    def wait_for_silence(self, group: str) -> None:
        """Nobody's sessions are left, and nothing goes to the group any more. Who hung up might come back at first."""
        wait_until(lambda: not self.mesh.items("/v1/sessions"), RESUME_GRACE + SECONDS, "the end of all sessions")
        wait_until(lambda: {"event": "quiet", "group": group} in self.heard("quiet"), SECONDS, "silence")
        assert self.mesh.items("/v1/relays") == []

    def transports(self) -> Counter[str]:
        """How players of all sessions get their media; a feed is one that gets it by UDP."""
        return Counter(session["transport"] for session in self.mesh.items("/v1/sessions"))


def told_by(process: Process) -> list[dict[str, Any]]:
    return [json.loads(line) for line in list(process.lines) if line.startswith("{")]


@contextmanager
def running(clip: Clip, *options: str, protocols: str = "udp", groups: str = f"{GROUP}/31") -> Iterator[Scene]:
    with ExitStack() as stack:
        net = stack.enter_context(network(*HOSTS))
        inside = {name: tuple(net[name].command([])) for name in HOSTS}
        address = net["camera"].ipv4
        camera = stack.enter_context(GstCamera(clip, address=address, prefix=inside["camera"], protocols=protocols))
        wire = stack.enter_context(Process([*inside["two"], sys.executable, str(Path(group_wire.__file__))]))
        wire.wait_for_line("listening")
        mesh = stack.enter_context(Mesh(address=net["mesh"].ipv4, prefix=inside["mesh"]))
        routes = [f"--route={path}={camera.url}" for path in ("/stream", "/again")]
        mesh.up(*routes, "--multicast-groups", groups, "--multicast-ttl", str(TTL), *options)
        yield Scene(net=net, mesh=mesh, camera=camera, wire=wire)


@pytest.fixture
def scene(clips: dict[AudioCodec, Clip]) -> Iterator[Scene]:
    with running(clips[AudioCodec.PCMU]) as scene:
        yield scene


@pytest.mark.parametrize("player", list(Player))
def test_player_decodes_every_frame_from_a_group(player: Player, scene: Scene) -> None:
    scene.play(player, while_playing=lambda: assert_equal(scene.transports(), {"multicast": 1, "udp": 1}))
    scene.wait_for_silence(GROUP)
    assert scene.hosts("joined", GROUP) == {scene.net["one"].ipv4}


def test_gstreamer_decodes_every_frame_from_a_group_in_version_2(scene: Scene) -> None:
    reader = MD5Lines()
    how = ("--protocols", GSTREAMER_WAYS[Shared.MULTICAST], "--rtsp-version", "2-0", "--sound", "/dev/null")
    player = scene.net["one"].command([SYSTEM_PYTHON, GST_PLAYER, scene.mesh.url("/stream"), *how])
    with Process(player, stdout=reader.feed) as process:
        process.wait_until(lambda: len(reader.frames) >= FRAMES, START_SECONDS, f"{FRAMES} frames")
    assert_contiguous(reader.frames, scene.camera.clip.frames, minimum=FRAMES)
    assert scene.hosts("joined", GROUP) == {scene.net["one"].ipv4}


def test_readers_of_one_stream_share_one_session_at_the_camera_which_ends_with_the_last_one(scene: Scene) -> None:
    def meanwhile() -> None:
        scene.play(
            Player.FFMPEG,
            "two",
            while_playing=lambda: assert_equal(scene.transports(), {"multicast": 2, "udp": 1}),
        )
        wait_until(lambda: scene.transports() == {"multicast": 1, "udp": 1}, SECONDS, "the end of one reader")
        scene.wait_for_packets()  # for the one that is left

    scene.play(Player.GSTREAMER, while_playing=meanwhile)
    scene.wait_for_silence(GROUP)
    events = scene.camera.events
    assert (events["setup"], events["play"], events["teardown"]) == (TRACKS, 1, 1)
    assert scene.heard("quiet") == [{"event": "quiet", "group": GROUP}]


def test_many_readers_are_one_session_at_the_camera_and_may_vanish(scene: Scene) -> None:
    with scene.reader("--readers", str(READERS)) as process:
        assert {"event": "playing", "readers": READERS} in told_by(process)
        granted = {told["transport"] for told in told_by(process) if told["event"] == "answered"}
        assert len(granted) == TRACKS
        assert all(f"multicast;destination={GROUP};source={scene.net['mesh'].ipv4};" in text for text in granted)
        assert all(f";ttl={TTL}" in text for text in granted)
        assert scene.transports() == {"multicast": READERS, "udp": 1}
        scene.wait_for_packets()
        process.kill()
    scene.wait_for_silence(GROUP)
    assert scene.camera.events["play"] == 1


@pytest.mark.parametrize(
    ("options", "status", "reason"),
    [
        (("--transport", "RTP/AVP;multicast;destination=239.1.1.1"), 403, "not for a client to choose"),
        (("--transport", "RTP/AVP;multicast;mode=RECORD"), 461, "none of the offered transports"),
        (("--no-describe",), 455, "DESCRIBE"),
    ],
)
def test_what_readers_cannot_have(options: tuple[str, ...], status: int, reason: str, scene: Scene) -> None:
    with scene.reader(*options) as process:
        (answer,) = (told for told in told_by(process) if told["event"] == "answered")
    assert answer["status"] == status
    assert reason in answer["reason"]
    wait_until(lambda: not scene.mesh.items("/v1/sessions"), SECONDS, "the end of all sessions")


def test_streams_beyond_the_groups_are_refused_until_one_is_free(clips: dict[AudioCodec, Clip]) -> None:
    with running(clips[AudioCodec.PCMU], groups=f"{GROUP}/32") as scene, scene.reader() as first:
        with scene.reader("--transport", "RTP/AVP;multicast;ttl=255") as same:
            granted = [told["transport"] for told in told_by(same) if told["event"] == "answered"]
            assert all(f"ttl={TTL}" in text for text in granted)
        with scene.reader(path="/again") as other:
            (answer,) = (told for told in told_by(other) if told["event"] == "answered")
        assert answer["status"] == 453
        assert "--multicast-groups" in answer["reason"]
        first.stop(SIGINT)
        scene.wait_for_silence(GROUP)


@pytest.mark.parametrize("player", list(Player))
@pytest.mark.parametrize("transport", [*Transport, Shared.MULTICAST])
def test_a_camera_that_sends_to_a_group_only_is_played(
    transport: Way, player: Player, clips: dict[AudioCodec, Clip]
) -> None:
    """The mesh asks for unicast first, and for multicast when that is refused."""
    with running(clips[AudioCodec.PCMU], protocols="multicast") as scene:
        scene.play(player, transport=transport)
        wait_until(lambda: not scene.mesh.items("/v1/sessions"), SECONDS, "the end of all sessions")
        scene.camera.wait_for_event("teardown")
        mesh, camera = scene.net["mesh"].ipv4, scene.net["camera"].ipv4
        for event in ("joined", "left"):
            assert scene.hosts(event, CAMERA_GROUPS) - {camera} == {mesh}


def test_a_camera_whose_backend_says_multicast_is_asked_for_nothing_else(
    clips: dict[AudioCodec, Clip], tmp_path: Path
) -> None:
    with running(clips[AudioCodec.PCMU], f"--file={tmp_path}", protocols="udp,multicast") as scene:
        camera = scene.net["camera"].ipv4
        scene.tell(tmp_path, transport="multicast", second=scene.camera.port)
        with scene.reader(path="/told/stream"):
            pass
        scene.camera.wait_for_event("teardown")
        assert scene.hosts("joined", CAMERA_GROUPS) - {camera} == {scene.net["mesh"].ipv4}
        assert scene.camera.events["setup"] == TRACKS


@pytest.mark.parametrize("transport", ["udp", "multicast"])
def test_readers_play_on_when_another_camera_takes_over(
    transport: str, clips: dict[AudioCodec, Clip], tmp_path: Path
) -> None:
    clip, protocols = clips[AudioCodec.PCMU], "udp,multicast"
    with running(clip, f"--file={tmp_path}", protocols=protocols) as scene:
        host = scene.net["camera"]
        with GstCamera(clip, address=host.ipv4, prefix=tuple(host.command([])), protocols=protocols) as other:
            scene.tell(tmp_path, transport=transport, second=other.port)
            with scene.reader("--readers", "2", path="/told/stream"):
                scene.wait_for_packets()
                assert scene.transports() == {"multicast": 2, "udp": 1}
                failing, taking_over = sorted((scene.camera, other), key=lambda each: -each.events["play"])
                failing.kill()
                taking_over.wait_for_event("play")
                scene.wait_for_packets()
                assert scene.transports() == {"multicast": 2, "udp": 1}
            scene.wait_for_silence(GROUP)
            assert taking_over.events["play"] == taking_over.events["teardown"] == 1


def assert_equal(one: object, other: object) -> None:
    assert one == other
