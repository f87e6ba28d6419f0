"""The shared language of the mesh: immutable types and pure functions, no I/O.

Only `mesh.wire` knows protobuf: the messages that cross processes.
"""
