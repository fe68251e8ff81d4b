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

# torch's checks of shapes and indices are in the public operations; their private halves trust what they are given. Of
# those, only what exports write, and what checks for itself.
_PRIVATE = {
    *(f"__{name}__" for name in ("and", "or", "xor", "lshift", "rshift")),  # Python's operators, by element
    *("_adaptive_avg_pool2d", "_adaptive_avg_pool3d", "_aminmax", "_assert_async", "_assert_scalar"),
    *("_assert_tensor_metadata", "_cdist_forward", "_conj", "_conj_physical", "_convolution", "_embedding_bag"),
    *("_embedding_bag_forward_only", "_functional_assert_async"),
    *("_functional_assert_scalar", "_functional_sym_constrain_range", "_functional_sym_constrain_range_for_size"),
    *("_grouped_mm", "_int_mm", "_is_all_true", "_is_any_true", "_linalg_check_errors", "_linalg_det"),
    *("_linalg_eigh", "_linalg_eigvals", "_linalg_slogdet", "_linalg_solve_ex", "_linalg_svd", "_local_scalar_dense"),
    *("_log_softmax", "_logcumsumexp"),
    *("_native_batch_norm_legit_no_training", "_native_multi_head_attention", "_neg_view", "_pdist_forward"),
    *("_prelu_kernel", "_safe_softmax", "_scaled_dot_product_attention_math", "_scaled_dot_product_cudnn_attention"),
    *("_scaled_dot_product_efficient_attention", "_scaled_dot_product_flash_attention"),
    *(
        "_scaled_dot_product_flash_attention_for_cpu",
        "_softmax",
        "_stack",
        "_to_copy",
        "_transformer_encoder_layer_fwd",
    ),
    *("_trilinear", "_unique2", "_unsafe_index", "_unsafe_index_put", "_unsafe_masked_index", "_unsafe_view"),
    *("_upsample_bicubic2d_aa", "_upsample_bilinear2d_aa", "_upsample_nearest_exact1d", "_upsample_nearest_exact2d"),
    *("_upsample_nearest_exact3d"),
}
_SAFE = {"unsafe_chunk", "unsafe_split", "unsafe_split_with_sizes"}  # views of what they are given, whatever the name
# Public ones that trust indices or sizes, leave memory as it was, or build tensors that aren't plain.
_TRUSTING = re.compile(
    r".*(unsafe|sparse|nested|quantized|_backward|resize|fbgemm).*|(mkldnn|cudnn|miopen)_.*|set_?"
    r"|segment_reduce|ctc_loss|native_batch_norm|to_(mkldnn|padded_tensor)",
    re.ASCII,
)


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
    if not _guards(parts["name"]):
        return False
    packet = getattr(getattr(torch.ops, parts["library"]), parts["name"], None)
    if not isinstance(packet, torch._ops.OpOverloadPacket):
        return False
    found = getattr(packet, parts["overload"], None)
    if not isinstance(found, torch._ops.OpOverload):
        return False
    return all(_is_plain(argument) for argument in found._schema.arguments)


def _guards(name: str) -> bool:
    """Whether a kernel of that name looks at indices and sizes before it uses them, as far as its name tells."""
    if name.startswith("_"):
        return name in _PRIVATE
    return name in _SAFE or _TRUSTING.fullmatch(name) is None


def _is_plain(argument: torch._C.Argument) -> bool:
    """Whether an argument is of numbers, or a word that chooses how to compute."""
    kind = str(argument.type)
    while (inner := re.fullmatch(r"(?:Optional|List)\[(.*)\]", kind)) is not None:
        kind = inner[1]
    return kind in _TYPES or (kind == "str" and argument.name in _WORDS)
