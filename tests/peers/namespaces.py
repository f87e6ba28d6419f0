"""A small network on one machine: hosts are network namespaces, each with a cable to one switch.

A namespace lives as long as the process that holds it, and that process as long as its standard input, so nothing has
to be cleaned up by name and nothing survives the test run. Works for root, and for others through a user namespace.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.peers.process import Process

HOLD = ("sh", "-c", "echo ready; exec cat")


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """A namespace with one cable. `ipv4` and `ipv6` are its addresses, without prefix length."""

    name: str
    holder: int
    ipv4: str
    ipv6: str

    def command(self, argv: Sequence[str | Path]) -> list[str]:
        """`argv` as a command that runs inside this host."""
        return [*_enter(self.holder), *(str(part) for part in argv)]


class Network:
    """Hosts on one switch. Make it with `network(...)`."""

    def __init__(self, switch: int, hosts: dict[str, Host]) -> None:
        self._switch = switch
        self._hosts = hosts

    def __getitem__(self, name: str) -> Host:
        return self._hosts[name]

    def cut(self, name: str) -> None:
        """Pull the host's cable out of the switch: no error, no reset, packets just stop."""
        _run(_enter(self._switch), "ip", "link", "set", f"to-{name}", "nomaster")

    def mend(self, name: str) -> None:
        """Put the cable back."""
        _run(_enter(self._switch), "ip", "link", "set", f"to-{name}", "master", "switch")


@contextmanager
def network(*names: str) -> Iterator[Network]:
    """Hosts that reach each other at 10.77.0.0/24 and fd77::/64; names are at most twelve letters."""
    with ExitStack() as holders:
        switch = holders.enter_context(Process([*_new_namespace(None), *HOLD]))
        switch.wait_for_line("ready")
        _run(_enter(switch.pid), "ip", "link", "add", "name", "switch", "type", "bridge")
        _run(_enter(switch.pid), "ip", "link", "set", "switch", "up")
        hosts = {}
        for number, name in enumerate(names, start=1):
            holder = holders.enter_context(Process([*_new_namespace(switch.pid), *HOLD]))
            holder.wait_for_line("ready")
            hosts[name] = Host(name=name, holder=holder.pid, ipv4=f"10.77.0.{number}", ipv6=f"fd77::{number}")
            _plug_in(switch.pid, hosts[name])
        yield Network(switch.pid, hosts)


def _plug_in(switch: int, host: Host) -> None:
    inside, far = _enter(host.holder), f"to-{host.name}"
    _run(
        _enter(switch),
        *("ip", "link", "add", "name", far, "master", "switch", "type", "veth"),
        *("peer", "name", "eth0", "netns", str(host.holder)),
    )
    _run(_enter(switch), "ip", "link", "set", far, "up")
    _run(inside, "ip", "link", "set", "lo", "up")
    _run(inside, "ip", "address", "add", f"{host.ipv4}/24", "dev", "eth0")
    _run(inside, "ip", "address", "add", f"{host.ipv6}/64", "dev", "eth0", "nodad")
    _run(inside, "ip", "link", "set", "eth0", "up")
    _run(inside, "ip", "route", "add", "224.0.0.0/4", "dev", "eth0")  # groups, by whatever address they are joined


def _new_namespace(owner: int | None) -> list[str]:
    if os.getuid() == 0:
        return ["unshare", "--net"]
    if owner is None:
        return ["unshare", "--user", "--map-root-user", "--net"]
    return ["nsenter", f"--target={owner}", "--user", "--preserve-credentials", "unshare", "--net"]


def _enter(holder: int) -> list[str]:
    user = [] if os.getuid() == 0 else ["--user", "--preserve-credentials"]
    return ["nsenter", f"--target={holder}", *user, "--net", "--"]


def _run(prefix: Sequence[str], *argv: str) -> None:
    done = subprocess.run([*prefix, *argv], check=False, capture_output=True, text=True, timeout=10)
    assert done.returncode == 0, f"{' '.join(argv)}: {done.stderr}"
