"""The page at /docs: every operation, every model and every kind of problem, made of /openapi.json in the browser.

It is one file without a library, and it asks no other host for anything, so it works in a closed network.
"""

from __future__ import annotations

from functools import cache
from html import escape
from importlib.resources import files

from api.problems import PROBLEM_TYPES, ProblemType

# Nothing is loaded but this server's own page and answers.
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; connect-src 'self'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; base-uri 'none'"
)
_PLACE = "<!-- problems -->"


@cache
def docs_page() -> str:
    """The page as HTML."""
    page = files(__package__).joinpath("docs_page.html").read_text(encoding="utf-8")
    return page.replace(_PLACE, "".join(map(_problem, PROBLEM_TYPES)))


def _problem(kind: ProblemType) -> str:
    return (
        f'<h3 id="problem-{kind.slug}">{escape(kind.title)} <small>{kind.status.value}</small></h3>'
        f"<p>{escape(kind.meaning)}</p>\n"
    )
