"""`AuthenticationFilter`: who may play or publish what a rule of an RTSPRoute matches.

A rule names one as its filter of type ExtensionRef, Gateway API's place for what it does not know itself. Users are in
Secrets, so that whoever reads routes sees no passwords.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from mesh.documents.backend import SecretRef
from mesh.documents.base import REALM, DocumentModel, ObjectMeta

MAX_SOURCES = 64


class UserSource(DocumentModel):
    """Where users are."""

    secret_ref: SecretRef = Field(
        description="A Secret with `username` and `password`, or with lines user:realm:hash under `.htdigest`."
    )


class AuthenticationFilterSpec(DocumentModel):
    """Who is asked for a password, and how."""

    realm: Annotated[str, Field(min_length=1, max_length=128, pattern=REALM)] = Field(
        description="What players show when they ask for a password; hashes are good in one realm only."
    )
    users: tuple[UserSource, ...] = Field(min_length=1, max_length=MAX_SOURCES, description="All who may pass.")


class AuthenticationFilter(DocumentModel):
    """Who may play or publish."""

    api_version: Literal["mediastreamingmesh.io/v1alpha1"] = Field(
        default="mediastreamingmesh.io/v1alpha1", description="Group and version of this kind."
    )
    kind: Literal["AuthenticationFilter"] = Field(default="AuthenticationFilter", description="AuthenticationFilter.")
    metadata: ObjectMeta = Field(description="Name and namespace.")
    spec: AuthenticationFilterSpec = Field(description="Realm and users.")
