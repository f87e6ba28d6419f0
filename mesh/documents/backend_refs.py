"""References to backends, in the shape of Gateway API: an object, and where it is one of several, its share."""

from __future__ import annotations

from enum import Enum
from typing import Annotated

from pydantic import Field

from mesh.documents.base import DocumentModel, LabelText, ObjectNameText, Port
from mesh.objects import GROUP

# Gateway API's bound.
MAX_WEIGHT = 1_000_000


class BackendKind(Enum):
    """Kinds of objects that a route can send sessions to."""

    BACKEND = "Backend"
    SERVICE = "Service"

    @property
    def group(self) -> str:
        """The API group of the kind; Service is of the core group, which is empty."""
        return GROUP if self is BackendKind.BACKEND else ""


class BackendObjectReference(DocumentModel):
    """A backend."""

    group: str | None = Field(default=None, max_length=253, description="API group; by default the kind's own.")
    kind: BackendKind = Field(default=BackendKind.SERVICE, description="Backend or Service.")
    name: ObjectNameText = Field(description="Name of the object.")
    namespace: LabelText | None = Field(default=None, description="Its namespace; by default the referring object's.")
    port: Port | None = Field(default=None, description="Port of the Service; a Backend's endpoints have their own.")


class BackendRef(BackendObjectReference):
    """A backend and its share of the sessions."""

    weight: Annotated[int, Field(strict=True, ge=0, le=MAX_WEIGHT)] = Field(
        default=1, description="Share of the sessions: this weight out of the sum of the rule's weights."
    )
