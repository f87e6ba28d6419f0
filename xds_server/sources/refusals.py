"""How a refused change is told: a line for each problem, which begins with its file and line, and not too many."""

from __future__ import annotations

# As many as fit a screen; the REST API has all.
SHOWN_PROBLEMS = 20


def refusal_lines(message: str) -> list[str]:
    """The lines of `message`, one a problem, and in place of those beyond SHOWN_PROBLEMS how many there are."""
    problems = message.splitlines()
    shown, left = problems[:SHOWN_PROBLEMS], len(problems) - SHOWN_PROBLEMS
    return [*shown, f"{left} more, see msm sources"] if left > 0 else shown
