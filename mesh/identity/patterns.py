"""Patterns of SPIFFE IDs, as policies name those whom they are about.

A pattern is a SPIFFE ID in whose path `*` stands for one whole segment, and `**`, at the end only, for one segment or
more. The trust domain is always said: who runs another one cannot make up an ID that a pattern meant for ours. Matching
looks at each segment once, whatever the pattern, so it is linear in the length of the ID.
"""

from __future__ import annotations

from dataclasses import dataclass

from mesh.identity.spiffe_ids import SCHEME, id_problem, segments_of, shown, trust_domain_of

ONE_SEGMENT = "*"
ANY_REST = "**"


@dataclass(frozen=True, slots=True)
class IdPattern:
    """A pattern of SPIFFE IDs. Raises ValueError for a text that is none."""

    text: str

    def __post_init__(self) -> None:
        problem = _problem(self.text)
        if problem is not None:
            raise ValueError(f"{shown(self.text)} is no pattern of SPIFFE IDs: {problem}")

    def matches(self, spiffe_id: str) -> bool:
        """Whether a SPIFFE ID is meant. Segments count as wholes: `…/sa/cam` does not mean `…/sa/camera`."""
        # Scheme and trust domain are parts as well, and never wildcards.
        wanted, found = self.text.split("/"), spiffe_id.split("/")
        if wanted[-1] == ANY_REST:
            wanted.pop()
            if len(found) <= len(wanted):
                return False
            del found[len(wanted) :]
        return len(wanted) == len(found) and all(
            each in (ONE_SEGMENT, own) for each, own in zip(wanted, found, strict=True)
        )


def _problem(text: str) -> str | None:
    segments = segments_of(text)
    if not text.startswith(SCHEME):
        return id_problem(text)
    if "*" in trust_domain_of(text):
        return "its trust domain must be said in full; for several, use several patterns"
    if not segments:
        return f"it needs a path, as all workloads have; all of a trust domain are {SCHEME}example.org/{ANY_REST}"
    if ANY_REST in segments[:-1]:
        return f"{ANY_REST} may stand at the end only; use {ONE_SEGMENT} for a segment in between"
    if any("*" in segment and segment not in (ONE_SEGMENT, ANY_REST) for segment in segments):
        return f"{ONE_SEGMENT} stands for a whole segment, so nothing else may be in it"
    return id_problem(text.replace("*", "x"))
