"""Networks that a user holds in Python, as modules that take one tensor and let gradients and hooks through."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from deepwright.core.devices import dtype_of, to_model
from deepwright.core.errors import InputError, first_line
from deepwright.core.inference import evaluating
from deepwright.nets.doors.hugging_face import HuggingFace, is_pretrained
from deepwright.nets.doors.opening import as_scores_only
from deepwright.nets.ssd import SSD, FinalDetections

_COMPARED = 16  # rows
_TOLERANCE = {torch.float16: 1e-2, torch.bfloat16: 5e-2, torch.float64: 1e-6}


class Opened(NamedTuple):
    """A network as it is measured, and what to tell about it."""

    network: Any
    note: str = ""


def as_network(model: Any, example: Tensor | None = None) -> Opened:
    """What a user gives as a module of one tensor: models of transformers, compiled modules and programs among it.

    Of scikit-learn's estimators and plain functions it is one that gives scores only.

    Args:
        model: anything; what isn't known is given back as it is.
        example: some inputs, on which a compiled module is compared with the one that it was made from.

    Raises:
        InputError: a compiled module that gives something else than its original.
    """
    original = getattr(model, "_orig_mod", None)
    if isinstance(model, nn.Module) and isinstance(original, nn.Module):
        opened = as_network(original).network
        return Opened(opened, _compared(model, original, opened, example))
    if isinstance(model, torch.jit.ScriptModule) and not hasattr(model, "training"):
        moded = nn.Sequential(model)  # a frozen one has no mode that could be asked for
        moded.training = False
        return Opened(moded)
    if is_pretrained(model):
        return Opened(HuggingFace(model))
    if isinstance(model, SSD):
        return Opened(FinalDetections(model))
    return Opened(as_scores_only(model, example))


def _compared(compiled: nn.Module, original: nn.Module, opened: nn.Module, example: Tensor | None) -> str:
    """What to tell about a compiled module, whose functions nothing can look into."""
    measured = "the network was compiled; measured is the module that it was compiled from, its times too"
    if example is None or len(example) == 0:
        return measured
    x = to_model(example[:_COMPARED], original)
    with evaluating(original), torch.no_grad():
        want = opened(x)
        try:
            got = HuggingFace(compiled)(x) if is_pretrained(original) else compiled(x)
        except Exception as error:  # any backend of any package
            return f"{measured}; the compiled form didn't run here: {first_line(error)}"
    far = _distance(got, want)
    if not far <= _TOLERANCE.get(dtype_of(original), 1e-3):
        raise InputError(
            "the compiled network",
            given=f"outputs that differ from its original's by {far:.2g} of their size",
            expected="equal ones",
            hint="audit what it was compiled from (model._orig_mod) once you know which of them is right",
        )
    return f"{measured} (outputs equal on {len(x)} samples)"


def _distance(got: Any, want: Any) -> float:
    """The largest difference, relative to the largest output; infinity where the forms differ."""
    pairs = [[t for t in pytree.tree_leaves(out) if isinstance(t, Tensor)] for out in (got, want)]
    if [t.shape for t in pairs[0]] != [t.shape for t in pairs[1]]:
        return float("inf")
    found = [(a.double() - b.double()).abs().max() / b.double().abs().max().clamp_min(1e-12) for a, b in zip(*pairs)]
    return float(torch.stack(found).max()) if found else 0.0
