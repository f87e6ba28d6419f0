"""What the benchmarks find: figures beside their direct counterpart and their goal."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum


class Comparison(Enum):
    """How the mesh is set against a direct connection of the same run."""

    DIFFERENCE = "difference"
    RATIO = "ratio"
    NONE = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """A bound for a figure. `of_comparison`: for the difference or ratio, not for the mesh's own value."""

    at_most: float | None = None
    at_least: float | None = None
    of_comparison: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One line of the report. `compared` is given where it is not made of the two values, such as a median of
    differences of pairs."""

    what: str
    unit: str
    mesh: float
    direct: float | None = None
    comparison: Comparison = Comparison.NONE
    compared: float | None = None
    goal: Goal | None = None

    @property
    def against_direct(self) -> float | None:
        """The difference or ratio; None where there is nothing to compare with."""
        if self.compared is not None:
            return self.compared
        if self.direct is None or self.comparison is Comparison.NONE:
            return None
        return self.mesh - self.direct if self.comparison is Comparison.DIFFERENCE else self.mesh / self.direct

    @property
    def met(self) -> bool | None:
        """Whether the goal is reached; None without one."""
        if self.goal is None:
            return None
        value = self.against_direct if self.goal.of_comparison else self.mesh
        if value is None:
            return False
        low, high = self.goal.at_least, self.goal.at_most
        return (low is None or value >= low) and (high is None or value <= high)


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """One benchmark: `title`, what was done in a few sentences, and what came out. `against`: what `direct` is in its
    figures."""

    name: str
    title: str
    method: str
    figures: tuple[Figure, ...]
    against: str = "direct"


def percentile(values: Sequence[float], share: float) -> float:
    """The nearest-rank percentile of values, `share` from 0 to 100. Raises ValueError when there are none."""
    if not values:
        raise ValueError("there is nothing to take a percentile of")
    ordered = sorted(values)
    return ordered[max(0, math.ceil(len(ordered) * share / 100) - 1)]


def median(values: Sequence[float]) -> float:
    """Half of the values are no larger."""
    return percentile(values, 50)
