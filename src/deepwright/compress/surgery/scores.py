"""How much a unit matters: one score a unit, summed over everything that produces it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from deepwright.compress.coupling.graph import ShrinkGraph
from deepwright.compress.coupling.groups import Group
from deepwright.core.devices import back_to, to_model
from deepwright.core.errors import InputError, unknown_name
from deepwright.core.inference import evaluating

CRITERIA = ("l2", "l1", "bn_scale", "taylor", "hessian_diag", "random")
_FROM_GRADIENTS = ("taylor", "hessian_diag")
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
        generator: for "random".

    Returns:
        group -> (size,) float64, where the network lives.

    Raises:
        InputError: an unknown criterion, one that needs data and got none, or a word that it has no use for; weights
            that aren't finite.
    """
    if reduction not in ("sum", "mean"):
        raise InputError("reduction", given=repr(reduction), expected="'sum' or 'mean'")
    if isinstance(criterion, str) and criterion not in CRITERIA:
        raise unknown_name("criterion", criterion, CRITERIA)
    _require_its_words(criterion, data, loss, reduction, generator)
    if criterion == "random":
        where = "cpu" if generator is None else generator.device
        draw = {g: torch.rand(g.size, generator=generator, dtype=torch.float64, device=where) for g in graph.groups}
        return back_to(draw, graph.model)
    weights = {k: v.detach() for k, v in graph.model.named_parameters()}
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
        out[group] = total.sqrt() if criterion == "l2" else total
    return back_to(out, graph.model)


def _require_its_words(criterion: str | Criterion, data: Any, loss: Any, reduction: str, generator: Any) -> None:
    """Refuse what a criterion would not look at."""
    given = {"data": data is not None, "loss": loss is not None}
    unused = {} if criterion in _FROM_GRADIENTS else given
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
        return lambda fqn, axis: criterion(fqn, axis, weights[fqn]).detach().cpu().double()
    if criterion in _FROM_GRADIENTS:
        if data is None:
            raise InputError("data", given="none", expected=f"batches (inputs, targets) for {criterion!r}")
        scored = gradient_scores(graph.model, data, loss, squared=criterion == "hessian_diag")
    elif criterion == "l2":
        scored = {k: w.square() for k, w in weights.items()}
    else:
        scored = {k: w.abs() for k, w in weights.items()}

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
    """|w dL/dw| of the mean loss over the data, or w^2 E[(dL/dw)^2] / 2 with the expectation over batches.

    Args:
        model: left as found.
        data: batches (inputs, targets).
        loss: of the network's output and the targets.
        squared: the second of the two.

    Raises:
        InputError: no batch.
    """
    parameters = {k: p for k, p in model.named_parameters() if p.is_floating_point()}
    total: dict[str, Any] = {k: torch.zeros_like(p) for k, p in parameters.items()}
    wanted = {k: p.requires_grad for k, p in parameters.items()}
    batches = 0
    try:
        for p in parameters.values():
            p.requires_grad_(True)
        with evaluating(model):
            for x, y in data:
                value = loss(model(to_model(x, model)), to_model(y, model))
                gradients = torch.autograd.grad(value, list(parameters.values()), allow_unused=True)
                batches += 1
                for key, g in zip(parameters, gradients):
                    if g is not None:
                        total[key] += g.square() if squared else g
    finally:
        for key, p in parameters.items():
            p.requires_grad_(wanted[key])
    if batches == 0:
        raise InputError("data", given="no batch", expected="at least one")
    if squared:
        return {k: p.detach().square() * total[k] / (2 * batches) for k, p in parameters.items()}
    return {k: (p.detach() * total[k] / batches).abs() for k, p in parameters.items()}


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
