"""What each operation does to axis labels.

A rule takes the walk and a node of a `torch.export` graph, ties what must go together, and gives the labels of the
node's output. What has no rule freezes its inputs and is listed: nothing is guessed.
"""

from __future__ import annotations

from deepwright.compress.coupling.rules.contract import attention, convolution, einsum, embedding, linear, matmul
from deepwright.compress.coupling.rules.pointwise import batch_norm, group_norm, keep, layer_norm, prelu
from deepwright.compress.coupling.rules.shape import (
    along,
    cat,
    expand,
    free,
    getitem,
    glu,
    index,
    index_select,
    pad,
    permute,
    reduction,
    repeat,
    repeat_interleave,
    reshape,
    select,
    slice_,
    spatial,
    split,
    squeeze,
    stack,
    unbind,
    unsqueeze,
)
from deepwright.compress.coupling.walk import Rule

RULES: dict[str, Rule] = {
    **dict.fromkeys(
        ("conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d", "convolution"),
        convolution,
    ),
    "linear": linear,
    **dict.fromkeys(("mm", "bmm", "matmul", "addmm", "baddbmm", "mv", "dot"), matmul),
    "einsum": einsum,
    "scaled_dot_product_attention": attention,
    "embedding": embedding,
    **dict.fromkeys(
        ("batch_norm", "instance_norm", "_native_batch_norm_legit_no_training", "cudnn_batch_norm"), batch_norm
    ),
    **dict.fromkeys(("layer_norm", "rms_norm"), layer_norm),
    "group_norm": group_norm,
    "prelu": prelu,
    **dict.fromkeys(
        ("dropout", "feature_dropout", "alpha_dropout", "feature_alpha_dropout", "clone", "contiguous", "alias", "detach",
         "to", "_to_copy", "lift_fresh_copy", "type_as", "rrelu", "hardtanh", "softplus", "lift_fresh", "native_dropout",
         "logical_not", "fill", "zeros_like", "ones_like"), keep,
    ),
    **dict.fromkeys(("reshape", "view", "flatten", "unflatten", "_unsafe_view", "view_as", "_reshape_alias"), reshape),
    **dict.fromkeys(("permute", "transpose", "t", "movedim", "moveaxis", "swapaxes", "swapdims", "numpy_T"), permute),
    "unsqueeze": unsqueeze,
    "squeeze": squeeze,
    **dict.fromkeys(("expand", "expand_as", "broadcast_to"), expand),
    **dict.fromkeys(("repeat", "tile"), repeat),
    "repeat_interleave": repeat_interleave,
    **dict.fromkeys(("cat", "concat", "concatenate"), cat),
    "stack": stack,
    "select": select,
    "unbind": unbind,
    **dict.fromkeys(("split", "chunk", "split_with_sizes", "tensor_split", "unsafe_chunk", "unsafe_split"), split),
    **dict.fromkeys(("slice", "narrow"), slice_),
    **dict.fromkeys(("pad", "constant_pad_nd"), pad),
    **dict.fromkeys(
        [f"{n}{d}d" for d in (1, 2, 3) for n in ("max_pool", "avg_pool", "adaptive_avg_pool", "adaptive_max_pool",
         "reflection_pad", "replication_pad")]
        + ["max_pool2d_with_indices", "upsample_nearest1d", "upsample_nearest2d", "upsample_nearest3d",
           "upsample_bilinear2d", "upsample_bicubic2d", "upsample_linear1d", "upsample_trilinear3d",
           "_upsample_bilinear2d_aa", "_upsample_bicubic2d_aa"], spatial,
    ),
    **dict.fromkeys(
        ("mean", "sum", "amax", "amin", "max", "min", "var", "std", "prod", "norm", "linalg_vector_norm", "logsumexp",
         "argmax", "argmin", "any", "all", "var_mean", "std_mean", "aminmax", "median"), reduction,
    ),
    **dict.fromkeys(
        ("softmax", "log_softmax", "_softmax", "_log_softmax", "cumsum", "cumprod", "sort", "topk", "flip", "roll",
         "softmin", "logcumsumexp"), along,
    ),
    "glu": glu,
    "getitem": getitem,
    "index_select": index_select,
    "index": index,
    **dict.fromkeys(
        ("arange", "zeros", "ones", "full", "empty", "eye", "linspace", "scalar_tensor", "new_zeros", "new_ones",
         "new_full", "rand", "randn", "tensor"), free,
    ),
}  # fmt: skip
