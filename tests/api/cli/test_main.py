"""The command as a whole: fast to start, and its codes."""

from __future__ import annotations

import asyncio
import json
import re
import sys

import pytest
import typer
from typer.testing import CliRunner

from api.cli import make_app
from api.settings import MeshSettings

SETTINGS = set(MeshSettings.model_fields)
RUNNING = ["up", "serve", "proxy", "envoy", "demo"]
# What stands for a value is in capitals; what is written as it is stands between bars, or has a form of its own.
PLACEHOLDER = re.compile(r'"?[A-Z/:=|% -]+"?|[a-z-]+(\|[a-z-]+)+|spiffe://[A-Z/]+')
HEAVY = {"grpc", "fastapi", "uvicorn", "pydantic", "httpx", "google.protobuf", "rich"}


@pytest.mark.parametrize("command", sorted(typer.main.get_group(make_app()).commands))
def test_every_command_explains_itself(command):
    result = CliRunner().invoke(make_app(), [command, "--help"])
    assert result.exit_code == 0
    assert f"msm {command} [OPTIONS]" in result.output.replace("root ", "msm ")


@pytest.mark.parametrize("command", sorted(typer.main.get_group(make_app()).commands))
def test_every_placeholder_in_a_help_is_what_is_to_be_written(command):
    parameters = [each for each in typer.main.get_group(make_app()).commands[command].params if each.name != "help"]
    output = CliRunner().invoke(make_app(), [command, "--help"]).output
    assert re.findall(r"<[a-z][^>=]*>", output) == []
    for parameter in parameters:
        if not getattr(parameter, "is_flag", False):
            assert parameter.metavar, f"{command}: {parameter.name}"
            assert PLACEHOLDER.fullmatch(parameter.metavar)
            assert parameter.metavar in output


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


def test_a_route_that_cannot_be_used_is_a_wrong_call():
    refused = CliRunner().invoke(make_app(), ["up", "--route", "lobby"])
    assert (refused.exit_code, refused.stderr[:24]) == (2, "--route: wants PATH=URL,")


async def test_a_mesh_says_that_it_starts_before_it_loads_anything():
    command = (sys.executable, "-c", "from api.cli import main; main()")
    options = ("up", "-f", "/no/such/file", "--log-format", "json")
    process = await asyncio.create_subprocess_exec(*command, *options, stderr=asyncio.subprocess.PIPE)
    _, errors = await process.communicate()
    lines = [json.loads(line) for line in errors.decode().splitlines()]
    assert process.returncode == 1
    assert [line["event"] for line in lines] == ["starting; Ctrl-C ends it", "the mesh cannot run"]


def test_a_variable_that_looks_like_a_setting_is_told():
    result = CliRunner().invoke(make_app(), ["up", "--api", "nowhere"], env={"MSM_RTPS": "127.0.0.1:1"})
    assert result.exit_code == 2
    assert "warning: MSM_RTPS: there is no such setting (did you mean MSM_RTSPS?)" in result.stderr
