"""Several servers over the same sources: equal content has equal versions, and a client may move between them."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.xds_server.meshes import (
    PATIENCE,
    Client,
    DeltaClient,
    SotwClient,
    camera,
    heard,
    mesh_files,
    new_plane,
    publish,
    served,
    stubs,
    versions_of,
)
from xds_server.resource_types import CLUSTER, ENDPOINT, ROUTE

ROOT = Path(__file__).parents[2]
FILES = mesh_files(10)


def test_the_order_of_files_and_of_changes_does_not_show_in_versions() -> None:
    first, second = new_plane(), new_plane()
    publish(first, FILES)
    publish(second, mesh_files(1) | {"1.yaml": camera("cam-1"), "2.yaml": camera("cam-2", "192.0.2.77")})
    publish(second, dict(reversed(FILES.items())))
    rtsp, gateways, media = versions_of(first)
    assert [rtsp, gateways, media] == versions_of(second)
    assert all((rtsp[CLUSTER.type_url], rtsp[ROUTE.type_url], gateways[CLUSTER.type_url], media[CLUSTER.type_url]))
    for one, other in ((first.routes, second.routes), (first.caches.gateways, second.caches.gateways)):
        assert one.fingerprint(CLUSTER.type_url) == other.fingerprint(CLUSTER.type_url)


def test_other_processes_give_the_same_versions() -> None:
    """String hashes differ between processes, and with them the order of sets."""
    script = (
        "import json; from tests.xds_server.meshes import *;"
        " plane = new_plane(); publish(plane, mesh_files(10)); print(json.dumps(versions_of(plane)))"
    )
    plane = new_plane()
    publish(plane, FILES)
    for seed in ("1", "2"):
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        done = subprocess.run(
            [sys.executable, "-c", script], cwd=ROOT, env=environment, capture_output=True, check=True, timeout=30
        )
        assert json.loads(done.stdout.splitlines()[-1]) == versions_of(plane)


CHANGED, NEW, BESIDE = "default/cam-1", "default/new", "default/cam-2"
CLUSTERS = tuple(sorted(("default/spare", NEW, *(f"default/cam-{number}" for number in range(10)))))
ROUTES = (ROUTE.type_url, ("rtsp",))


@pytest.mark.parametrize(
    ("client", "differences"),
    [
        (
            DeltaClient("incremental", {CLUSTER: "*", ENDPOINT: "*", ROUTE: "*"}),
            {(CLUSTER.type_url, (NEW,)), (ENDPOINT.type_url, (CHANGED, NEW)), ROUTES},
        ),
        (DeltaClient("by name", {ENDPOINT: (CHANGED, BESIDE)}), {(ENDPOINT.type_url, (CHANGED,))}),
        (SotwClient("state of the world", (CLUSTER, ROUTE)), {(CLUSTER.type_url, CLUSTERS), ROUTES}),
    ],
    ids=["incremental", "incremental by name", "state of the world"],
)
async def test_a_client_that_moves_to_another_server_is_sent_only_what_differs(
    client: Client, differences: set[tuple[str, tuple[str, ...]]]
) -> None:
    first, second = new_plane(), new_plane()
    publish(first, FILES)
    publish(second, dict(reversed(FILES.items())))
    async with served(first), served(second), stubs(first.port, 1) as [here], stubs(second.port, 1) as [there]:
        async with asyncio.timeout(PATIENCE):
            await client.connect(here)
            await client.follow(lambda: len(client.told) == client.types)
            await client.connect(there)
            await heard(second, proxies=1, requests=client.types)
            publish(second, {**FILES, "new.yaml": camera("new"), "1.yaml": camera("cam-1", "192.0.2.77")})
            await client.follow(lambda: len(client.told) == len(differences))
    assert set(client.told) == differences
