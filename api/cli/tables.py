"""What the tables of a running mesh show: for each kind of thing its columns, and which of them fit 80 characters."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar
from urllib.parse import urlsplit

from api.cli.output import Cell, age, console, percent, print_table
from api.models import Match, PortPair, Proxy, ProxyResource, Relay, Route, Rule, Session, Source
from xds_server.subscription import SyncState

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True, kw_only=True)
class View(Generic[Item]):
    """A table. `columns` make a cell of an item each; without "wide" only those in `brief` are shown. Ids in `whole`
    are never broken, so that they can be copied. `nothing` is said when there are no items."""

    columns: Mapping[str, Callable[[Item], Cell]]
    brief: tuple[str, ...]
    whole: frozenset[str]
    nothing: str

    def show(self, items: Iterable[Item], *, wide: bool) -> None:
        """Print the table."""
        names = tuple(self.columns) if wide else self.brief
        rows = [[self.columns[name](item) for name in names] for item in items]
        print_table(names, rows, self.nothing, self.whole)


RuleOfRoute = tuple[Route, Rule]


def rules_of(routes: Iterable[Route]) -> list[RuleOfRoute]:
    """Every rule with its route."""
    return [(route, rule) for route in routes for rule in route.rules]


def _rewrite(row: RuleOfRoute) -> str:
    rewrite = row[1].rewrite
    return "" if rewrite is None else f"{rewrite.type.value} {rewrite.value}"


def _destination(row: RuleOfRoute) -> str:
    """Where sessions go, or where players are sent."""
    redirect = row[1].redirect
    if redirect is None:
        mirrors = (f"mirror {item.backend} {percent(item.share)}" for item in row[1].mirrors)
        return ", ".join([*(f"{item.backend} {percent(item.share)}" for item in row[1].backends), *mirrors])
    said = {
        "scheme": "rtsps" if redirect.secure else "",
        "host": redirect.hostname,
        "port": redirect.port,
        "path": redirect.path and redirect.path.value,
    }
    changes = ", ".join(f"{name} {value}" for name, value in said.items() if value)
    return f"redirect ({redirect.status}): {changes}"


def _wanted(match: Match) -> str:
    """What a rule wants: the path, then what else."""
    more = [f"header {each.name}={each.value}" for each in match.headers]
    more += [f"query {each.name}={each.value}" for each in match.query_params]
    method = [] if match.method is None else [match.method.value]
    return " ".join([f"{match.type.value} {match.value}", *method, *more])


ROUTES: View[RuleOfRoute] = View(
    columns={
        "route": lambda row: f"{row[0].namespace}/{row[0].name}",
        "hosts": lambda row: ", ".join(row[0].hostnames) or "any",
        "rule": lambda row: row[1].name,
        "paths": lambda row: ", ".join(map(_wanted, row[1].matches)),
        "rewrite": _rewrite,
        "backends": _destination,
    },
    brief=("route", "hosts", "paths", "backends"),
    whole=frozenset(),
    nothing="There are no routes; give some with msm up --route or -f.",
)


SOURCES: View[Source] = View(
    columns={
        "source": lambda source: source.name,
        "latest": lambda source: "refused" if source.errors else "taken",
        "good since": lambda source: None if source.taken_at is None else age(source.taken_at),
        "routes": lambda source: len(source.routes),
        "backends": lambda source: len(source.backends),
        "gateways": lambda source: len(source.gateways),
        "problems": lambda source: len(source.errors),
    },
    brief=("source", "latest", "good since", "routes", "backends", "gateways", "problems"),
    whole=frozenset({"source", "latest", "good since"}),
    nothing="There are no sources; give some with msm up --route or -f.",
)


def show_sources(sources: Sequence[Source]) -> None:
    """The table, and below it all that is wrong with the latest change of each source."""
    SOURCES.show(sources, wide=False)
    for source in (each for each in sources if each.errors):
        console().print(f"\nThe latest change of the {source.name} was refused:")
        for error in source.errors:
            console().print(f"  {error}")


def _path(session: Session) -> str:
    """What of the URL tells sessions apart: all of a mesh have the same hosts."""
    url = urlsplit(session.url)
    return f"{url.path}?{url.query}" if url.query else url.path


SESSIONS: View[Session] = View(
    columns={
        "session": lambda session: session.id,
        "state": lambda session: session.state.value,
        "via": lambda session: session.transport.value,
        "client": lambda session: session.client_address,
        "url": lambda session: session.url,
        "path": _path,
        "route": lambda session: f"{session.route}/{session.rule}",
        "backend": lambda session: session.backend,
        "endpoint": lambda session: session.endpoint,
        "media": lambda session: ", ".join(session.media),
        "proxy": lambda session: session.proxy,
        "age": lambda session: age(session.started_at),
    },
    brief=("session", "state", "via", "client", "path", "endpoint", "age"),
    whole=frozenset({"session", "state", "via", "age"}),
    nothing="There are no sessions.",
)


def _ports(pair: PortPair | None) -> str | None:
    return None if pair is None else f"{pair.rtp}-{pair.rtcp}"


def _receiver(relay: Relay) -> str | None:
    return None if relay.receiver is None else f"{relay.receiver.address} {_ports(relay.receiver.ports)}"


RELAYS: View[Relay] = View(
    columns={
        "slot": lambda relay: relay.slot,
        "state": lambda relay: relay.state.value,
        "activity": lambda relay: relay.activity.value,
        "media": lambda relay: relay.media,
        "from camera": lambda relay: _ports(relay.ingress),
        "to player": lambda relay: _ports(relay.egress),
        "player": _receiver,
        "session": lambda relay: relay.session,
        "proxy": lambda relay: relay.proxy,
        "relay": lambda relay: relay.id,
    },
    brief=("slot", "activity", "media", "from camera", "player", "session"),
    whole=frozenset({"slot", "state", "activity", "from camera", "to player", "session", "relay"}),
    nothing="There are no relays.",
)


def _peer(proxy: Proxy) -> str | None:
    return next((stream.peer for stream in (proxy.xds, proxy.relay_stream) if stream is not None), None)


def _counts(proxy: Proxy) -> str | None:
    if proxy.xds is None:
        return None
    return ", ".join(f"{count.resources} {count.state.value}" for count in proxy.xds.resources)


def _waiting(proxy: Proxy) -> str | None:
    if proxy.xds is None or proxy.xds.unanswered_for is None:
        return None
    return f"{proxy.xds.unanswered_for:.1f} s"


PROXIES: View[Proxy] = View(
    columns={
        "proxy": lambda proxy: proxy.id,
        "kind": lambda proxy: proxy.kind.value,
        "software": lambda proxy: f"{proxy.software} {proxy.version}".strip(),
        "peer": _peer,
        "protocol": lambda proxy: None if proxy.xds is None else proxy.xds.protocol.value,
        "connected": lambda proxy: None if proxy.xds is None else age(proxy.xds.connected_at),
        "resources": _counts,
        "unanswered": _waiting,
        "throttled": lambda proxy: None if proxy.xds is None else proxy.xds.throttled,
        "sessions": lambda proxy: None if proxy.relay_stream is None else proxy.relay_stream.sessions,
        "relays": lambda proxy: None if proxy.relay_stream is None else proxy.relay_stream.relays,
    },
    brief=("proxy", "kind", "connected", "resources", "sessions", "relays"),
    whole=frozenset({"proxy", "kind", "connected"}),
    nothing="No proxy is connected.",
)

RESOURCES: View[ProxyResource] = View(
    columns={
        "type": lambda resource: resource.type,
        "name": lambda resource: resource.name,
        "state": lambda resource: resource.state.value,
        "sent": lambda resource: resource.version_sent,
        "acknowledged": lambda resource: resource.version_acknowledged,
        "error": lambda resource: resource.error,
    },
    brief=("type", "name", "state", "error"),
    whole=frozenset({"type", "state", "sent", "acknowledged"}),
    nothing="The proxy has no such resources.",
)


def show_summary(resources: Sequence[ProxyResource]) -> None:
    """How many resources of each type are in each state, and every one that was refused."""
    counts = Counter((resource.type, resource.state.value) for resource in resources)
    rows = [(kind, state, number) for (kind, state), number in sorted(counts.items())]
    print_table(("type", "state", "resources"), rows, "The proxy has no resources.")
    refused = [resource for resource in resources if resource.state is SyncState.REJECTED]
    if refused:
        console().print()
        RESOURCES.show(refused, wide=False)
