"""Who somebody is, and what proves it (SPIFFE).

An `Identity` is what this process proves itself with, and whom it believes; it is replaced as a whole when its source
(the SPIFFE Workload API) has a newer one. `verify` says who somebody else is, by the certificates that they have shown;
`MeshIds` and `IdPattern` say who that may be.
"""

from mesh.identity.chains import Purpose
from mesh.identity.mesh_ids import DEFAULT_NAMESPACE, MeshIds, Part
from mesh.identity.patterns import IdPattern
from mesh.identity.spiffe_ids import DEFAULT_TEMPLATE, IdTemplate, checked_id, trust_domain_of
from mesh.identity.svid import Identity, IdentityError, IdentitySource
from mesh.identity.verification import verify

__all__ = [
    "DEFAULT_NAMESPACE",
    "DEFAULT_TEMPLATE",
    "IdPattern",
    "IdTemplate",
    "Identity",
    "IdentityError",
    "IdentitySource",
    "MeshIds",
    "Part",
    "Purpose",
    "checked_id",
    "trust_domain_of",
    "verify",
]
