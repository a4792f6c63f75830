"""The services' RPCs from Python: stubs generated from protos/ when they are needed.

Importing this module needs grpcio and grpcio-tools; it raises unittest.SkipTest where they are not
installed. The addresses are those of the processes of a running `vallm serve`.
"""

import pathlib
import sys
import tempfile
import unittest

try:
    import grpc  # noqa: F401
    from grpc_tools import protoc
except ImportError:
    raise unittest.SkipTest("grpcio and grpcio-tools are not installed") from None

from stack import ROOT, descendants

_PROTOS = ("vallm/v1/engine.proto", "vallm/v1/tokenizer.proto")
_directory = tempfile.TemporaryDirectory(prefix="vallm-stubs-")
STUB_DIR = pathlib.Path(_directory.name)  # to be on the import path of other processes


def _generate():
    import grpc_tools

    google = pathlib.Path(grpc_tools.__file__).parent / "_proto"
    arguments = ["protoc", f"-I{ROOT / 'protos'}", f"-I{google}", f"--python_out={STUB_DIR}", f"--grpc_python_out={STUB_DIR}"]
    if protoc.main([*arguments, *_PROTOS]) != 0:
        raise RuntimeError("protoc failed")
    sys.path.insert(0, str(STUB_DIR))


_generate()
from vallm.v1 import engine_pb2, engine_pb2_grpc, tokenizer_pb2, tokenizer_pb2_grpc  # noqa: E402, F401


def listen_addresses(serve_pid, program):
    """Where the children of `vallm serve` that run `program` listen, in the order of their start."""
    addresses = []
    for pid in sorted(descendants(serve_pid)):
        try:
            argv = pathlib.Path(f"/proc/{pid}/cmdline").read_text().split("\0")
        except OSError:
            continue
        if pathlib.Path(argv[0]).name == program:
            addresses += [arg.removeprefix("--listen=") for arg in argv if arg.startswith("--listen=")]
    return addresses
