"""Where the mesh comes from: each source owns one slice of it and replaces it whole."""

from xds_server.sources.files import FileSource
from xds_server.sources.reading import check, load

__all__ = ["FileSource", "check", "load"]
