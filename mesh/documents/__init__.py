"""The documents that describe a mesh: their models, how they are read, and what they mean.

`load_documents` turns YAML into `Documents`, `compile_documents` turns those into a `Slice` of the mesh;
`route_options` makes documents of the command line's `--route`.
"""

from mesh.documents.authentication import AuthenticationFilter
from mesh.documents.backend import DEFAULT_RTSP_PORT, Backend
from mesh.documents.backend_tls_policy import BackendTLSPolicy
from mesh.documents.compile import compile_documents
from mesh.documents.config_map import ConfigMap
from mesh.documents.gateway import Gateway
from mesh.documents.kubernetes import EndpointSlice, Service
from mesh.documents.loaded import Document, Documents
from mesh.documents.loading import load_documents
from mesh.documents.media_policy import MediaPolicy
from mesh.documents.problems import DocumentErrors, DocumentProblem
from mesh.documents.route_option import RouteOptionError, route_option, route_options
from mesh.documents.rtsp_route import RTSPRoute
from mesh.documents.secret import Secret
from mesh.documents.transport_route import TCPRoute, UDPRoute

__all__ = [
    "DEFAULT_RTSP_PORT",
    "AuthenticationFilter",
    "Backend",
    "BackendTLSPolicy",
    "ConfigMap",
    "Document",
    "DocumentErrors",
    "DocumentProblem",
    "Documents",
    "EndpointSlice",
    "Gateway",
    "MediaPolicy",
    "RTSPRoute",
    "RouteOptionError",
    "Secret",
    "Service",
    "TCPRoute",
    "UDPRoute",
    "compile_documents",
    "load_documents",
    "route_option",
    "route_options",
]
