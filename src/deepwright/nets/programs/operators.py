"""Which operations a program may name: kernels of numbers, and control flow over graphs of them."""

from __future__ import annotations

import re

import torch

from deepwright.nets.programs.refusal import RefusedProgram, short

_OF_NUMBERS = {
    *(f"_operator.{name}" for name in ("eq", "ne", "le", "ge", "lt", "gt", "neg", "pos", "mul", "add", "sub", "mod")),
    *(f"_operator.{name}" for name in ("floordiv", "truediv", "pow", "and_", "or_", "lshift", "rshift")),
    *(f"math.{name}" for name in ("trunc", "floor", "ceil")),
    *(f"torch.sym_{name}" for name in ("int", "float", "ite", "max", "min", "not", "sqrt", "sum")),
    "torch.fx.experimental.symbolic_shapes.cast_symbool_to_symint_guardless",
}
_CONTROL_FLOW = {
    f"torch.ops.higher_order.{name}"
    for name in (
        *("cond", "while_loop", "map_impl", "scan", "associative_scan"),
        *("wrap_with_set_grad_enabled", "wrap_with_autocast"),
    )
}
_LIBRARIES = {"aten", "prims", "quantized_decomposed", "torchao", "torchvision"}
_KERNEL = re.compile(r"torch\.ops\.(?P<library>\w+)\.(?P<name>\w+)\.(?P<overload>\w+)", re.ASCII)
_TYPES = {"Tensor", "int", "float", "bool", "complex", "number", "Device", "Generator"}
_WORDS = {  # what arguments that are words mean where a kernel only computes; of others (`filename`) it writes files
    *("UPLO", "activation", "algorithm", "api_name", "approximate", "assert_msg", "driver", "equation", "indexing"),
    *("interpolation", "mode", "norm", "ord", "p", "pad_mode", "padding", "padding_mode", "padding_side", "reduce"),
    *("reduction", "rounding_mode", "side"),
}


def operator(target: str) -> str:
    """The name of an operation that does nothing but compute.

    Args:
        target: as the program holds it.

    Raises:
        RefusedProgram: another; also one that isn't registered in this process.
    """
    if target in _OF_NUMBERS or target in _CONTROL_FLOW or _computes(target):
        return target
    raise RefusedProgram(f"operation {short(target)}", "kernels of torch that compute, and control flow")


def kernel(target: str) -> str:
    """The name of an operation that is given to another, which will call it.

    Args:
        target: as the program holds it.

    Raises:
        RefusedProgram: it is none that only computes.
    """
    if _computes(target):
        return target
    raise RefusedProgram(f"operation {short(target)}", "a kernel of torch that computes")


def _computes(target: str) -> bool:
    parts = _KERNEL.fullmatch(target)
    if parts is None or parts["library"] not in _LIBRARIES:
        return False
    packet = getattr(getattr(torch.ops, parts["library"]), parts["name"], None)
    if not isinstance(packet, torch._ops.OpOverloadPacket):
        return False
    found = getattr(packet, parts["overload"], None)
    if not isinstance(found, torch._ops.OpOverload):
        return False
    return all(_is_plain(argument) for argument in found._schema.arguments)


def _is_plain(argument: torch._C.Argument) -> bool:
    """Whether an argument is of numbers, or a word that chooses how to compute."""
    kind = str(argument.type)
    while (inner := re.fullmatch(r"(?:Optional|List)\[(.*)\]", kind)) is not None:
        kind = inner[1]
    return kind in _TYPES or (kind == "str" and argument.name in _WORDS)
