"""Everything that reads what strangers send, by name. A target takes bytes, and raises where a promise is broken."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module

# Each target is a function of its module. Modules are imported when they are needed: some bring much with them.
MODULES: Mapping[str, str] = {
    "answer": "descriptions",
    "camera": "cores",
    "challenge": "headers",
    "client": "cores",
    "description": "descriptions",
    "outbox": "streams",
    "parser": "streams",
    "player": "cores",
    "presentation": "descriptions",
    "rtcp": "packets",
    "rtp": "packets",
    "rtp_info": "headers",
    "session": "headers",
    "track": "packets",
    "transport": "headers",
    "url": "headers",
}


def load(target: str) -> Callable[[bytes], None]:
    """The function of this name. Raises KeyError where there is none."""
    found: Callable[[bytes], None] = getattr(import_module(f"tests.rtsp_filter.fuzz.{MODULES[target]}"), target)
    return found
