"""Names of resources: plain ones, and `xdstp://` ones with their collections.

A plain name is opaque. An xdstp name is a URI, `xdstp://{authority}/{type}/{id}?{context parameters}`; parameters may
stand in any order, so names are compared in one form, in which they are sorted. A name whose id ends in `/*` is a glob
collection: every resource of the same authority, type, parameters and all but the last part of the id is a member. So a
resource is a member of exactly one collection, and finding it costs no search.

Source: xRFC TP1 (xdstp:// structured names), https://github.com/cncf/xds/blob/main/proposals/TP1-xds-transport-next.md
"""

from __future__ import annotations

_SCHEME = "xdstp://"
_ANY = "/*"


def canonical(name: str) -> str:
    """The one form of a name: an xdstp name has its parameters sorted and no fragment, any other stays as it is."""
    if not name.startswith(_SCHEME):
        return name
    path, _, parameters = name.partition("#")[0].partition("?")
    return _join(path, "&".join(sorted(parameters.split("&"), key=_key)))


def is_collection(name: str) -> bool:
    """Does this canonical name stand for all resources of a collection?"""
    return name.startswith(_SCHEME) and name.partition("?")[0].endswith(_ANY)


def collection_of(name: str) -> str | None:
    """The collection that a canonical name is a member of; None for plain names and for collections."""
    if not name.startswith(_SCHEME) or is_collection(name):
        return None
    path, _, parameters = name.partition("?")
    return _join(path.rpartition("/")[0] + _ANY, parameters)


def _key(parameter: str) -> str:
    return parameter.partition("=")[0]


def _join(path: str, parameters: str) -> str:
    return f"{path}?{parameters}" if parameters else path
