"""Log lines as people and programs get them."""

from __future__ import annotations

import json

import pytest
import structlog

from api.logs import configure_logs
from api.settings import LogFormat, LogLevel


@pytest.fixture
def told(capsys):
    """What a line looks like in a format."""

    def tell(form):
        configure_logs(form, LogLevel.INFO)
        structlog.get_logger().error("refused", names=("a/b", "c"), error="cannot bind\n", count=2)
        return capsys.readouterr().err

    yield tell
    structlog.reset_defaults()


def test_people_read_names_and_no_notation_of_lists(told):
    line = told(LogFormat.CONSOLE)
    assert "names='a/b, c'" in line
    assert "error='cannot bind'" in line


def test_programs_get_lists_and_numbers(told):
    line = json.loads(told(LogFormat.JSON))
    assert (line["names"], line["error"], line["count"]) == (["a/b", "c"], "cannot bind", 2)
