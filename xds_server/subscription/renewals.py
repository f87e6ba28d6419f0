"""When resources with a time to live are renewed. Times are monotonic seconds.

Source: https://www.envoyproxy.io/docs/envoy/latest/api-docs/xds_protocol#resource-ttl
"""

from __future__ import annotations

from xds_server.subscription.exchange import Contents

RENEWED_AT = 0.5
"""The share of its time to live after which a resource is renewed: one lost renewal does no harm."""


class Renewals:
    """The resources of one subscription that live for a time only, and when each is due."""

    __slots__ = ("_due",)

    def __init__(self) -> None:
        self._due: dict[str, float] = {}

    def __bool__(self) -> bool:
        return bool(self._due)

    @property
    def next(self) -> float | None:
        """When something must be renewed next."""
        return min(self._due.values(), default=None)

    def sent(self, contents: Contents, now: float) -> None:
        """These go out now, so their time begins anew; what has no time to live any more is forgotten."""
        for name, content in contents.items():
            if content is not None and content.ttl is not None:
                self._due[name] = now + content.ttl * RENEWED_AT
            else:
                self._due.pop(name, None)

    def due(self, now: float) -> list[str]:
        """What must be renewed by now."""
        return [name for name, at in self._due.items() if at <= now]

    def forget(self, name: str) -> None:
        """Nobody needs this any more, or it is about to be sent anew."""
        self._due.pop(name, None)
