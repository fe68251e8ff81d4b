"""How much a unit matters: one score a unit, summed over everything that produces it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from deepwright.compress.arguments import require_type, running
from deepwright.compress.coupling.graph import ShrinkGraph
from deepwright.compress.coupling.groups import Group
from deepwright.core.devices import back_to, to_model
from deepwright.core.errors import InputError, unknown_name
from deepwright.core.inference import evaluating
from deepwright.core.randomness import generator as seeded

# What an entry of a weight counts for; "l2" takes the root of the sum afterwards.
_OF_WEIGHTS: dict[str, Callable[[Tensor], Tensor]] = {"l2": Tensor.square, "l1": Tensor.abs, "bn_scale": Tensor.abs}
# Criteria that need batches of data, and whether gradients are squared.
_OF_GRADIENTS = {"taylor": False, "hessian_diag": True}
CRITERIA = (*_OF_WEIGHTS, *_OF_GRADIENTS, "random")
GRADIENT_CRITERIA = tuple(_OF_GRADIENTS)
# Entries of per-sample gradients that are held at once.
_GRADIENT_ENTRIES = 2**26
Criterion = Callable[[str, int, Tensor], Tensor]


def importance(
    graph: ShrinkGraph,
    criterion: str | Criterion = "l2",
    data: Iterable[tuple[Tensor, Tensor]] | None = None,
    loss: Callable[[Tensor, Tensor], Tensor] | None = None,
    reduction: str = "sum",
    generator: torch.Generator | None = None,
) -> dict[Group, Tensor]:
    """Scores of all units, higher = keep.

    Args:
        graph: units and groups.
        criterion: "l2" (root of the summed squares of the unit's producing slices), "l1", "bn_scale" (|gamma| of its
            batch norms), "taylor" (sum |w dL/dw|, arXiv 1906.10771), "hessian_diag" (sum w^2 F/2 with the empirical
            Fisher information as curvature, arXiv 2010.05354), "random", or a function (name, axis, weight) -> one
            number an entry of that axis.
        data: batches (inputs, targets) for "taylor" and "hessian_diag", and for no other.
        loss: for them too, of the network's output and the targets; cross-entropy by default.
        reduction: over a unit's producers: "sum" or "mean"; "random" has none.
        generator: for "random"; a fixed one by default.

    Returns:
        group -> (size,) float64, where the network lives.

    Raises:
        InputError: an unknown criterion, one that needs data and got none, or a word that it has no use for; weights
            that aren't finite.
    """
    require_type("graph", graph, ShrinkGraph, "a ShrinkGraph, as ShrinkGraph.from_module makes it")
    if reduction not in ("sum", "mean"):
        raise InputError("reduction", given=repr(reduction), expected="'sum' or 'mean'")
    if isinstance(criterion, str) and criterion not in CRITERIA:
        raise unknown_name("criterion", criterion, CRITERIA)
    _require_its_words(criterion, data, loss, reduction, generator)
    if criterion == "random":
        rng = generator or seeded(0, "importance")
        draw = {g: torch.rand(g.size, generator=rng, dtype=torch.float64, device=rng.device) for g in graph.groups}
        return back_to(draw, graph.model)
    weights = {k: v.detach() for k, v in graph.model.named_parameters()}
    _require_own_weights(graph, weights)
    for name, w in weights.items():
        if not torch.isfinite(w).all():
            raise InputError(f"parameter {name!r}", given="NaN or infinity", expected="finite weights")
    values = _entry_values(graph, criterion, weights, data, loss or F.cross_entropy)
    out = {}
    for group in graph.groups:
        total, count = torch.zeros(group.size, dtype=torch.float64), torch.zeros(group.size, dtype=torch.float64)
        wanted = _scale_axes(graph, group) if criterion == "bn_scale" else set(group.producers)
        for member in group.members:
            if (member.fqn, member.axis) not in wanted:
                continue
            score = values(member.fqn, member.axis)[torch.from_numpy(member.indices)]
            units = torch.from_numpy(member.units)
            total.index_add_(0, units, score)
            count.index_add_(0, units, torch.ones_like(score))
        if reduction == "mean":
            total = total / count.clamp_min(1)
        if not torch.isfinite(total).all():
            raise InputError(
                f"scores of group {group.name!r}",
                given="NaN or infinity",
                expected="finite numbers",
                hint="check the data and the loss for NaN",
            )
        out[group] = total.sqrt() if criterion == "l2" else total
    return back_to(out, graph.model)


def _require_own_weights(graph: ShrinkGraph, weights: dict[str, Tensor]) -> None:
    """Refuse weights that are computed at each call: from weight_orig and weight_mask, or by a parametrization."""
    for name in dict.fromkeys(fqn for group in graph.groups for fqn, _ in group.producers):
        if name not in weights:
            owner, _, leaf = name.removesuffix("_mask").removesuffix("_orig").rpartition(".")
            hint = (
                f"make it permanent and take the graph anew: torch.nn.utils.prune.remove(model.get_submodule("
                f"{owner!r}), {leaf!r}), torch.nn.utils.parametrize.remove_parametrizations(...), "
                "or handle.remove() of a mask"
            )
            given = "computed from others at each call, as by pruning or a parametrization"
            raise InputError(f"weight {name!r}", given=given, expected="a parameter", hint=hint)


def _require_its_words(criterion: str | Criterion, data: Any, loss: Any, reduction: str, generator: Any) -> None:
    """Refuse what a criterion would not look at."""
    given = {"data": data is not None, "loss": loss is not None}
    unused = {} if criterion in _OF_GRADIENTS else given
    if criterion == "random":
        unused = unused | {"reduction": reduction != "sum"}
    else:
        unused = unused | {"generator": generator is not None}
    for word, there in unused.items():
        if there:
            name = repr(criterion) if isinstance(criterion, str) else "a function"
            raise InputError(word, given=f"for the criterion {name}", expected=f"none: {name} has no use for it")


def _entry_values(
    graph: ShrinkGraph,
    criterion: str | Criterion,
    weights: dict[str, Tensor],
    data: Iterable[tuple[Tensor, Tensor]] | None,
    loss: Callable[[Tensor, Tensor], Tensor],
) -> Callable[[str, int], Tensor]:
    """(parameter, axis) -> one number an entry of that axis."""
    if callable(criterion):

        def asked(fqn: str, axis: int) -> Tensor:
            found = criterion(fqn, axis, weights[fqn])
            size = weights[fqn].shape[axis]
            if not isinstance(found, Tensor) or found.shape != (size,):
                given = f"shape {tuple(found.shape)}" if isinstance(found, Tensor) else type(found).__name__
                raise InputError("criterion", given=f"{given} for {fqn}, axis {axis}", expected=f"a tensor ({size},)")
            return found.detach().cpu().double()

        return asked
    if criterion in _OF_GRADIENTS:
        if data is None:
            raise InputError("data", given="none", expected=f"batches (inputs, targets) for {criterion!r}")
        scored = gradient_scores(graph.model, data, loss, squared=_OF_GRADIENTS[criterion])
    else:
        scored = {k: _OF_WEIGHTS[criterion](w) for k, w in weights.items()}

    def entries(fqn: str, axis: int) -> Tensor:
        w = scored[fqn].double()
        return w.movedim(axis, 0).reshape(w.shape[axis], -1).sum(1).cpu()

    return entries


def gradient_scores(
    model: nn.Module,
    data: Iterable[tuple[Tensor, Tensor]],
    loss: Callable[[Tensor, Tensor], Tensor],
    squared: bool = False,
) -> dict[str, Tensor]:
    """|w dL/dw| of the mean loss over the data, or w^2 E[(dL/dw)^2] / 2 with the expectation over samples.

    Neither depends on how the data are cut into batches. The second takes one gradient a sample, batched where the
    network allows it.

    Args:
        model: left as found.
        data: batches (inputs, targets), the samples along their first axis.
        loss: of the network's output and the targets, the mean over the batch.
        squared: the second of the two.

    Raises:
        InputError: no sample; batches, inputs or targets that the network or the loss doesn't take.
    """
    parameters = {k: p for k, p in model.named_parameters() if p.is_floating_point()}
    total: dict[str, Any] = {k: torch.zeros_like(p) for k, p in parameters.items()}
    wanted = {k: p.requires_grad for k, p in parameters.items()}
    whole, count = 0, 0.0  # samples of the first batch, and samples in units of it: whole batches count exactly 1
    try:
        for p in parameters.values():
            p.requires_grad_(True)
        with evaluating(model):
            for x, y in map(_pair, data):
                if len(x) == 0:
                    continue
                whole = whole or len(x)
                share = len(x) / whole
                count += share
                x, y = to_model(x, model), to_model(y, model)
                with running("data", (x, y)):
                    found = (_mean_square if squared else _gradient)(model, parameters, loss, x, y)
                for key, g in found.items():
                    total[key] += g if share == 1 else share * g
    finally:
        for key, p in parameters.items():
            p.requires_grad_(wanted[key])
    if count == 0:
        raise InputError("data", given="no sample", expected="at least one")
    if squared:
        return {k: p.detach().square() * total[k] / (2 * count) for k, p in parameters.items()}
    return {k: (p.detach() * total[k] / count).abs() for k, p in parameters.items()}


def _pair(batch: Any) -> tuple[Tensor, Any]:
    """(inputs, targets) of a batch."""
    if not isinstance(batch, list | tuple) or len(batch) != 2:
        raise InputError("data", given=f"a batch of type {type(batch).__name__}", expected="pairs (inputs, targets)")
    x, y = batch
    require_type("data", x, Tensor, "a tensor of inputs in every batch")
    if isinstance(y, Tensor) and len(y) != len(x):
        raise InputError("data", given=f"{len(x)} inputs with {len(y)} targets", expected="one target an input")
    if x.is_floating_point() and not torch.isfinite(x).all():
        raise InputError("data", given="NaN or infinity", expected="finite inputs")
    return x, y


def _gradient(model: nn.Module, parameters: dict[str, Any], loss: Any, x: Tensor, y: Tensor) -> dict[str, Tensor]:
    """Gradients of the batch's mean loss; parameters that it doesn't depend on are left out."""
    found = torch.autograd.grad(loss(model(x), y), list(parameters.values()), allow_unused=True)
    return {k: g for k, g in zip(parameters, found) if g is not None}


def _mean_square(model: nn.Module, parameters: dict[str, Any], loss: Any, x: Tensor, y: Tensor) -> dict[str, Tensor]:
    """Mean over samples of their squared gradients: some at a time, or one where the network can't be batched."""
    size = sum(p.numel() for p in parameters.values())
    rows = max(1, min(32, _GRADIENT_ENTRIES // max(1, size)))

    def one(values: dict[str, Tensor], row: Tensor, label: Tensor) -> Tensor:
        return loss(torch.func.functional_call(model, values, (row[None],)), label[None])

    each = torch.func.vmap(torch.func.grad(one), in_dims=(None, 0, 0))
    values = {k: p.detach() for k, p in parameters.items()}
    try:
        parts = [each(values, a, b) for a, b in zip(x.split(rows), y.split(rows))]
        return {k: torch.stack([p[k].square().sum(0) for p in parts]).sum(0) / len(x) for k in parameters}
    except (RuntimeError, ValueError, TypeError):  # a step that vmap has no rule for
        singles = [_gradient(model, parameters, loss, a, b) for a, b in zip(x.split(1), y.split(1))]
        return {k: sum((s[k].square() for s in singles if k in s), 0 * values[k]) / len(x) for k in parameters}


def _scale_axes(graph: ShrinkGraph, group: Group) -> set[tuple[str, int]]:
    """The affine weights of batch norms among a group's members."""
    names = {
        f"{n}.weight" if n else "weight"
        for n, m in graph.model.named_modules()
        if isinstance(m, nn.modules.batchnorm._BatchNorm) and m.affine
    }
    found = {(m.fqn, m.axis) for m in group.members if m.fqn in names}
    if not found:
        raise InputError(f"group {group.name!r}", given="no batch norm", expected="one", hint="criterion='l2'")
    return found
