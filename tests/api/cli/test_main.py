"""The command as a whole: fast to start, and its codes."""

from __future__ import annotations

import asyncio
import sys

import pytest
import typer
from typer.testing import CliRunner

from api.cli import make_app
from api.settings import MeshSettings

SETTINGS = set(MeshSettings.model_fields)
RUNNING = ["up", "serve", "proxy", "envoy", "demo"]
READING = ["routes", "sessions", "relays", "proxies", "explain"]
HEAVY = {"grpc", "fastapi", "uvicorn", "pydantic", "httpx", "google.protobuf", "rich"}


@pytest.mark.parametrize("command", [*RUNNING, *READING, "bootstrap", "camera", "play", "check", "end"])
def test_every_command_explains_itself(command):
    result = CliRunner().invoke(make_app(), [command, "--help"])
    assert result.exit_code == 0
    assert f"msm {command} [OPTIONS]" in result.output.replace("root ", "msm ")


async def test_help_imports_nothing_that_takes_time():
    code = (
        "import sys; from api.cli import make_app; from typer.testing import CliRunner;"
        f"CliRunner().invoke(make_app(), ['--help']); print(sorted({HEAVY!r} & set(sys.modules)))"
    )
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", code, stdout=asyncio.subprocess.PIPE)
    output, _ = await process.communicate()
    assert output.decode().strip() == "[]"


def test_the_version_is_told():
    result = CliRunner().invoke(make_app(), ["--version"])
    assert (result.exit_code, result.output.count(".")) == (0, 2)


def test_an_unknown_command_is_a_wrong_call():
    assert CliRunner().invoke(make_app(), ["fly"]).exit_code == 2


def test_every_option_of_a_running_part_is_a_setting_of_the_same_name():
    commands = typer.main.get_group(make_app()).commands
    given = {name: {parameter.name for parameter in commands[name].params} for name in RUNNING}
    own = {"config", "help"}
    assert {name: names - SETTINGS - own for name, names in given.items() if name != "demo"} == {
        name: set() for name in RUNNING if name != "demo"
    }
    for command in (commands["up"], commands["serve"], commands["proxy"], commands["envoy"]):
        for parameter in command.params:
            assert parameter.name in own or f"--{parameter.name.replace('_', '-')}" in parameter.opts


def test_help_names_one_default():
    output = CliRunner().invoke(make_app(), ["demo", "--help"]).output
    assert "[default: warning]" in output
    assert "[info]" not in output


def test_a_variable_that_looks_like_a_setting_is_told():
    result = CliRunner().invoke(make_app(), ["up", "--api", "nowhere"], env={"MSM_RTPS": "127.0.0.1:1"})
    assert result.exit_code == 2
    assert "warning: MSM_RTPS: there is no such setting (did you mean MSM_RTSPS?)" in result.stderr
