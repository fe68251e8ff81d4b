"""Eight-bit networks: torchao's PT2E flow with a quantiser that integer-only back-ends can run.

Batch norms are folded into their convolutions first; which tensors share a scale is said in `quantiser`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn

from deepwright.compress.arguments import calibration_batches, require_batch
from deepwright.compress.exporting import export_program, quiet
from deepwright.compress.files.quantiser import integer_only_quantiser
from deepwright.compress.files.requirements import require_torchao
from deepwright.core.copies import copied
from deepwright.core.devices import to_model
from deepwright.core.errors import InputError

MINIMUM_SAMPLES = 128


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
        symmetric: zero is the middle of every activation's range, as some microcontrollers want it (a rectifier's
            output then has seven bits).

    Returns:
        A graph module that computes with quantised weights and activations (and goes on to ONNX as it is).

    Raises:
        InputError: too few calibration samples, or of another shape than the example.
        ExportError: the network can't be exported.
        MissingExtraError: torchao is missing.
    """
    require_torchao()
    require_batch(example, "example")
    if train is not None and not callable(train):
        raise InputError("train", given=type(train).__name__, expected="a function of the network to train")
    like = tuple(example[0].shape[1:]) if isinstance(example, tuple) else None
    batches = calibration_batches(calibration, like, minimum)
    with quiet():
        from torchao.quantization.pt2e import allow_exported_model_train_eval, move_exported_model_to_eval
        from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e, prepare_qat_pt2e

        training = train is not None
        exported = export_program(copied(model), example, dynamic_batch=dynamic_batch, training=training)
        prepare = prepare_qat_pt2e if training else prepare_pt2e
        prepared = prepare(exported.module(), integer_only_quantiser(training, symmetric))
        _show(prepared, batches, model)
        if train is not None:
            _train(allow_exported_model_train_eval(prepared), train)
            move_exported_model_to_eval(prepared)
        return convert_pt2e(prepared)


def _show(prepared: nn.Module, batches: Iterable[Tensor], model: nn.Module) -> None:
    """Run the calibration batches, whose ranges the program observes."""
    with torch.no_grad():
        for inputs in batches:
            prepared(to_model(inputs, model))


def _train(prepared: nn.Module, train: Callable[[nn.Module], object]) -> None:
    """Run the user's training; a program that lost its gradients or its finite numbers in it is refused."""
    for p in prepared.parameters():
        p.requires_grad_(True)
    prepared.train()
    train(prepared)
    strange = [n for n, p in prepared.named_parameters() if not torch.isfinite(p).all()]
    if strange:
        raise InputError("train", given=f"NaN or infinity in {strange[0]}", expected="a training that converges")
