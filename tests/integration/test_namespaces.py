"""Hosts on one machine: they reach each other, until a cable is pulled."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.peers.namespaces import Host, network
from tests.peers.process import Process

pytestmark = pytest.mark.integration

ANSWER = """
import socket
server = socket.create_server(("::", 7007), family=socket.AF_INET6, dualstack_ipv6=True)
print("ready", flush=True)
while True:
    with server.accept()[0] as caller:
        caller.send(b".")
"""
ASK = """
import socket, sys
with socket.create_connection((sys.argv[1], 7007), timeout=float(sys.argv[2])) as call:
    call.settimeout(float(sys.argv[2]))
    call.recv(1)
"""


def reaches(host: Host, address: str, *, within: float) -> bool:
    """Whether a program on `host` gets an answer from `address` within so many seconds."""
    command = host.command([sys.executable, "-ISc", ASK, address, str(within)])
    return subprocess.run(command, check=False, stderr=subprocess.DEVNULL, timeout=30).returncode == 0


def test_hosts_reach_each_other_until_the_cable_is_cut() -> None:
    with network("player", "mesh", "camera") as hosts:
        player, camera = hosts["player"], hosts["camera"]
        with Process(camera.command([sys.executable, "-ISc", ANSWER])) as server:
            server.wait_for_line("ready")
            assert reaches(player, camera.ipv4, within=10)
            assert reaches(player, camera.ipv6, within=10)

            hosts.cut("camera")
            assert not reaches(player, camera.ipv4, within=0.5)

            hosts.mend("camera")
            assert reaches(player, camera.ipv4, within=10)


def test_networks_are_apart_from_each_other() -> None:
    with network("one", "two") as hosts, network("other") as elsewhere:
        one, two, other = hosts["one"], hosts["two"], elsewhere["other"]
        with Process(one.command([sys.executable, "-ISc", ANSWER])) as server:
            server.wait_for_line("ready")
            assert reaches(two, one.ipv4, within=10)
            assert not reaches(other, one.ipv4, within=0.5)
