"""RE2 expressions, the regular expressions of Envoy and of Gateway API: linear time, whatever they are fed."""

from __future__ import annotations

from typing import Any

import re2

# RE2 prints what it cannot compile to stderr; the error says it once more.
_QUIET = re2.Options()
_QUIET.log_errors = False


def compile_regex(pattern: str) -> Any:
    """A compiled expression with `fullmatch`, `sub` and `groups`. Raises ValueError with RE2's reason."""
    try:
        return re2.compile(pattern, _QUIET)
    except re2.error as error:
        reason = error.args[0] if error.args else "?"
        text = reason.decode(errors="replace") if isinstance(reason, bytes) else str(reason)
        raise ValueError(f"not an RE2 regular expression: {text}") from None


def quote(text: str) -> str:
    """An expression that matches just `text`; slashes stay readable."""
    return str(re2.escape(text)).replace("\\/", "/")
