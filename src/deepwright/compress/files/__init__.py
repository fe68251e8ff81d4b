"""The ways out: ONNX files and eight-bit programs that were run and compared before they are called done.

Example:
    >>> from deepwright.compress.files import export
    >>> export(model, x, 'network.onnx').path  # doctest: +SKIP
"""

from deepwright.compress.files.int8 import quantize
from deepwright.compress.files.onnx import Exported, export, onnx_bytes
from deepwright.compress.files.requirements import require_export
from deepwright.compress.files.runtime import quantize_file
from deepwright.nets.onnx_files import run, session

__all__ = ["Exported", "export", "onnx_bytes", "quantize", "quantize_file", "require_export", "run", "session"]
