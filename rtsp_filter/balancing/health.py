"""Health checks as a schedule: whom to ask when, and what the answers mean.

The first answer counts at once, in either direction; then so many in a row are needed as the thresholds say. The next
question is an interval after the answer to the one before (Envoy: architecture overview, health checking).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from heapq import heappop, heappush

from rtsp_filter.balancing.hosts import Host, HostKey
from rtsp_filter.balancing.settings import HealthCheck

Target = tuple[str, HostKey]
"""Cluster and endpoint."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """Somebody to ask."""

    target: Target
    host: Host
    check: HealthCheck
    number: int
    """Of the subject: one that went and came back is another."""


@dataclass(slots=True)
class _Subject:
    question: Question
    passing: bool | None = None
    in_a_row: int = 0


class HealthSchedule:
    """Asks nobody itself. `now` is seconds of one clock that never goes back."""

    def __init__(self) -> None:
        self._subjects: dict[Target, _Subject] = {}
        self._queue: list[tuple[float, int, Target, _Subject]] = []
        self._order = 0

    def update(self, hosts: Mapping[Target, tuple[Host, HealthCheck]], now: float) -> None:
        """Whom to ask from now on. New ones are asked at once; whoever stays keeps his time."""
        before, self._subjects = self._subjects, {}
        for target, (host, check) in hosts.items():
            known = before.get(target)
            if known is not None and known.question.check == check:
                known.question = replace(known.question, host=host)
                self._subjects[target] = known
            else:
                self._order += 1
                question = Question(target=target, host=host, check=check, number=self._order)
                self._subjects[target] = _Subject(question, passing=None if known is None else known.passing)
                self._plan(self._subjects[target], now)

    def due(self, now: float) -> list[Question]:
        """Whom to ask now. Every question wants an answer, by `answered`."""
        questions = []
        while self._queue and self._queue[0][0] <= now:
            _, _, target, subject = heappop(self._queue)
            if self._subjects.get(target) is subject:
                questions.append(subject.question)
        return questions

    def next_timer(self) -> float | None:
        """When `due` is worth asking again; None: not before an answer or an update."""
        while self._queue and self._subjects.get(self._queue[0][2]) is not self._queue[0][3]:
            heappop(self._queue)
        return self._queue[0][0] if self._queue else None

    def answered(self, question: Question, passed: bool, now: float) -> bool | None:
        """Take an answer. What the endpoint is from now on; None: the question is of no interest any more."""
        subject = self._subjects.get(question.target)
        if subject is None or subject.question.number != question.number:
            return None
        check = question.check
        if subject.passing is None or subject.passing is passed:
            subject.passing, subject.in_a_row = passed, 0
        else:
            subject.in_a_row += 1
            if subject.in_a_row >= (check.healthy_threshold if passed else check.unhealthy_threshold):
                subject.passing, subject.in_a_row = passed, 0
        self._plan(subject, now + check.interval)
        return subject.passing

    def _plan(self, subject: _Subject, at: float) -> None:
        self._order += 1
        heappush(self._queue, (at, self._order, subject.question.target, subject))
