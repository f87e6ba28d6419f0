"""Incremental xDS for one resource type on one stream.

Source: https://www.envoyproxy.io/docs/envoy/latest/api-docs/xds_protocol#incremental-xds
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from xds_server.cache import Names
from xds_server.names import canonical
from xds_server.resources import Content, Resource
from xds_server.subscription.base import Subscription
from xds_server.subscription.exchange import WILDCARD, Answer, Claimed, Contents, InFlight, canonical_names
from xds_server.subscription.interest import once
from xds_server.wire import bytes_field, text_field

MAX_RESPONSE_BYTES = 2 << 20
"""Resources beyond this wait for the next response: clients refuse messages above 4 MiB unless told otherwise, and a
smaller one keeps memory and the stream's latency bounded. A single larger resource goes alone."""


_ANY_ALIAS = "/"
"""The end of a name that stands for a route configuration without any of its virtual hosts."""


class DeltaSubscription(Subscription):
    """Reads DeltaDiscoveryRequests of one type, writes DeltaDiscoveryResponses."""

    _begun = False

    def receive(self, request: Any, answer: Answer | None) -> None:
        """An ACK, a NACK or neither; each may change what is subscribed to."""
        self._take(answer, request)
        for name in canonical_names(request.resource_names_unsubscribe):
            self._leave(name)
        if self._begun:
            self._join(canonical_names(request.resource_names_subscribe))
        else:
            self._begun = True
            names = canonical_names(request.resource_names_subscribe)
            self._begin(names, dict(request.initial_resource_versions.items()))

    def _begin(self, names: list[str], claims: dict[str, str]) -> None:
        """The first request says what the client has from earlier streams, so that is compared and not forced."""
        if self.kind.by_alias:
            self._begin_on_demand(names, claims)
            return
        wildcard = WILDCARD in names or (not names and self.kind.legacy_wildcard)
        has_everything = wildcard and self._has_everything(claims)
        if not has_everything:
            claims = {canonical(name): version for name, version in claims.items()}
        if has_everything:
            self._interest.add_all()
            self._report(claims)
            for name in tuple(self._holdings.doubts):
                self._holdings.doubt_no_more(name, claims.get(name))
        elif wildcard:
            self._subscribe_all()
            self._owes_answer = not claims
        for name in names:
            if name != WILDCARD:
                self._subscribe(name, force=name not in claims)
        if not has_everything:
            self._claim(claims)
        self._doubt_again()
        self._renew_again()

    def _begin_on_demand(self, names: list[str], claims: dict[str, str]) -> None:
        """Clients ask by alias and state what they have by name. The wildcard that Envoy sends too means nothing.

        Envoy holds a listener back until it hears of its route configuration, whatever that is; so it does at once.
        """
        for waiting in self._cache.pointed_at(self.kind.type_url):
            self._subscribe(waiting, force=True)
        has = dict(claims)
        for name, version in claims.items():
            content = self._cache.get(self.kind.type_url, name)
            has.update(dict.fromkeys(content.aliases if content else (), version))
        for name in once((*names, *claims)):
            if name != WILDCARD:
                self._subscribe(name, force=name not in has)
        self._claim(has)
        self._doubt_again()

    def _has_everything(self, claims: dict[str, str]) -> bool:
        """The usual case after a reconnect, at a cost that does not depend on Python per resource."""
        return bool(claims) and not self._cache.held and claims == self._cache.versions(self.kind.type_url)

    def _claim(self, claims: dict[str, str]) -> None:
        for name, version in claims.items():
            if self._interest.covers(name):
                self._holdings.claims(name, version)
                self._fresh[name] = None

    def _join(self, names: list[str]) -> None:
        for name in names:
            if name != WILDCARD:
                self._subscribe(name, force=True)
            elif not self.kind.by_alias:
                if self._interest.wildcard:
                    self._force(self._cache.resources(self.kind.type_url))
                self._subscribe_all()
                self._owes_answer = True

    def _leave(self, name: str) -> None:
        if name == WILDCARD:
            if self._interest.wildcard:
                self._unsubscribe_all()
        elif name in self._interest.names:
            meaning = self._unsubscribe(name)
            self._force(each for each in meaning if self._interest.covers(each))

    def _batch(self, removals: bool) -> Contents | None:
        contents: Contents = {}
        room = MAX_RESPONSE_BYTES
        for name in self._updates:
            contents[name] = content = self._content(name)
            room -= content.wire_size if content else len(name)
            if room <= 0:
                break
        self._taken(contents)
        if removals and not self._updates:
            contents.update(dict.fromkeys(self._removals))
            self._removals.clear()
        return contents if contents or self._owes_answer else None

    def _encode(self, sent: InFlight) -> bytes:
        parts = [_head(self._cache.revision, self.kind.type_url), text_field(5, sent.nonce)]
        told: set[str] = set()
        removed: Names = {}
        for name, content in sent.contents.items():
            gone = self._gone(name, content)
            if gone is not None:
                removed[gone] = None
            if content is None:
                parts.append(b"" if gone is not None else bytes_field(2, text_field(3, name) + text_field(4, name)))
            elif content.name not in told:  # it may have been asked for by several aliases
                told.add(content.name)
                parts.extend(self._entry(content, sent.renewal))
        parts.extend(text_field(6, name) for name in removed)
        return b"".join(parts)

    def _entry(self, content: Content, renewal: bool) -> tuple[bytes, ...]:
        if isinstance(content, Resource) and content.ttl is not None and self._knows_ttl:
            return content.delta_parts_with_ttl(renewal=renewal)
        return content.delta_parts()

    def _gone(self, name: str, content: Content | None) -> str | None:
        """What is to be told as removed, under its own name, now that `name` leads to this; None: nothing."""
        if not self.kind.by_alias:
            return name if content is None else None
        has = self._holdings.differs.get(name)
        if isinstance(has, Resource) and (content is None or content.name != has.name) and not self._reaches(has.name):
            return has.name
        stated = isinstance(has, Claimed) or name.endswith(_ANY_ALIAS)
        return name if content is None and stated else None

    def _reaches(self, name: str) -> bool:
        """Does anything that the client asks for still lead to the resource of this name?"""
        current = self._cache.get(self.kind.type_url, name)
        return current is not None and any(self._interest.covers(each) for each in (current.name, *current.aliases))


@lru_cache(maxsize=64)  # all streams that a change wakes begin their responses alike
def _head(revision: int, type_url: str) -> bytes:
    return text_field(1, str(revision)) + text_field(4, type_url)
