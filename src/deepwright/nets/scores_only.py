"""Networks that give scores and no gradients: what runs them is no torch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn

from deepwright.core.errors import InputError
from deepwright.core.randomness import local_rng


class ScoresOnly(nn.Module):
    """A function of arrays as a network without parameters and without gradients.

    `core.inference.has_gradients` is False for it and for whatever wraps it: attacks that follow gradients, costs and
    detectors of activations then say that they don't apply.

    Args:
        function: (N, ...) array -> scores (N, ...), as an array or a tensor.
        dtype: in which the function is given its inputs; None for as they come.
        what: it is, in words.
        class_names: of the columns, in their order, where the function knows them.
        labels_only: whether the scores are 1 for the label that it gives and 0 elsewhere.
        outputs: what the columns are ("probabilities", "logits"), where that is known.

    Attributes:
        notes: what to tell about it.
        undecided: the function, where nothing has told yet whether it takes arrays or tensors.
        of_function: whether it is a person's own function, of which nothing says what its numbers are.
    """

    scores_only = True

    def __init__(
        self,
        function: Any,
        *,
        dtype: torch.dtype | None = None,
        what: str = "a function",
        class_names: tuple[str, ...] = (),
        labels_only: bool = False,
        outputs: str | None = None,
    ) -> None:
        super().__init__()
        self.function, self.what = function, what
        self.notes: tuple[str, ...] = ()
        self.undecided: Any = None
        self.of_function = False
        self.class_names, self.labels_only, self.outputs = tuple(class_names), labels_only, outputs
        if dtype is not None:  # says where it lives and in which precision data are brought to it
            self.register_buffer("place", torch.zeros((), dtype=dtype))
        self.train(False)

    def forward(self, x: Float[Tensor, "n ..."]) -> Tensor:
        """Scores, where x is.

        Args:
            x: inputs.

        Raises:
            InputError: no numbers, or not one row a sample.
        """
        known = x.detach().float() if x.dtype in (torch.float16, torch.bfloat16) else x.detach()
        out = self.function(np.array(known.cpu().numpy()))  # a copy: the function may work in place
        return self.as_scores(out, len(x)).to(x.device)

    def as_scores(self, out: Any, n: int) -> Tensor:
        """An answer of the function as scores.

        Args:
            out: an array or a tensor.
            n: how many samples were asked about.

        Raises:
            InputError: no numbers, or not one row a sample.
        """
        scores = out.detach() if isinstance(out, Tensor) else self._as_tensor(out)
        if scores.ndim == 0 or len(scores) != n:
            raise InputError(
                f"the answer of {self.what}",
                given=f"shape {tuple(scores.shape)} for {n} inputs",
                expected="one row of scores a sample",
            )
        return scores

    def _as_tensor(self, out: Any) -> Tensor:
        array = np.asarray(out)
        if array.dtype.kind not in "biuf":
            raise InputError(
                f"the answer of {self.what}", given=f"an array of {array.dtype}", expected="numbers, one row a sample"
            )
        if array.dtype.kind in "biu" and array.ndim == 1:  # labels: refused as a module's are
            return torch.from_numpy(array.astype(np.int64))
        return torch.from_numpy(np.array(array, dtype=np.float64 if array.dtype.kind in "biu" else array.dtype))

    def train(self, mode: bool = True) -> ScoresOnly:
        """Stay in eval mode: there is no other."""
        return super().train(False)


def require_steady(model: nn.Module, x: Shaped[Tensor, "n ..."]) -> bool:
    """Refuse scores that differ from call to call, or with what else is in the batch; whether that could be told.

    Args:
        model: a network.
        x: inputs, of which a few are asked about.

    Raises:
        InputError: other scores for the same inputs: no number measured on them would mean anything.
    """
    few, one = x[:16], len(x[:16]) // 2
    with torch.no_grad():
        once, again, alone = model(few), model(few), model(few[one : one + 1])
    if not all(isinstance(out, Tensor) for out in (once, again, alone)):
        return False  # what it is, its task says
    if once.shape != again.shape or once[one : one + 1].shape != alone.shape:
        raise InputError(
            "the network's scores",
            given=f"shape {tuple(alone.shape)} for one input, {tuple(once.shape)} and {tuple(again.shape)} for "
            f"{len(few)}",
            expected="the same number of scores for each sample",
        )
    if not torch.equal(torch.nan_to_num(once), torch.nan_to_num(again)):
        raise InputError(
            "the network's scores",
            given=f"two answers for the same inputs, {_gap(once, again):.3g} apart",
            expected="the same scores for the same inputs",
            hint="fix its seed, and turn dropout and other noise off",
        )
    _require_alone(once, once[one : one + 1], alone, 1e-4)
    return True


def require_unmixed(model: nn.Module, x: Shaped[Tensor, "n ..."]) -> bool | None:
    """Refuse a module whose answer for a sample is another one with what else is in the batch; whether it can be told.

    None where it can't because answers change from call to call.

    Said only of what differs by more than kernels for other sizes and activations quantised by the batch do, and of a
    module that gives the same answer when it is asked twice.

    Args:
        model: a network.
        x: inputs, all of which are asked about twice.

    Raises:
        InputError: what is measured of it would hang on the order of the samples.
    """
    n = len(x)
    if n == 0:
        return False
    halves = torch.arange(n).chunk(2)
    turned = torch.cat([torch.arange(0, n, 2).flip(0), torch.arange(1, n, 2)])
    unlike = turned.split([n // 3, n - n // 3]) if n > 2 else (turned,)  # other company, other places, other sizes
    try:
        with torch.no_grad(), local_rng(0):
            once, again, other = _answers(model, x, halves), _answers(model, x, halves[:1]), _answers(model, x, unlike)
    except Exception:  # it is told where the outputs are read
        return False
    if once is None or again is None or other is None or once.shape != other.shape:
        return False
    if not torch.equal(once[halves[0]], again):
        return None
    _require_alone(once, once, other, 5e-2, least=2e-3)
    return True


def _answers(model: nn.Module, x: Tensor, batches: Sequence[Tensor]) -> Tensor | None:
    """Answers in the order of the samples; None where they aren't one tensor of floats with one row a sample."""
    found = []
    for rows in batches:
        least = rows if len(rows) > 1 else rows.repeat(2)  # many a module squeezes a single row away
        out = model(x[least.to(x.device)])
        if not isinstance(out, Tensor) or not out.is_floating_point() or out.ndim == 0 or len(out) != max(2, len(rows)):
            return None
        found.append(out[: len(rows)])
    order = torch.cat(list(batches)).argsort()
    return torch.cat(found)[order.to(found[0].device)]


