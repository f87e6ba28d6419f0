"""`msm bootstrap`: what it writes, warns of and refuses. Real Envoys read it in tests/integration."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from api.cli import make_app
from xds_server.envoy.machine import files_allowed, memory_allowed, processors


def run(*arguments: str, env: dict[str, str] | None = None) -> Any:
    return CliRunner().invoke(make_app(), ["bootstrap", *arguments], env=env)


def written(*arguments: str) -> dict[str, Any]:
    result = run("--node", "edge", *arguments)
    assert result.exit_code == 0, result.output
    return dict(yaml.safe_load(result.stdout))


def ours(made: dict[str, Any]) -> dict[str, Any]:
    return dict(made["node"]["metadata"]["mediastreamingmesh.io"])


def heap(made: dict[str, Any]) -> int:
    return int(made["overload_manager"]["resource_monitors"][0]["typed_config"]["max_heap_size_bytes"])


def connections(made: dict[str, Any]) -> int:
    limit = made["overload_manager"]["resource_monitors"][1]["typed_config"]
    return int(limit["max_active_downstream_connections"])


def test_a_name_is_enough_for_a_media_proxy_on_this_machine() -> None:
    made = written()
    assert (made["node"]["id"], made["node"]["cluster"]) == ("edge", "msm-media")
    assert (ours(made)["workers"], ours(made)["files"]) == (processors(), files_allowed())
    assert 0 < heap(made) < memory_allowed()
    assert made["admin"]["address"]["socket_address"] == {"address": "127.0.0.1", "port_value": 9901}


def test_each_file_is_another_instance() -> None:
    assert ours(written())["instance"] != ours(written())["instance"]


def test_a_gateway_makes_it_a_gateway_proxy_of_that_gateway() -> None:
    made = written("--gateway", "games/lobby", "--region", "eu", "--metadata", "rack=7", "--connections", "9")
    assert (made["node"]["cluster"], ours(made)["gateway"]) == ("msm-gateway", "games/lobby")
    assert (made["node"]["locality"], made["node"]["metadata"]["rack"]) == ({"region": "eu"}, "7")
    assert connections(made) == 9


def test_a_gateway_proxy_without_a_gateway_serves_them_all() -> None:
    assert "gateway" not in ours(written("--cluster", "msm-gateway"))


def test_the_control_plane_is_a_setting_like_everywhere() -> None:
    result = run("--node", "edge", env={"MSM_XDS": "control.example:18001"})
    (cluster,) = yaml.safe_load(result.stdout)["static_resources"]["clusters"]
    assert cluster["type"] == "STRICT_DNS"
    assert "control.example" in result.stdout


def test_memory_workers_and_files_are_as_they_are_stated() -> None:
    made = written("--memory", "512MiB", "--workers", "3", "--files", "9000", "--slots", "100")
    assert heap(made) == 512 << 20
    assert (ours(made)["workers"], ours(made)["files"]) == (3, 9000)


def test_the_file_says_how_envoy_is_started_with_it() -> None:
    assert "# Start it with: envoy -c FILE --concurrency 3\n" in run("--node", "edge", "--workers", "3").stdout


@pytest.mark.parametrize("suffix", [".yaml", ".json"])
def test_a_file_is_written_in_the_format_of_its_name(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"edge{suffix}"
    result = run("--node", "edge", "-o", str(path))
    assert (result.exit_code, result.stdout) == (0, "")
    read = json.loads if suffix == ".json" else yaml.safe_load
    assert read(path.read_text())["node"]["id"] == "edge"


def test_room_that_was_asked_for_and_does_not_fit_is_refused() -> None:
    result = run("--node", "edge", "--slots", "1000", "--files", "1024", "--workers", "2")
    assert result.exit_code == 1
    assert "need 12304 files with 2 workers, and Envoy may open 1024" in result.stderr
    assert result.stdout == ""


def test_room_that_nobody_asked_for_and_does_not_fit_is_warned_of() -> None:
    result = run("--node", "edge", "--cluster", "msm-gateway", "--files", "1024")
    assert result.exit_code == 0
    assert "warning: 0 slots, 1024 UDP sessions and 256 TCP connections of gateways need" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ((), "--node"),
        (("--node", ""), "--node"),
        (("--node", "edge", "--gateway", "lobby"), "--gateway"),
        (("--node", "edge", "--gateway", "Games/Lobby"), "lower case"),
        (("--node", "edge", "--gateway", "games/lobby", "--cluster", "msm-media"), "--gateway"),
        (("--node", "edge", "--cluster", "msm-gateway", "--slots", "3"), "--slots"),
        (("--node", "edge", "--xds", "control.example:0"), "--xds"),
        (("--node", "edge", "--admin", "0.0.0.0:9901"), "--admin"),
        (("--node", "edge", "--admin", "/" + "x" * 200), "--admin"),
        (("--node", "edge", "--memory", "plenty"), "--memory"),
        (("--node", "edge", "--memory", "1MiB"), "--memory"),
        (("--node", "edge", "--metadata", "rack"), "--metadata"),
        (("--node", "edge", "--metadata", "mediastreamingmesh.io=1"), "--metadata"),
        (("--node", "edge", "--identity", "/run/agent.sock"), "--identity"),
        (("--node", "edge", "--identity", "agent.sock", "--trust-domain", "example.org"), "--identity"),
        (("--node", "edge", "--identity", "/run/agent.sock", "--trust-domain", "Example/org"), "--trust-domain"),
        (("--node", "edge", "--identity", "/run/agent.sock", "--server-id", "control-plane"), "--server-id"),
        (("--node", "edge", "--server-id", "spiffe://example.org/control-plane"), "--server-id"),
        (("--node", "edge", "-o", "edge.conf"), "--output"),
    ],
)
def test_what_cannot_be_used_is_a_wrong_call_that_names_the_option(arguments: tuple[str, ...], complaint: str) -> None:
    result = run(*arguments)
    assert result.exit_code == 2
    assert complaint in result.stderr
    assert result.stdout == ""


def test_a_file_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    result = run("--node", "edge", "-o", str(tmp_path / "missing" / "edge.yaml"))
    assert result.exit_code == 1
    assert "No such file or directory" in result.stderr


def test_the_help_says_that_the_control_plane_does_not_speak_tls_yet() -> None:
    assert "does not speak TLS yet" in " ".join(run("--help").stdout.split())
