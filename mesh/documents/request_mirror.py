"""`requestMirror`, a filter of RTSPRoutes: a part of the sessions is set up at another backend as well."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import Annotated

from pydantic import Field

from mesh.documents.backend_refs import BackendObjectReference
from mesh.documents.base import DocumentModel
from mesh.documents.findings import Finding, check_ref
from mesh.documents.problems import FieldPath

# What numbers of Gateway API can be.
MAX_INT32 = 2**31 - 1
# Envoy counts in hundredths, ten thousandths or millionths.
_SMALLEST_PART = Fraction(1, 1_000_000)


class MirrorFraction(DocumentModel):
    """A part that is no whole number of percent."""

    numerator: Annotated[int, Field(strict=True, ge=0, le=MAX_INT32)] = Field(description="So many sessions…")
    denominator: Annotated[int, Field(strict=True, ge=1, le=MAX_INT32)] = Field(
        default=100, description="…of so many. To a millionth of all sessions."
    )


class RequestMirror(DocumentModel):
    """Sessions that are played are set up at another backend as well, where their media is measured and shown to
    nobody. Without `percent` and `fraction` all of them."""

    backend_ref: BackendObjectReference = Field(description="The other backend.")
    percent: Annotated[int, Field(strict=True, ge=0, le=100)] | None = Field(
        default=None, description="Part of the sessions, in percent."
    )
    fraction: MirrorFraction | None = Field(default=None, description="Part of the sessions; instead of percent.")

    @property
    def part(self) -> Fraction:
        """The part of the sessions, from 0 to 1."""
        if self.fraction is not None:
            return Fraction(self.fraction.numerator, self.fraction.denominator)
        return Fraction(1 if self.percent is None else self.percent / Fraction(100))


def check_mirror(mirror: RequestMirror, at: FieldPath) -> Iterator[Finding]:
    """What is wrong with a mirror by itself."""
    yield from check_ref(mirror.backend_ref, (*at, "backendRef"))
    if mirror.fraction is None:
        return
    if mirror.percent is not None:
        yield (*at, "fraction"), "percent says it already"
    if mirror.part > 1:
        yield (*at, "fraction", "numerator"), "is more than the denominator"
    if 0 < mirror.part < _SMALLEST_PART:
        yield (*at, "fraction"), "is less than a millionth, the smallest part that proxies know"
