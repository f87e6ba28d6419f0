"""What every part of the mesh refers to: names of objects, the group of our documents, the error of a bad mesh."""

from __future__ import annotations

from dataclasses import dataclass

# The group of our documents, and the name under which xDS metadata of ours is kept.
GROUP = "mediastreamingmesh.io"
# In a Cluster's metadata: what becomes of its sessions when their server fails (gateways.OnBackendFailure).
ON_BACKEND_FAILURE = "on_backend_failure"
# There too: whose packets are taken for media (gateways.MediaSource).
MEDIA_SOURCE = "media_source"


class MeshError(Exception):
    """A mesh that cannot be built; the message names the objects at fault."""


@dataclass(frozen=True, slots=True, order=True)
class ObjectName:
    """Namespace and name of an object, written `namespace/name`."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightedBackend:
    """A share of a rule's sessions: `weight` out of the sum of the rule's weights."""

    backend: ObjectName
    weight: int = 1
