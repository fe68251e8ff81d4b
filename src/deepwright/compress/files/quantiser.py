"""Which tensors of a program share a scale: a PT2E quantiser that integer-only back-ends can run.

Weights are symmetric int8 with a scale a channel, activations int8 with one scale a tensor. The operands of a sum or a
concatenation, and everything that only moves values (pools of maxima, reshapes, rectifiers), share one scale, so that
no rescaling is hidden in them.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from deepwright.compress.coupling.nodes import args, op_name

_WEIGHTED = {"conv1d": 0, "conv2d": 0, "conv3d": 0, "linear": 0, "conv_transpose1d": 1, "conv_transpose2d": 1}
_RECTIFIERS = ("relu", "hardtanh", "relu6")
_NORMS = ("batch_norm",)
_JOINING = ("add", "cat")
_MOVING = (
    "max_pool2d",
    "max_pool1d",
    "reshape",
    "view",
    "flatten",
    "dropout",
    "permute",
    "transpose",
    "unsqueeze",
    "squeeze",
    "clone",
    "contiguous",
    "pad",
    "chunk",
    "getitem",
    "slice",
    "select",
)
_AVERAGING = ("adaptive_avg_pool2d", "avg_pool2d", "mean", "mul", "sub", "hardswish", "hardsigmoid")


def integer_only_quantiser(training: bool, symmetric: bool) -> Any:
    """The quantiser, made here because its base class comes from an optional package."""
    from torchao.quantization.pt2e import (
        FusedMovingAvgObsFakeQuantize,
        HistogramObserver,
        MovingAverageMinMaxObserver,
        MovingAveragePerChannelMinMaxObserver,
        PerChannelMinMaxObserver,
    )
    from torchao.quantization.pt2e.quantizer import (
        QuantizationAnnotation,
        QuantizationSpec,
        Quantizer,
        SharedQuantizationSpec,
    )

    rounding = FusedMovingAvgObsFakeQuantize.with_args  # rounds while it trains, and follows the ranges
    if training:
        watch = rounding(observer=MovingAverageMinMaxObserver, eps=2**-12)
        watch_weight = rounding(observer=MovingAveragePerChannelMinMaxObserver, eps=2**-12)
    else:
        watch = HistogramObserver.with_args(eps=2**-12)
        watch_weight = PerChannelMinMaxObserver.with_args(eps=2**-12)
    activation = QuantizationSpec(
        dtype=torch.int8,
        quant_min=-127 if symmetric else -128,
        quant_max=127,
        qscheme=torch.per_tensor_symmetric if symmetric else torch.per_tensor_affine,
        is_dynamic=False,
        observer_or_fake_quant_ctr=watch,
    )

    def weight(axis: int) -> Any:
        return QuantizationSpec(
            dtype=torch.int8,
            quant_min=-127,
            quant_max=127,
            qscheme=torch.per_channel_symmetric,
            ch_axis=axis,
            is_dynamic=False,
            observer_or_fake_quant_ctr=watch_weight,
        )

    class IntegerOnly(Quantizer):
        """See the module's docstring."""

        def annotate(self, model: Any) -> Any:
            """Say for every node how its inputs and its output are quantised."""
            done: set[Any] = set()
            for node in model.graph.nodes:
                if node.op != "call_function" or node in done:
                    continue
                name = op_name(node.target)
                if name in _WEIGHTED and _is_float(args(node)[0]):
                    self._weighted(node, name, done)
                elif name in _JOINING:
                    self._shared(node, [n for n in node.all_input_nodes if _is_float(n)])
                elif name in (*_RECTIFIERS, *_MOVING):
                    self._shared(node, [n for n in node.all_input_nodes if _is_float(n)][:1])
                elif name in _AVERAGING:
                    inputs = {n: activation for n in node.all_input_nodes if _is_float(n)}
                    self._put(node, inputs, activation)
            return model

        def _weighted(self, node: Any, name: str, done: set[Any]) -> None:
            inputs = {args(node)[0]: activation, args(node)[1]: weight(_WEIGHTED[name])}
            last = node
            for kinds in (_NORMS, _RECTIFIERS):  # what is stored is the output of the norm, of the rectifier behind it
                users = list(last.users)
                if len(users) == 1 and op_name(users[0].target) in kinds:
                    last = users[0]
                    self._put(last, {}, None)
                    done.add(last)
            if last is node:
                self._put(node, inputs, activation)
            else:
                self._put(node, inputs, None)
                self._put(last, {}, activation)

        def _shared(self, node: Any, inputs: list[Any]) -> None:
            if not inputs or not _is_float(node):
                return
            first = inputs[0]
            shared = SharedQuantizationSpec((first, node))
            specs = {first: activation} | {n: shared for n in inputs[1:]}
            self._put(node, specs, shared)

        def _put(self, node: Any, inputs: dict[Any, Any], output: Any) -> None:
            node.meta["quantization_annotation"] = QuantizationAnnotation(
                input_qspec_map=inputs, output_qspec=output, _annotated=True
            )

        def validate(self, model: Any) -> None:
            """Nothing that PT2E's own checks leave over."""

    return IntegerOnly()


def _is_float(node: Any) -> bool:
    value = node.meta.get("val") if hasattr(node, "meta") else None
    return isinstance(value, Tensor) and value.is_floating_point()
