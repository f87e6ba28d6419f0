"""A program that calls a gRPC service again and again and writes a line per call: who answered, or why nobody did.

usage: python -m tests.peers.grpc_caller target. An `xds:` target takes its bootstrap from GRPC_XDS_BOOTSTRAP_CONFIG.
The program ends with its standard input.
"""

from __future__ import annotations

import select
import sys

import grpc

from tests.peers.grpc_xds import METHOD

# Between calls: some hundred a second, so that a moment without a backend would be seen.
PACE_SECONDS = 0.003
# A call that waits this long for a backend has failed.
CALL_SECONDS = 5.0


def main(target: str) -> None:
    """Call until standard input ends."""
    with grpc.insecure_channel(target) as channel:
        say = channel.unary_unary(METHOD)
        while not select.select([sys.stdin], [], [], PACE_SECONDS)[0]:
            try:
                print("answer", say(b"", timeout=CALL_SECONDS).decode(), flush=True)
            except grpc.RpcError as error:
                print("error", error.code().name, error.details().replace("\n", " "), flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
