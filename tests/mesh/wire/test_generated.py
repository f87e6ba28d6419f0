"""The committed protobuf code is what the .proto files generate."""

import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[3]
GENERATED = ("relay_pb2.py", "relay_pb2.pyi", "relay_pb2_grpc.py", "metrics_pb2.py", "metrics_pb2.pyi")


def test_committed_protobuf_code_is_what_the_proto_files_generate(tmp_path: Path) -> None:
    subprocess.run(["/bin/sh", str(ROOT / "scripts" / "proto.sh"), str(tmp_path)], check=True)
    for name in GENERATED:
        committed = (ROOT / "mesh" / "wire" / name).read_text()
        assert committed == (tmp_path / "mesh" / "wire" / name).read_text(), f"{name} is stale: run `make proto`"
