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


@pytest.mark.parametrize("form", list(LogFormat))
def test_a_traceback_shows_where_something_failed_and_no_values(form, capsys):
    """Among the values of variables there are passwords."""
    configure_logs(form, LogLevel.INFO)
    word = "s3cret".upper()
    try:
        raise KeyError(len(word))
    except KeyError:
        structlog.get_logger().exception("it failed")
    told = capsys.readouterr().err
    structlog.reset_defaults()
    assert "KeyError" in told
    assert "test_logs.py" in told
    assert "S3CRET" not in told
