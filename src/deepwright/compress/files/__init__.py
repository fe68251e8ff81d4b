"""The ways out: ONNX files and eight-bit programs that were run and compared before they are called done.

Example:
    >>> from deepwright.compress.files import export
    >>> export(model, x, 'network.onnx').path  # doctest: +SKIP
"""

from deepwright.compress.files.int8 import quantize
from deepwright.compress.files.onnx import Exported, export

__all__ = [
    "Exported",
    "export",
    "quantize",
]
