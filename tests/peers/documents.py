"""Documents that many tests of whole meshes need."""

from __future__ import annotations

_LOBBY = """\
apiVersion: mediastreamingmesh.io/v1alpha1
kind: RTSPRoute
metadata: {{name: lobby}}
spec: {{rules: [{{backendRefs: [{{kind: Backend, name: lobby}}]}}]}}
---
apiVersion: mediastreamingmesh.io/v1alpha1
kind: Backend
metadata: {{name: lobby}}
spec: {{endpoints: [{endpoints}]}}
"""


def lobby(*endpoints: str) -> str:
    """A route of every path to a backend of these endpoints, each in YAML's flow style. Both are called lobby; other
    documents may follow behind a line of "---"."""
    return _LOBBY.format(endpoints=", ".join(endpoints))
