"""Which halves of tunnels are here, and what of it the control plane has not been told yet. Pure.

Every GET is offered for as long as it lives, and the GET of every POST that came without is sought. What came and went
between two reports is in none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import count, islice
from typing import Generic, TypeVar

from mesh.wire import relay_pb2

MAX_REPORTED = 4096
"""Tunnels of a message: some 300 KB, where gRPC takes 4 MB."""


_T = TypeVar("_T")


@dataclass(frozen=True, slots=True, kw_only=True)
class TunnelOffer:
    """Whoever names the ticket may bring the POST. `certificate`: SHA-256 of what this proxy's RTSPS shows, for a
    tunnel that came by TLS, else empty."""

    ticket: str
    certificate: bytes = b""


class _Halves(Generic[_T]):
    """Halves of one kind by the names of their tunnels, as they are and as they were told."""

    def __init__(self) -> None:
        self.now: dict[bytes, _T] = {}
        self.told: dict[bytes, _T] = {}

    def change(self, tunnel: bytes) -> tuple[bool, _T | None]:
        """Whether one that was told of is no more, and the one that is new; they count as told from now on."""
        told, now = self.told.pop(tunnel, None), self.now.get(tunnel)
        if now is not None:
            self.told[tunnel] = now
        return told is not None and told != now, now if told != now else None


class TunnelBook:
    """Tunnels by their names. `on_change` is called when there is something to tell, once until it is told."""

    def __init__(self, on_change: Callable[[], None]) -> None:
        self._on_change = on_change
        self._offers = _Halves[TunnelOffer]()
        self._sought = _Halves[int]()
        self._seeks = count()
        self._changed: dict[bytes, None] = {}

    def offer(self, tunnel: bytes, offer: TunnelOffer) -> None:
        """A GET is here."""
        self._offers.now[tunnel] = offer
        self._note(tunnel)

    def withdraw(self, tunnel: bytes) -> None:
        """A GET has ended."""
        del self._offers.now[tunnel]
        self._note(tunnel)

    def seek(self, tunnel: bytes) -> None:
        """A POST waits for its GET. Whoever was answered for the one before is told of this one too."""
        self._sought.now[tunnel] = next(self._seeks)
        self._note(tunnel)

    def give_up(self, tunnel: bytes) -> None:
        """A POST waits no more."""
        self._sought.now.pop(tunnel, None)
        self._note(tunnel)

    def changes(self) -> list[relay_pb2.TunnelReport]:
        """What is to be told now."""
        changed, self._changed = iter(self._changed), {}
        reports = []
        while part := list(islice(changed, MAX_REPORTED)):
            report = self._report(part)
            if report.ByteSize():
                reports.append(report)
        return reports

    def all(self) -> list[relay_pb2.TunnelReport]:
        """All that there is to tell, for one who knows nothing."""
        self._offers.told, self._sought.told = {}, {}
        self._changed = dict.fromkeys([*self._offers.now, *self._sought.now])
        return self.changes()

    def _note(self, tunnel: bytes) -> None:
        first = not self._changed
        self._changed[tunnel] = None
        if first:
            self._on_change()

    def _report(self, tunnels: Iterable[bytes]) -> relay_pb2.TunnelReport:
        report = relay_pb2.TunnelReport()
        for tunnel in tunnels:
            gone, offer = self._offers.change(tunnel)
            if gone:
                report.withdrawn.append(tunnel)
            if offer is not None:
                report.offered.add(tunnel=tunnel, ticket=offer.ticket, certificate=offer.certificate)
            gone, seek = self._sought.change(tunnel)
            if gone:
                report.given_up.append(tunnel)
            if seek is not None:
                report.sought.append(tunnel)
        return report