def _require_alone(once: Tensor, among: Tensor, alone: Tensor, tolerance: float, least: float = 1.0) -> None:
    size = max(least, float(once.double().abs().max())) if once.numel() else least
    if _gap(among, alone) > tolerance * size:
        raise InputError(
            "the network's scores",
            given=f"another answer for an input alone than among others, {_gap(among, alone):.3g} apart",
            expected="scores that don't depend on the rest of the batch",
            hint="use statistics of the training instead of the batch's, and mask the padding of texts",
        )


def require_no_labels(network: nn.Module, out: Any) -> None:
    """Refuse one column of whole numbers from a function: they are labels, and no logits of an event.

    Args:
        network: any; what it wraps is looked at too.
        out: its answer for some samples.

    Raises:
        InputError: such a column.
    """
    column = isinstance(out, Tensor) and (out.ndim == 1 or (out.ndim == 2 and out.shape[1] == 1))
    if not column or len(out) < 8 or not bool((out == out.round()).all()):
        return
    if any(isinstance(module, ScoresOnly) and module.of_function for module in network.modules()):
        raise InputError(
            "the network's output",
            given=f"whole numbers {out.min():g}..{out.max():g} of shape {tuple(out.shape)}",
            expected="floats, scores of the classes",
            hint="return dense scores, not the indices of the predicted classes; numbers to be read as they are need "
            "a task: deepwright.core.tasks.Regression()",
        )


def _gap(a: Tensor, b: Tensor) -> float:
    return float((a.double() - b.double()).abs().max()) if a.numel() else 0.0


def declared_outputs(network: Any) -> str | None:
    """What the columns of a network are, where it says so itself: "probabilities" of an estimator.

    Args:
        network: any; what it wraps is looked at too.
    """
    modules = network.modules() if isinstance(network, nn.Module) else ()
    return next((module.outputs for module in modules if isinstance(module, ScoresOnly)), None)


def gives_labels_only(model: nn.Module) -> bool:
    """Whether a network has no scores but 1 for the label that it gives.

    Args:
        model: any; what it wraps is looked at too.
    """
    return any(isinstance(module, ScoresOnly) and module.labels_only for module in model.modules())
