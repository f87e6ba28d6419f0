"""The table of gateways' ports."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from api.cli.output import console, percent
from api.cli.tables import View
from api.gateways import Gateway, GatewayListener

GatewayPort = tuple[Gateway, GatewayListener]


def ports_of(gateways: Iterable[Gateway]) -> list[GatewayPort]:
    """Every listener with its gateway."""
    return [(gateway, listener) for gateway in gateways for listener in gateway.listeners]


def _addresses(row: GatewayPort) -> str:
    hosts = (f"[{address}]" if ":" in address else address for address in row[0].addresses)
    return ", ".join(f"{host}:{row[1].port}" for host in hosts)


def _backends(row: GatewayPort) -> str:
    return ", ".join(f"{item.backend} {percent(item.share)}" for item in row[1].backends)


def _proxies(row: GatewayPort) -> str:
    counts = Counter(proxy.state.value for proxy in row[1].proxies)
    return ", ".join(f"{count} {state}" for state, count in sorted(counts.items()))


def show(rows: Sequence[GatewayPort], *, wide: bool) -> None:
    """The table, and below it in the words of each proxy what that refused."""
    LISTENERS.show(rows, wide=wide)
    refused = [
        (gateway, listener, proxy)
        for gateway, listener in rows
        for proxy in listener.proxies
        if proxy.error is not None
    ]
    for gateway, listener, proxy in refused:
        place = f"{gateway.namespace}/{gateway.name} {listener.name}"
        console().print(f"\n{place} was refused by proxy {proxy.id}: {proxy.error}")


def _policy(row: GatewayPort) -> str:
    policy = row[1].policy
    if policy is None:
        return ""
    kind = f"{policy.algorithm.value}{' by packet' if policy.per_packet else ''}"
    change = "" if policy.per_packet else f", {policy.on_backend_change.value}"  # datagrams alone have nothing to keep
    return f"{kind}, idle {policy.idle_timeout:g}s, at most {policy.max_sessions}{change}"


LISTENERS: View[GatewayPort] = View(
    columns={
        "gateway": lambda row: f"{row[0].namespace}/{row[0].name}",
        "listener": lambda row: row[1].name,
        "protocol": lambda row: row[1].protocol.value,
        "at": _addresses,
        "route": lambda row: row[1].route,
        "backends": _backends,
        "sessions": _policy,
        "proxies": _proxies,
    },
    brief=("gateway", "listener", "protocol", "at", "backends", "proxies"),
    whole=frozenset({"protocol"}),
    nothing="There are no gateways; give some with msm up -f.",
)
