"""RTSPS in front of a real mesh: what a player is told, its media, its pace, and certificates that change meanwhile."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from rtsp_filter.proxy.clients.certificate import LOOK_SECONDS
from rtsp_filter.rtsp import RTSPURL, LowerTransport, parse_rtp_info
from tests.peers.cameras import MsmCamera
from tests.peers.certificates import Certificate, make_certificate, trusting_context
from tests.peers.marked_camera import MarkedCamera
from tests.peers.marked_player import MarkedPlayer
from tests.peers.mesh import Mesh
from tests.peers.rtsp_wire import eventually

pytestmark = pytest.mark.integration

PACKETS = 10
# Packets of 60 KB: 36 MB, which no buffers on the way take.
DEAF_PACKETS = 600
FAST = 200
LARGE = 60_000


@pytest.fixture
def certificate(tmp_path: Path) -> Certificate:
    return make_certificate(tmp_path, "first")


@pytest.fixture
async def mesh() -> AsyncIterator[Mesh]:
    mesh = Mesh()
    yield mesh
    await asyncio.to_thread(mesh.close)


async def test_a_player_that_came_by_rtsps_is_shown_rtsps_urls(mesh: Mesh, certificate: Certificate) -> None:
    camera = await asyncio.to_thread(MsmCamera)
    try:
        await asyncio.to_thread(mesh.up, "--route", f"/live={camera.url}", *mesh.secured(certificate))
        url = f"rtsps://{mesh.rtsps}/live"
        player = MarkedPlayer(url, LowerTransport.TCP)
        await player.connect()
        described = await player.describe()
        assert described.headers.get("Content-Base") == f"{url}/"
        assert b"rtsp://" not in described.body
        base = RTSPURL.parse(f"{url}/")
        controls = [line for line in described.body.decode().splitlines() if line.startswith("a=control:")]
        track = controls[-1].removeprefix("a=control:")
        offer = ("Transport", "RTP/AVP/TCP;unicast;interleaved=0-1")
        set_up = await player.wire.ask("SETUP", f"{base}{track}", offer)
        assert set_up.status == 200
        session = ("Session", (set_up.headers.get("Session") or "").partition(";")[0])
        played = await player.wire.ask("PLAY", url, session)
        assert [info.url for info in parse_rtp_info(played.headers.get("RTP-Info") or "")] == [f"{base}{track}"]
        await player.wire.close()
    finally:
        await asyncio.to_thread(camera.stop)


async def test_a_new_certificate_is_shown_to_new_players_and_who_plays_loses_nothing(
    mesh: Mesh, certificate: Certificate, tmp_path: Path
) -> None:
    async with MarkedCamera() as camera:
        await asyncio.to_thread(mesh.up, "--route", f"/live={camera.url}/", *mesh.secured(certificate))
        async with MarkedPlayer(f"rtsps://{mesh.rtsps}/live/long", LowerTransport.TCP) as player:
            await eventually(lambda: player.heard(PACKETS), "media")
            assert await shown(mesh) == certificate.chain.read_text()
            second = make_certificate(tmp_path, "second")
            certificate.chain.write_text(second.chain.read_text())
            certificate.key.write_text(second.key.read_text())
            await asyncio.to_thread(mesh.main.wait_for_line, "new RTSPS certificate", 5 * LOOK_SECONDS)
            assert await shown(mesh) == second.chain.read_text()
            certificate.key.write_text("nonsense")
            await asyncio.to_thread(mesh.main.wait_for_line, "the one before stays", 5 * LOOK_SECONDS)
            assert await shown(mesh) == second.chain.read_text()
            before = player.received
            await eventually(lambda: player.received >= before + PACKETS, "media after all that")
        for track in player.tracks.values():
            assert track.numbers == list(range(len(track.numbers)))
        assert player.foreign == []


async def shown(mesh: Mesh) -> str:
    """The certificate that a new connection is shown, as PEM."""
    host, _, port = mesh.rtsps.rpartition(":")
    _, writer = await asyncio.open_connection(host, int(port), ssl=trusting_context())
    tls: ssl.SSLObject = writer.get_extra_info("ssl_object")
    der = tls.getpeercert(binary_form=True)
    assert der is not None
    writer.close()
    await writer.wait_closed()
    return ssl.DER_cert_to_PEM_cert(der)


async def test_a_tls_player_that_does_not_read_loses_whole_frames_and_nobody_else_any(
    mesh: Mesh, certificate: Certificate
) -> None:
    async with MarkedCamera(rate=FAST, size=LARGE) as camera, MarkedCamera() as other:
        routes = ("--route", f"/fast={camera.url}/", "--route", f"/other={other.url}/")
        await asyncio.to_thread(mesh.up, *routes, *mesh.secured(certificate))
        async with (
            MarkedPlayer(f"rtsps://{mesh.rtsps}/fast/deaf", LowerTransport.TCP, tracks=[0]) as deaf,
            MarkedPlayer(f"rtsps://{mesh.rtsps}/other/good", LowerTransport.TCP) as good,
        ):
            await eventually(lambda: deaf.heard(PACKETS) and good.heard(PACKETS), "media")
            deaf.wire.stop_reading()
            track = camera.session("deaf").tracks[0]
            sent, heard = track.sent, good.received
            await eventually(lambda: track.sent > sent + DEAF_PACKETS, "more media than all buffers take")
            await eventually(lambda: good.received > heard + PACKETS, "media of the other player")
            deaf.wire.read_again()
            await asyncio.to_thread(mesh.main.wait_for_line, "takes its media again.*frames_dropped=[1-9]")
            sent = track.sent
            await eventually(lambda: deaf.tracks[0].numbers[-1] > sent, "what came after that")
        assert deaf.foreign == good.foreign == []
        numbers = deaf.tracks[0].numbers
        assert numbers == sorted(set(numbers))
        for heard_well in good.tracks.values():
            assert heard_well.numbers == list(range(len(heard_well.numbers)))


async def test_a_player_that_came_by_rtsps_gets_no_media_in_the_clear(mesh: Mesh, certificate: Certificate) -> None:
    async with MarkedCamera() as camera:
        await asyncio.to_thread(mesh.up, "--route", f"/live={camera.url}/", *mesh.secured(certificate))
        player = MarkedPlayer(f"rtsps://{mesh.rtsps}/live/a", LowerTransport.TCP)
        await player.connect()
        track = f"{player.url}/track=0"
        udp = ("Transport", "RTP/AVP;unicast;client_port=5000-5001")
        refused = await player.wire.ask("SETUP", track, udp)
        assert refused.status == 461
        either = ("Transport", f"{udp[1]},RTP/AVP/TCP;unicast;interleaved=0-1")
        granted = await player.wire.ask("SETUP", track, either)
        assert (granted.headers.get("Transport") or "").startswith("RTP/AVP/TCP")
        await player.wire.close()


async def test_a_certificate_that_cannot_be_used_ends_the_start_with_the_files_name(
    mesh: Mesh, certificate: Certificate, tmp_path: Path
) -> None:
    certificate.key.unlink()
    process = mesh.start("proxy", "--rtsp", mesh.rtsp, "--xds", mesh.xds, *mesh.secured(certificate))
    await asyncio.to_thread(process.wait_for_line, rf"{certificate.key}: No such file or directory")
    assert await asyncio.to_thread(process.wait) == 1


async def test_a_port_for_rtsps_that_is_taken_ends_the_start_with_its_name(
    mesh: Mesh, certificate: Certificate
) -> None:
    host, _, port = mesh.rtsps.rpartition(":")
    with socket.create_server((host, int(port))):
        process = mesh.start("proxy", "--rtsp", mesh.rtsp, "--xds", mesh.xds, *mesh.secured(certificate))
        await asyncio.to_thread(process.wait_for_line, f"RTSPS at {mesh.rtsps}: Address already in use")
        assert await asyncio.to_thread(process.wait) == 1
