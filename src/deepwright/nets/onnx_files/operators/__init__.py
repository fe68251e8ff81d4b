"""One function an ONNX operator, by its name; what differs between opsets is told inside.

Every function is called as (node, *inputs) and gives what ONNX's own specification says, with gradients.
"""

from deepwright.nets.onnx_files.node import Operator
from deepwright.nets.onnx_files.operators.activations import ACTIVATIONS
from deepwright.nets.onnx_files.operators.convolutions import CONVOLUTIONS
from deepwright.nets.onnx_files.operators.elementwise import ELEMENTWISE
from deepwright.nets.onnx_files.operators.indexing import INDEXING
from deepwright.nets.onnx_files.operators.making import MAKING
from deepwright.nets.onnx_files.operators.normalisation import NORMALISATION
from deepwright.nets.onnx_files.operators.pooling import POOLING
from deepwright.nets.onnx_files.operators.products import PRODUCTS
from deepwright.nets.onnx_files.operators.quantisation import QUANTISATION
from deepwright.nets.onnx_files.operators.recurrent import RECURRENT
from deepwright.nets.onnx_files.operators.reductions import REDUCTIONS
from deepwright.nets.onnx_files.operators.resizing import RESIZING
from deepwright.nets.onnx_files.operators.shapes import SHAPES

OPERATORS: dict[str, Operator] = {
    **ACTIVATIONS,
    **CONVOLUTIONS,
    **ELEMENTWISE,
    **INDEXING,
    **MAKING,
    **NORMALISATION,
    **POOLING,
    **PRODUCTS,
    **QUANTISATION,
    **RECURRENT,
    **REDUCTIONS,
    **RESIZING,
    **SHAPES,
}

__all__ = ["OPERATORS"]
