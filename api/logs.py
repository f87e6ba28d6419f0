"""Logs: events with fields on standard error, for people or as JSON."""

from __future__ import annotations

import logging
import sys

import structlog
from structlog.tracebacks import ExceptionDictTransformer
from structlog.typing import EventDict, WrappedLogger

from api.settings import LogFormat, LogLevel


def configure_logs(form: LogFormat, level: LogLevel) -> None:
    """Set up structlog for this process."""
    people = form is LogFormat.CONSOLE
    # The values of variables are left out of tracebacks: there are passwords among them.
    shown = structlog.dev.RichTracebackFormatter(show_locals=False)
    told = structlog.processors.ExceptionRenderer(ExceptionDictTransformer(show_locals=False))
    renderer = (
        structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=shown)
        if people
        else structlog.processors.JSONRenderer()
    )
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            _without_line_ends,
            structlog.processors.TimeStamper(fmt="%H:%M:%S.%f" if people else "iso", utc=not people),
            _lists_as_words if people else told,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level.value.upper())),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )


def _without_line_ends(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Others' words often end with a line end, which says nothing."""
    return {name: value.rstrip() if isinstance(value, str) else value for name, value in event.items()}


def _lists_as_words(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """People read names, not the notation of a list."""
    return {
        name: ", ".join(map(str, value)) if isinstance(value, list | tuple) else value for name, value in event.items()
    }
