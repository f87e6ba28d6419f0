"""Who somebody is, and what proves it (SPIFFE).

An `Identity` is what this process proves itself with, and whom it believes; it is replaced as a whole when its source
(the SPIFFE Workload API) has a newer one.
"""

from mesh.identity.svid import Identity, IdentityError, IdentitySource

__all__ = ["Identity", "IdentityError", "IdentitySource"]
