"""Kubernetes' `ConfigMap` (v1), as it is."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from mesh.documents.base import DocumentModel, ObjectMeta
from mesh.documents.kubernetes import Unused

# The Kubernetes API's own bound of all values together is 1 MiB.
MAX_KEYS = 1000


class ConfigMap(DocumentModel):
    """A Kubernetes ConfigMap."""

    api_version: Literal["v1"] = Field(default="v1", description="Version of this kind.")
    kind: Literal["ConfigMap"] = Field(default="ConfigMap", description="ConfigMap.")
    metadata: ObjectMeta = Field(description="Name and namespace.")
    data: dict[str, str] = Field(
        default_factory=dict, max_length=MAX_KEYS, description="Texts by key; ca.crt has certificates, in PEM."
    )
    binary_data: Unused
    immutable: Unused
