"""Eight-bit networks: torchao's PT2E flow with a quantiser that integer-only back-ends can run.

Weights are symmetric int8 with a scale a channel, activations int8 with one scale a tensor. Batch norms are folded into
their convolutions first. The operands of a sum or a concatenation, and everything that only moves values (pools of
maxima, reshapes, rectifiers), share one scale, so that no rescaling is hidden in them.
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from deepwright.compress.coupling.walk import args, op_name
from deepwright.compress.errors import ExportError
from deepwright.core.errors import InputError, MissingExtraError
from deepwright.core.inference import device_of, evaluating, without_gradients

MINIMUM_SAMPLES = 128
_WEIGHTED = {"conv1d": 0, "conv2d": 0, "conv3d": 0, "linear": 0, "conv_transpose1d": 1, "conv_transpose2d": 1}
_RECTIFIERS = ("relu", "hardtanh", "relu6")
_NORMS = ("batch_norm",)
_JOINING = ("add", "cat")
_MOVING = ("max_pool2d", "max_pool1d", "reshape", "view", "flatten", "dropout", "permute", "transpose", "unsqueeze",
           "squeeze", "clone", "contiguous", "pad", "chunk", "getitem", "slice", "select")  # fmt: skip
_AVERAGING = ("adaptive_avg_pool2d", "avg_pool2d", "mean", "mul", "sub", "hardswish", "hardsigmoid")


def quantize(
    model: nn.Module,
    example: tuple[Any, ...],
    calibration: Iterable[Any],
    *,
    minimum: int = MINIMUM_SAMPLES,
    dynamic_batch: bool = True,
    train: Callable[[nn.Module], object] | None = None,
    symmetric: bool = False,
) -> nn.Module:
    """An int8 twin of a network, after training or (with `train`) trained to be one; the model is left as found.

    Args:
        model: the float network.
        example: its inputs, batch first.
        calibration: batches of inputs (or of (inputs, labels)) that show the activations' ranges.
        minimum: fewer calibration samples are refused.
        dynamic_batch: whether the twin takes batches of any size.
        train: trains, in place, a copy of the network that rounds as the twin will (straight-through gradients; batch
            norms are folded while it trains). `core.fit.fit` does it; no train() or eval() of PyTorch is needed in it.
        symmetric: zero is the middle of every activation's range, as some microcontrollers want it (a rectifier's output
            then has seven bits).

    Returns:
        A graph module that computes with quantised weights and activations (and goes on to ONNX as it is).

    Raises:
        InputError: too few calibration samples.
        ExportError: the network can't be exported.
        MissingExtraError: torchao is missing.
    """
    with quiet():
        try:
            from torchao.quantization.pt2e import allow_exported_model_train_eval, move_exported_model_to_eval
            from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e, prepare_qat_pt2e
        except ImportError as error:
            raise MissingExtraError("torchao", "quant", "int8 quantisation") from error
        device = device_of(model)
        example = tuple(e.to(device) for e in example)
        program = exported(copy.deepcopy(model), example, dynamic_batch, train is not None).module()
        quantizer = _quantizer(train is not None, symmetric)
        prepared = (prepare_pt2e if train is None else prepare_qat_pt2e)(program, quantizer)
        seen = 0
        with torch.no_grad():
            for batch in calibration:
                inputs = batch[0] if isinstance(batch, list | tuple) else batch
                prepared(inputs.to(device))
                seen += len(inputs)
        if seen < minimum:
            raise InputError("calibration", given=f"{seen} samples", expected=f"at least {minimum}")
        if train is not None:
            _trained(allow_exported_model_train_eval(prepared), train)
            move_exported_model_to_eval(prepared)
        return convert_pt2e(prepared)


def _trained(prepared: nn.Module, train: Callable[[nn.Module], object]) -> None:
    """Run the user's training; a program that lost its gradients or its finite numbers in it is refused."""
    for p in prepared.parameters():
        p.requires_grad_(True)
    prepared.train()
    train(prepared)
    strange = [n for n, p in prepared.named_parameters() if not torch.isfinite(p).all()]
    if strange:
        raise InputError("train", given=f"NaN or infinity in {strange[0]}", expected="a training that converges")


def exported(model: nn.Module, example: tuple[Any, ...], dynamic_batch: bool, training: bool = False) -> Any:
    """`torch.export` in eval mode (or to train on) with a free batch size where it is asked for.

    Raises:
        ExportError: the network can't be followed.
    """
    shapes = None
    if dynamic_batch:
        # cuDNN's batch norm takes no more than 65535 samples: without this bound the export fails on CUDA
        batch = torch.export.Dim("batch", min=1, max=65535)
        shapes = tuple({0: batch} if isinstance(e, Tensor) else None for e in example)
        # a batch of one would be taken for a constant
        example = tuple(torch.cat([e, e]) if isinstance(e, Tensor) and len(e) == 1 else e for e in example)
    try:
        if training:
            return torch.export.export(model.train(), example, dynamic_shapes=shapes)
        with without_gradients(model), evaluating(model):
            return torch.export.export(model, example, dynamic_shapes=shapes)
    except Exception as error:
        raise ExportError(error) from error


def _quantizer(training: bool, symmetric: bool) -> Any:
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


@contextmanager
def quiet() -> Iterator[None]:
    """torchao and the exporter warn about their own internals at every call."""
    import logging

    loggers = [logging.getLogger(n) for n in ("torchao", "torch.utils._pytree", "torch.onnx", "torch.export")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels):
            logger.setLevel(level)
