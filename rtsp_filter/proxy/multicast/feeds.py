"""All feeds of a proxy: which stream is sent to which group.

A feed is of one stream of one backend, by one route: readers whom balancing has led to different cameras share it, as
long as these describe the same. The groups are this proxy's alone: proxies of one network need different ones.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from ipaddress import IPv4Network

import structlog

from rtsp_filter.proxy.multicast.feed import Feed
from rtsp_filter.proxy.multicast.group_pool import GroupPool
from rtsp_filter.proxy.sessions import transport
from rtsp_filter.proxy.sessions.session_host import Client, Described, Host
from rtsp_filter.rtsp import RTSPError, StateError, StatusCode

log = structlog.get_logger()


# Virtual host, route, cluster, and what is asked of it.
_Key = tuple[str, str, str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class MulticastSettings:
    """Groups to send to, and what players are told of how far packets go there: the media proxy's own time to live."""

    groups: IPv4Network
    ttl: int


class Feeds:
    """Needs a running event loop, but to be made. Without `settings` there are none."""

    def __init__(self, host: Host, settings: MulticastSettings | None) -> None:
        self._host = host
        self._ttl = 0 if settings is None else settings.ttl
        self.pool = None if settings is None else GroupPool(settings.groups)
        self._feeds: dict[_Key, list[Feed]] = {}

    def __len__(self) -> int:
        return sum(map(len, self._feeds.values()))

    def refusal(self, client: Client) -> str:
        """Why this client cannot have multicast; empty: it can."""
        if self.pool is None:
            return "this proxy has no groups for it (--multicast-groups)"
        if client.interleaved_only:
            return "media of this connection stays on it"
        addresses = self._host.relays.media_addresses
        if addresses and not transport.reaches(addresses, str(self.pool.network[0])):
            return f"no group of IPv4 is reached from the media address {', '.join(addresses)} (--media-address)"
        return ""

    def join(self, described: Described) -> Feed:
        """The feed of a stream, begun with the connection of `described` if there was none; which is closed otherwise.

        Raises RTSPError: 453 without a free group, 455 for a stream that the client has not asked about: who wants its
        media has to be told of it by the camera, which may ask for a password.
        """
        if not described.presentation.tracks:
            raise StateError("multicast needs a DESCRIBE of the stream on this connection first")
        decision = described.decision
        key = (decision.virtual_host, decision.route, decision.cluster, decision.path + decision.query)
        for feed in self._feeds.get(key, ()):
            if feed.sends(described.presentation):
                described.upstream.close()
                return feed
        feed = self._begin(described)
        self._feeds.setdefault(key, []).append(feed)
        return feed

    def _begin(self, described: Described) -> Feed:
        assert self.pool is not None
        now = asyncio.get_running_loop().time()
        group = self.pool.take(now)
        if group is None:
            raise RTSPError(
                f"all {self.pool.network.num_addresses} multicast groups are in use, or rest (--multicast-groups);"
                " ask for unicast",
                status=StatusCode.NOT_ENOUGH_BANDWIDTH,
            )
        try:
            feed = Feed(self._host, described, group, pool=self.pool, ttl=self._ttl, on_over=self._over)
        except BaseException:
            self.pool.give_back(group, now, used=False)
            raise
        log.info("a stream gets a multicast group", group=group, **feed.session.identity)
        return feed

    def _over(self, feed: Feed) -> None:
        assert self.pool is not None
        self._feeds = {
            key: others
            for key, feeds in self._feeds.items()
            if (others := [each for each in feeds if each is not feed])
        }
        self.pool.give_back(feed.group, asyncio.get_running_loop().time(), used=feed.used)
