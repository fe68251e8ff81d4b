"""The one place where a network becomes a `torch.export` program: for its graph, its files, its pieces.

Everything in this room that reads a network's operations reads them from such a program, so what can be exported, with
which batch sizes and with which words it fails is decided here.
"""

from __future__ import annotations

import io
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, redirect_stderr
from typing import Any

import torch
from torch import Tensor, nn
from torch.fx import GraphModule

from deepwright.compress.arguments import running
from deepwright.compress.errors import ExportError
from deepwright.core.devices import to_model
from deepwright.core.inference import evaluating, without_gradients
from deepwright.core.requirements import require_network

MOST_SAMPLES = 65_535
"""Largest free batch: cuDNN's batch norm takes no more, and without this bound the export fails on CUDA."""


def export_program(
    model: nn.Module,
    example: tuple[Any, ...],
    kwargs: dict[str, Any] | None = None,
    *,
    dynamic_batch: bool = False,
    training: bool = False,
) -> torch.export.ExportedProgram:
    """A network's program, in eval mode, with errors that name the source line.

    Args:
        model: any module that `torch.export` takes; left as found (but for `training`). A graph module, such as a
            quantised program, keeps the one mode that it has.
        example: positional inputs, brought to where the model lives and its dtype.
        kwargs: keyword inputs.
        dynamic_batch: let the first axis of every tensor of `example` be free, 1 to 65,535.
        training: export the network in training mode, to train the program on.

    Returns:
        The program, not decomposed: operations are those that the code calls.

    Raises:
        ShapeError: the network doesn't run on the example.
        ExportError: it runs but can't be exported.
    """
    require_network(model)
    example, kwargs = _distinct((to_model(example, model), to_model(kwargs, model)))
    shapes = None
    if dynamic_batch:
        batch = torch.export.Dim("batch", min=1, max=MOST_SAMPLES)
        shapes = tuple({0: batch} if isinstance(e, Tensor) else None for e in example)
        # a batch of one would be taken for a constant
        example = tuple(torch.cat([e, e]) if isinstance(e, Tensor) and len(e) == 1 else e for e in example)
    with plain_attention(), _in_mode(model, training), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*assigned during export")  # recurrent layers' list of their weights
        try:
            loggers = ("torch.fx.experimental.symbolic_shapes", "torch._export", "torch.export")
            with _unlogged(*loggers), redirect_stderr(io.StringIO()):  # it prints graphs before it fails
                return torch.export.export(model, example, kwargs, dynamic_shapes=shapes)
        except Exception as error:
            _require_running(model, example, kwargs or {})
            raise ExportError(error) from error


def _distinct(tree: Any) -> Any:
    """The same inputs, a tensor that comes twice copied: it would be taken for one input."""
    seen: set[int] = set()

    def own(value: Any) -> Any:
        if isinstance(value, Tensor) and id(value) in seen:
            return value.clone()
        seen.add(id(value))
        return value

    return torch.utils._pytree.tree_map(own, tree)


@contextmanager
def plain_attention() -> Iterator[None]:
    """Transformer layers call plain operations inside the block; their fused kernel would hide the matrix products."""
    before = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(before)


@contextmanager
def _in_mode(model: nn.Module, training: bool) -> Iterator[None]:
    fixed = isinstance(model, GraphModule)
    if training and not fixed:
        model.train()
    as_it_is = fixed or training
    with nullcontext() if as_it_is else without_gradients(model), nullcontext() if as_it_is else evaluating(model):
        yield


def _require_running(model: nn.Module, example: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """Tell inputs that the network refuses from a network that can't be exported."""
    with running("example_inputs", (example, kwargs)), torch.no_grad():
        model(*example, **kwargs)


@contextmanager
def _unlogged(*names: str) -> Iterator[None]:
    """Loggers that print whole graphs before an error that says less say nothing inside the block."""
    loggers = [logging.getLogger(n) for n in names]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels):
            logger.setLevel(level)


@contextmanager
def quiet() -> Iterator[None]:
    """torchao and the exporter warn about their own internals at every call."""
    with _unlogged("torchao", "torch.utils._pytree", "torch.onnx", "torch.export"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
