"""Gateway API's `BackendTLSPolicy` (gateway.networking.k8s.io/v1): servers that are spoken to by TLS.

Who does not verify whom he speaks to may as well speak in the clear: there is no field for that, as in Gateway API.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from pydantic import Field

from mesh.documents.backend_refs import BackendKind
from mesh.documents.base import AddressText, DocumentModel, ObjectMeta, ObjectNameText
from mesh.documents.findings import Finding
from mesh.documents.kubernetes import Unused

# Bounds of Gateway API.
MAX_TARGETS = 16
MAX_CA_REFS = 8

# Fields of BackendTLSPolicy that are not here.
NOT_YET_FIELDS = frozenset({"spec.options", "spec.validation.subjectAltNames"})

_VALIDATION = ("spec", "validation")


class TLSTargetRef(DocumentModel):
    """What the policy is for; it is in the policy's own namespace."""

    group: str | None = Field(default=None, max_length=253, description="API group; by default the kind's own.")
    kind: BackendKind = Field(description="Backend or Service.")
    name: ObjectNameText = Field(description="Name of the object.")
    section_name: ObjectNameText | None = Field(default=None, description="Name of one port of a Service.")


class CACertificateRef(DocumentModel):
    """A ConfigMap of the same namespace."""

    group: Literal[""] = Field(default="", description="API group of ConfigMap: the core group, which is empty.")
    kind: Literal["ConfigMap"] = Field(description="ConfigMap.")
    name: ObjectNameText = Field(description="Name of the ConfigMap, which has the certificates under ca.crt.")


class TLSValidation(DocumentModel):
    """How servers prove who they are."""

    ca_certificate_refs: tuple[CACertificateRef, ...] = Field(
        default=(), max_length=MAX_CA_REFS, description="Authorities that are trusted, and no others."
    )
    well_known_ca_certificates: Literal["System"] | None = Field(
        default=None,
        alias="wellKnownCACertificates",
        description="System: the authorities that the system of the RTSP proxy trusts.",
    )
    hostname: AddressText = Field(
        description="The host name, or IP address, that the certificate must be for; a name is asked for as well (SNI)."
    )


class BackendTLSPolicySpec(DocumentModel):
    """Targets, and how they prove who they are."""

    target_refs: tuple[TLSTargetRef, ...] = Field(
        min_length=1, max_length=MAX_TARGETS, description="What the policy is for."
    )
    validation: TLSValidation = Field(description="How servers prove who they are.")


class BackendTLSPolicy(DocumentModel):
    """Servers that are spoken to by TLS."""

    api_version: Literal["gateway.networking.k8s.io/v1"] = Field(
        default="gateway.networking.k8s.io/v1", description="Group and version of this kind."
    )
    kind: Literal["BackendTLSPolicy"] = Field(default="BackendTLSPolicy", description="BackendTLSPolicy.")
    metadata: ObjectMeta = Field(description="Name and namespace.")
    spec: BackendTLSPolicySpec = Field(description="Targets and validation.")
    status: Unused


def check_tls_policy(policy: BackendTLSPolicy) -> Iterator[Finding]:
    """Groups that fit, sections of Services only, and authorities said in one way."""
    for index, target in enumerate(policy.spec.target_refs):
        at = ("spec", "targetRefs", index)
        if target.group not in (None, target.kind.group):
            yield (*at, "group"), f'the group of {target.kind.value} is "{target.kind.group}", not "{target.group}"'
        if target.section_name is not None and target.kind is BackendKind.BACKEND:
            yield (*at, "sectionName"), "only a Service has sections, its ports; leave this field out for a Backend"
    validation = policy.spec.validation
    if bool(validation.ca_certificate_refs) is (validation.well_known_ca_certificates is not None):
        yield _VALIDATION, 'say either "caCertificateRefs" or "wellKnownCACertificates"'
