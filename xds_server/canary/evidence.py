"""What has been measured of a canary, and what its limits say of it."""

from __future__ import annotations

from dataclasses import dataclass

from mesh.gateways import Canary


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """Requests that begin sessions (`setups`), those that failed, and those that were refused; packets that sampled
    sessions should have had, and those that were lost."""

    setups: int = 0
    failed: int = 0
    refused: int = 0
    packets: int = 0
    lost: int = 0

    def __add__(self, other: Evidence) -> Evidence:
        return Evidence(
            setups=self.setups + other.setups,
            failed=self.failed + other.failed,
            refused=self.refused + other.refused,
            packets=self.packets + other.packets,
            lost=self.lost + other.lost,
        )

    def __bool__(self) -> bool:
        return bool(self.setups or self.failed or self.refused or self.packets or self.lost)


NOTHING = Evidence()
# A refusal may be the player's fault, and such players come to the canary by chance, a little more often or less. So it
# may refuse twice the share that the others refuse.
_TIMES_THE_OTHERS = 2


def why_bad(canary: Canary, found: Evidence, others: Evidence = NOTHING) -> str | None:
    """Why the canary does not do well, beside the `others` of its route; None: it does, as far as is known.

    It is told as soon as the limit is out of reach, before the minimum has come together.
    """
    limit = canary.max_failed * max(found.setups, canary.min_setups)
    if found.failed > limit:
        return f"{found.failed} of {found.setups} set-ups failed"
    if found.failed + _too_many_refused(found, others) > limit:
        told = f"{found.failed} of {found.setups} set-ups failed and {found.refused} were refused"
        return f"{told}; its others refused {others.refused} of {others.setups}"
    loss = canary.loss
    if loss is not None and found.lost > loss.max_lost * max(found.packets, loss.min_packets):
        return f"{found.lost} of {found.packets} packets were lost"
    return None


def _too_many_refused(found: Evidence, others: Evidence) -> float:
    """What was refused beyond what players' own mistakes explain. The others count as if they had had one request more,
    and refused it: while little is known of them, little follows."""
    share = (others.refused + 1) / (others.setups + 1)
    return max(0.0, found.refused - _TIMES_THE_OTHERS * share * found.setups)


def what_lacks(canary: Canary, found: Evidence) -> str | None:
    """What has to come together before a step may be over; None: nothing."""
    lacks = []
    if found.setups < canary.min_setups:
        lacks.append(f"{canary.min_setups - found.setups} more set-ups")
    if canary.loss is not None and found.packets < canary.loss.min_packets:
        lacks.append(f"{canary.loss.min_packets - found.packets} more packets of sampled sessions")
    return " and ".join(lacks) or None
