"""ONNX files as networks: read without trust, run by a torch twin with gradients that ONNX Runtime agrees with.

Begin with `open_onnx`.

Example:
    >>> from deepwright.nets.onnx_files import open_onnx
    >>> network = open_onnx("network.onnx")  # doctest: +SKIP
"""

from deepwright.nets.onnx_files.external import require_own_data
from deepwright.nets.onnx_files.network import OnnxNetwork, open_onnx
from deepwright.nets.onnx_files.runtime import run, session

__all__ = ["OnnxNetwork", "open_onnx", "require_own_data", "run", "session"]
