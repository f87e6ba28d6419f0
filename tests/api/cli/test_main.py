"""The command as a whole: fast to start, and its codes."""

from __future__ import annotations

import asyncio
import sys

import pytest
from typer.testing import CliRunner

from api.cli import make_app

RUNNING = ["up", "serve", "proxy", "envoy", "demo"]
READING = ["routes", "sessions", "relays", "proxies", "explain"]
HEAVY = {"grpc", "fastapi", "uvicorn", "pydantic", "httpx", "google.protobuf", "rich"}


@pytest.mark.parametrize("command", [*RUNNING, *READING, "camera", "play", "check"])
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
