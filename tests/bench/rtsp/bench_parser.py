"""How fast interleaved media goes through the parser: the share of a core that a forwarder spends beside the kernel.

Run: python tests/bench/rtsp/bench_parser.py
"""

from __future__ import annotations

import time

from rtsp_filter.rtsp import InterleavedChunk, Parser, encode_frame

PAYLOAD = 1_200
READ = 256 * 1024
"""Bytes a read gives at high rates."""

SECONDS = 2.0


def measure(translate: bool) -> tuple[float, float]:
    """Frames and bits a second of CPU time."""
    frames = encode_frame(0, bytes(PAYLOAD)) * (4 * READ // PAYLOAD)
    reads = [bytearray(frames[at : at + READ]) for at in range(0, len(frames), READ)]
    parser = Parser()
    if translate:
        parser.translate_channels(bytes(range(256)))
    count = size = 0
    start = time.process_time()
    while (elapsed := time.process_time() - start) < SECONDS:
        for read in reads:
            parser.receive_data(read)
            while isinstance(chunk := parser.next_event(), InterleavedChunk):
                count += chunk.frames
                size += len(chunk.data)
    return count / elapsed, size * 8 / elapsed


def main() -> None:
    for translate in (False, True):
        frames, bits = measure(translate)
        what = "translating channels" if translate else "as they are"
        print(f"{what:22} {frames / 1e6:6.2f} M frames/s {bits / 1e9:6.1f} Gbit/s a core")


if __name__ == "__main__":
    main()
