"""Kinds that others know: each is told what to write here, in kinds that there are."""

from __future__ import annotations

import re

import pytest

from mesh.documents.foreign_kinds import instead_of
from mesh.documents.loaded import KINDS

OURS = {kind.__name__ for kind in KINDS}
FOREIGN = ["HTTPRoute", "Ingress", "VirtualService", "GRPCRoute", "TLSRoute", "DestinationRule", "ServiceEntry"]


@pytest.mark.parametrize("kind", FOREIGN)
def test_a_kind_of_other_meshes_leads_to_one_of_ours(kind: str) -> None:
    assert set(re.findall(r"\w+", instead_of(kind))) & OURS


@pytest.mark.parametrize("kind", [*sorted(OURS), "Pod", "Deployment"])
def test_of_our_own_kinds_and_of_what_routes_nothing_there_is_nothing_to_say(kind: str) -> None:
    assert instead_of(kind) == ""
