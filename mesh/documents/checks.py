"""Rules that span several fields, which a single field's type cannot say.

Each check yields findings: the path of the field at fault and one sentence. They need one document only; references
between documents are checked where documents become a mesh.
"""

from __future__ import annotations

from collections.abc import Iterator

from mesh.documents.backend import Backend
from mesh.documents.backend_tls_policy import BackendTLSPolicy, check_tls_policy
from mesh.documents.findings import Finding, repeated
from mesh.documents.gateway import Gateway
from mesh.documents.gateway_checks import check_gateway, check_policy, check_transport_route
from mesh.documents.media_policy import MediaPolicy
from mesh.documents.route_checks import check_route
from mesh.documents.rtsp_route import RTSPRoute
from mesh.documents.secret import Secret, check_secret
from mesh.documents.transport_route import TCPRoute, UDPRoute


def check_document(document: object) -> Iterator[Finding]:
    """All findings in one document, of whatever kind."""
    if isinstance(document, RTSPRoute):
        yield from check_route(document)
    elif isinstance(document, Backend):
        names = (endpoint.name for endpoint in document.spec.endpoints)
        yield from repeated(names, ("spec", "endpoints"))
    elif isinstance(document, Gateway):
        yield from check_gateway(document)
    elif isinstance(document, UDPRoute | TCPRoute):
        yield from check_transport_route(document)
    elif isinstance(document, MediaPolicy):
        yield from check_policy(document)
    elif isinstance(document, BackendTLSPolicy):
        yield from check_tls_policy(document)
    elif isinstance(document, Secret):
        yield from check_secret(document)
