"""SPIFFE IDs: what is one, and how those of services and of the mesh's own parts are made, by a template.

A template has at most one placeholder in a segment of the path. So two workloads never get one name, and nobody becomes
another by a namespace and a service account that only together are spelt like the other's.

Source: the SPIFFE-ID specification, section 2.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

SCHEME = "spiffe://"
MAX_ID_BYTES = 2048
"""SPIFFE-ID, section 2.3: longer ones need not be understood by anybody."""
MAX_TRUST_DOMAIN_BYTES = 255
"""SPIFFE-ID, section 2.3, from the longest host of a URI."""
MAX_SHOWN_ID = 200
"""Characters that an error repeats of what somebody else sent."""
DEFAULT_TEMPLATE = "spiffe://{trust_domain}/ns/{namespace}/sa/{service_account}"
_PLACEHOLDERS = ("trust_domain", "namespace", "service_account")
_BEGINNING = SCHEME + "{trust_domain}/"
_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")
_TRUST_DOMAIN = re.compile(r"[-a-z0-9._]+")
_SEGMENT = re.compile(r"[-a-zA-Z0-9._]+")


def checked_id(text: str) -> str:
    """`text`, which is a SPIFFE ID; with or without a path. Raises ValueError that says what is wrong with it."""
    problem = id_problem(text)
    if problem is not None:
        raise ValueError(f"{shown(text)} is no SPIFFE ID: {problem}")
    return text


def trust_domain_of(spiffe_id: str) -> str:
    """The name of the trust domain that a SPIFFE ID is of."""
    return spiffe_id.removeprefix(SCHEME).partition("/")[0]


def segments_of(spiffe_id: str) -> tuple[str, ...]:
    """The segments of a SPIFFE ID's path; none for that of a trust domain itself."""
    return tuple(spiffe_id.removeprefix(SCHEME).split("/")[1:])


def shown(text: str) -> str:
    """`text` in quotes, as an error may repeat it: its beginning, and nothing that a terminal would obey."""
    return ascii(text if len(text) <= MAX_SHOWN_ID else f"{text[:MAX_SHOWN_ID]}...")


def id_problem(text: str) -> str | None:
    """What keeps `text` from being a SPIFFE ID; None: nothing."""
    if len(text.encode(errors="surrogatepass")) > MAX_ID_BYTES:
        return f"it has more than {MAX_ID_BYTES} bytes"
    if not text.startswith(SCHEME):
        return f"it must begin with {SCHEME}, as in spiffe://example.org/ns/media/sa/viewer"
    domain = trust_domain_of(text)
    if len(domain) > MAX_TRUST_DOMAIN_BYTES:
        return f"its trust domain has more than {MAX_TRUST_DOMAIN_BYTES} bytes"
    if not _TRUST_DOMAIN.fullmatch(domain):
        return f"its trust domain {shown(domain)} must have a-z, 0-9, '.', '-' and '_' only, so no port and no user"
    return next((problem for segment in segments_of(text) if (problem := segment_problem(segment))), None)


def segment_problem(segment: str) -> str | None:
    """What is wrong with a segment of a path; None: nothing (SPIFFE-ID, section 2.2)."""
    if not segment:
        return "its path has an empty segment: no '//', and no '/' at the end"
    if segment in (".", ".."):
        return "its path has '.' or '..' for a segment"
    if not _SEGMENT.fullmatch(segment):
        return f"{shown(segment)} in its path must have a-z, A-Z, 0-9, '.', '-' and '_' only; no query, no '#', no '%'"
    return None


@dataclass(frozen=True, slots=True)
class IdTemplate:
    """How SPIFFE IDs are made from a trust domain, a namespace and a service account.

    Raises ValueError for a text that is no template, or that could name two workloads alike.
    """

    text: str = DEFAULT_TEMPLATE

    def __post_init__(self) -> None:
        problem = _template_problem(self.text)
        if problem is not None:
            raise ValueError(f"{shown(self.text)} is no template of SPIFFE IDs: {problem}")

    def id_of(self, *, trust_domain: str, namespace: str, service_account: str) -> str:
        """The SPIFFE ID of a workload. Raises ValueError where a value cannot be part of one."""
        values = {"trust_domain": trust_domain, "namespace": namespace, "service_account": service_account}
        for name, value in values.items():
            if segment_problem(value):
                raise ValueError(f"{shown(value)} cannot be the {name} of a SPIFFE ID: use a-z, 0-9, '.', '-' and '_'")
        return checked_id(_PLACEHOLDER.sub(lambda found: values[found[1]], self.text))


def _template_problem(text: str) -> str | None:
    named = _PLACEHOLDER.findall(text)
    unknown = [name for name in named if name not in _PLACEHOLDERS]
    known = ", ".join(f"{{{name}}}" for name in _PLACEHOLDERS)
    if unknown:
        return f"there is no placeholder {{{unknown[0][:MAX_SHOWN_ID]}}}; those that there are: {known}"
    if not text.startswith(_BEGINNING) or named.count("trust_domain") != 1:
        return f"it must begin with {_BEGINNING}, and have {{trust_domain}} there only"
    if "service_account" not in named:
        return "without {service_account} the parts of the mesh would all have one ID"
    if any(len(_PLACEHOLDER.findall(segment)) > 1 for segment in segments_of(text)):
        return "a segment of its path has two placeholders, so two workloads could get one ID; put '/' in between"
    return id_problem(_PLACEHOLDER.sub("x", text))
