"""State-of-the-world xDS for one resource type on one stream.

A response of a type with `full_state` (LDS, CDS) carries all that the client should have, so a resource it must keep
is repeated and one it must lose is left out: what the client has, with the new contents laid over it. Other types
carry only the new contents.

A renewal of a time to live repeats the whole state: Envoy takes one that leaves bodies out for a state without them.

`version_info` is the sum of the fingerprints of the type as this client has it once it accepts the response. A client
of the wildcard that comes back with an equal sum, to this server or another, has equal content, and is sent nothing.

Source: https://www.envoyproxy.io/docs/envoy/latest/api-docs/xds_protocol#basic-protocol-overview
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from xds_server.resources import Content, Failure, Resource
from xds_server.subscription.base import Subscription
from xds_server.subscription.exchange import WILDCARD, Answer, Claimed, Contents, Has, InFlight, canonical_names
from xds_server.subscription.interest import once
from xds_server.wire import text_field

_BY_NAME = "by-name"
"""Marks a version of a client that asks by name, so that it is never taken for everything."""


class SotwSubscription(Subscription):
    """Reads DiscoveryRequests of one type, writes DiscoveryResponses."""

    _last_nonce = ""
    _claimed = ""
    _begun = False
    _ever_named = False
    _known = False
    """The client has accepted a response on this stream, so what it holds of a full-state type is known."""

    def receive(self, request: Any, answer: Answer | None) -> None:
        """An ACK, a NACK or a subscription; a request that does not answer the latest response is ignored."""
        if request.response_nonce != self._last_nonce and self._begun:
            return
        self._take(answer, request)
        first, self._begun = not self._begun, True
        if first:
            self._claimed = request.version_info
        self._replace(once(canonical_names(request.resource_names)), first=first)

    def _replace(self, names: dict[str, None], *, first: bool) -> None:
        """The names of the latest request are all that the client wants."""
        interest = self._interest
        wildcard = WILDCARD in names or (not names and not self._ever_named and self.kind.legacy_wildcard)
        self._ever_named = self._ever_named or bool(names)
        names.pop(WILDCARD, None)
        added = [name for name in names if name not in interest.names]
        if (added or (wildcard and not interest.wildcard)) and self.kind.full_state:
            self._owes_answer = True
        if wildcard and not interest.wildcard:
            self._subscribe_all()
        for name in [name for name in interest.names if name not in names]:
            self._unsubscribe(name)
        if interest.wildcard and not wildcard:
            self._unsubscribe_all()
        for name in added:
            self._subscribe(name, force=True)
        if first:
            self._doubt_again()
            self._renew_again()

    def _accept(self, contents: Contents) -> None:
        super()._accept(contents)
        self._known = True

    def _look(self) -> None:
        if self._claimed:
            self._check_claim()
        if self.kind.full_state and not self._known and not all(map(self._exists, self._fresh)):
            # From another stream it may hold what has gone now, so it needs a state without it.
            self._owes_answer = True
        super()._look()

    def _exists(self, name: str) -> bool:
        return self._cache.get(self.kind.type_url, name) is not None

    def _check_claim(self) -> None:
        """The client may have from another stream exactly what it should have; then there is nothing to send.

        Only a client of the wildcard can: one that asks by name may have let go of a name since, and a request does
        not tell.
        """
        everything = self._wants_everything() and not (self._holdings.doubts or self._forced)
        if everything and self._claimed == _version_info(self._cache.fingerprint(self.kind.type_url)):
            self._holdings.differs.clear()
            self._known = True
            self._report(dict(self._cache.versions(self.kind.type_url)))
            for waiting in (self._fresh, self._updates, self._removals, self._forced):
                waiting.clear()
            self._owes_answer = False
            self._claimed = ""
        elif not everything or not self._cache.held:
            self._claimed = ""

    def _wants_everything(self) -> bool:
        """Is the wildcard all that the client asks for?"""
        return self._interest.wildcard and not self._interest.names

    def _batch(self, removals: bool) -> Contents | None:
        contents = self._current(self._updates)
        self._taken(contents)
        if self.kind.full_state:
            if removals:
                contents.update(dict.fromkeys(self._removals))
                self._removals.clear()
            return contents if contents or self._owes_answer else None
        self._drop_removed()
        if self.kind.repeated:
            contents = {name: content or self._nothing(name) for name, content in contents.items()}
        contents = {name: content for name, content in contents.items() if content is not None}
        return contents or None

    def _again(self, contents: Contents) -> Contents:
        """A full state takes back what was applied of a refused one; what points at that waits anew."""
        if not self.kind.full_state:
            return {}
        has = {name: self._holdings.has(name) for name in self._holdings.doubts if name not in contents}
        return {name: None if isinstance(content, Claimed) else content for name, content in has.items()}

    def _nothing(self, name: str) -> Resource:
        """An empty resource, which ends the wait of what points at it; this protocol has no other way to say it.

        A cache has all that its resources point at, so what waits is on its way out, or came from elsewhere.
        """
        return Resource(self.kind.type_url, name, "", text_field(1, name))

    def _drop_removed(self) -> None:
        """Only a full state can remove; of other types the client lets go by itself."""
        gone: Contents = dict.fromkeys(self._removals)
        self._accept(gone)
        self._report(dict.fromkeys(gone))
        self._removals.clear()

    def _encode(self, sent: InFlight) -> bytes:
        self._last_nonce = sent.nonce
        parts = [
            text_field(1, self._version_with(sent.contents)),
            text_field(4, self.kind.type_url),
            text_field(5, sent.nonce),
        ]
        full = self.kind.full_state
        told: set[str] = set()
        for content in self._state_with(sent.contents) if full else sent.contents.values():
            if content is not None and content.name not in told:
                told.add(content.name)
                parts.extend(self._entry(content))
        return b"".join(parts)

    def _state_with(self, contents: Contents) -> Iterator[Content]:
        """All that the client will have once it accepts `contents`; failures are told only once."""
        for name in once(self._interest.wanted()) | dict.fromkeys(self._holdings.differs):
            content = contents[name] if name in contents else self._holdings.has(name)
            if isinstance(content, Resource) or (isinstance(content, Failure) and name in contents):
                yield content

    def _version_with(self, contents: Contents) -> str:
        total = self._cache.fingerprint(self.kind.type_url)
        will_have = {**{name: has for name, has in self._holdings.differs.items() if name not in contents}, **contents}
        for name, has in will_have.items():
            current = self._cache.get(self.kind.type_url, name)
            if has is not current:
                total += _fingerprint(has) - _fingerprint(current)
        return _version_info(total) if self._wants_everything() else f"{_version_info(total)}-{_BY_NAME}"

    @property
    def _knows_ttl(self) -> bool:
        """Envoy (1.36 to 1.40) crashes when a time to live of other types ends in the state of the world."""
        return self._journal.knows_ttl and self.kind.full_state

    def _entry(self, content: Content) -> tuple[bytes, ...]:
        if isinstance(content, Resource) and content.ttl is not None and self._knows_ttl:
            return content.sotw_parts_with_ttl()
        return content.sotw_parts()


def _fingerprint(has: Has) -> int:
    return has.fingerprint if isinstance(has, Resource) else 0


def _version_info(total: int) -> str:
    return f"{total % (1 << 128):032x}"
