"""Every detector with the settings that it may choose from, and two that only this study needs."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from deepwright.core.errors import InputError
from deepwright.core.features import Activations
from deepwright.ood import (
    ASH,
    BBAS,
    DICE,
    GEN,
    KNN,
    MDS,
    MSP,
    ODIN,
    RMDS,
    SCALE,
    SHE,
    Energy,
    Entropy,
    MaxLogit,
    OutsideTheBox,
    ReAct,
    ViM,
)
from deepwright.ood.detector import Detector

OURS = "AggBBAS"
SAME_VARIABLES = "KNN of all layers"
PUBLISHED = "OutsideTheBox as published"
Setting = dict[str, Any]
_TEMPERATURES = [{"temperature": t} for t in (0.5, 1.0, 2.0, 5.0, 20.0)]
_DEPTHS = [{"layers": depth} for depth in ("features", "last", "last 2", "last 3", "all")]
_NEIGHBOURS = [{"k": k} for k in (1, 5, 20, 50, 200)]
_SHARES = [{"percentile": p} for p in (50.0, 65.0, 80.0, 90.0, 95.0)]

GRIDS: dict[str, list[Setting]] = {
    "MSP": _TEMPERATURES,
    "MaxLogit": [{}],
    "Energy": _TEMPERATURES,
    "Entropy": [{}],
    "GEN": [{"gamma": g, "top": t} for g, t in ((0.01, 100), (0.1, 100), (0.5, 100), (0.1, 3), (0.5, 3))],
    "ODIN": [
        {"temperature": t, "epsilon": e}
        for t, e in ((1.0, 0.0014), (1000.0, 0.0), (1000.0, 0.0014), (1000.0, 0.005), (1000.0, 0.02))
    ],
    "MDS": _DEPTHS,
    "RMDS": _DEPTHS,
    "KNN": _NEIGHBOURS,
    "ViM": [{"dimensions": d} for d in (4, 8, 16, 24, 32)],
    "ReAct": [{"percentile": p} for p in (70.0, 80.0, 90.0, 95.0, 99.0)],
    "DICE": [{"sparsity": p} for p in (0.1, 0.3, 0.5, 0.7, 0.9)],
    "ASH": _SHARES,
    "SCALE": _SHARES,
    "SHE": [{}],
    "OutsideTheBox": [
        {"tau": tau, "margin": margin}
        for tau, margin in ((0.07, 0.0), (0.07, 0.05), (0.07, 0.25), (0.3, 0.0), (0.3, 0.1))
    ],
    PUBLISHED: [{"tau": 0.07, "margin": 0.0}],
    SAME_VARIABLES: _NEIGHBOURS,
    OURS: [
        {"n_clusters": k, "scale": scale}
        for k, scale in ((5, "std"), (20, "std"), (5, "width"), (20, "width"), (50, "width"))
    ],
}
WHY = {name: "it has nothing to set" for name in ("MaxLogit", "Entropy", "SHE")} | {
    PUBLISHED: "its authors' own setting, tried alone; beside it stands the same at the best of five"
}

ABLATIONS: dict[str, Setting] = {
    "AggBBAS, K = 5": {},
    "single, K = 5": {"aggregate": False},
    "AggBBAS, K = 1": {"n_clusters": 1},
    "single, K = 1": {"n_clusters": 1, "aggregate": False},
    "AggBBAS, K = 20": {"n_clusters": 20},
    "AggBBAS, K = 50": {"n_clusters": 50},
    "AggBBAS, widths": {"scale": "width"},
    "AggBBAS, layers alike": {"layer_reduce": "mean"},
    "AggBBAS, variables alike": {"layer_reduce": "concat"},
    "AggBBAS count, K = 5": {"kind": "count"},
    "single count, K = 5": {"kind": "count", "aggregate": False},
    "AggBBAS count, K = 1": {"kind": "count", "n_clusters": 1},
    "single count, K = 1": {"kind": "count", "n_clusters": 1, "aggregate": False},
}

_CLASSES: dict[str, Callable[..., Detector]] = {
    cls.__name__: cls
    for cls in (MSP, MaxLogit, Energy, Entropy, GEN, ODIN, MDS, RMDS, KNN, ViM, ReAct, DICE, ASH, SCALE, SHE)
}


class LayerNeighbours(Detector):
    """Distance to the k-th nearest training sample in the variables that the boxes are made of.

    Each variable is measured in its deviations, and each layer counts alike: what is left of boxes when neighbours take
    their place.

    Args:
        k: which neighbour.
    """

    needs = frozenset({"layers"})

    def __init__(self, k: int) -> None:
        super().__init__()
        self.k = k

    def _points(self, acts: Activations) -> Tensor:
        return torch.cat(list(acts.layers.values()), 1).float() * self.get_buffer("unit_")

    def _fit(self, acts: Activations) -> None:
        units = []
        for values in acts.layers.values():
            deviation = values.float().std(0, unbiased=False)
            moves = deviation > 1e-6 * deviation.max()
            units.append(torch.where(moves, 1 / deviation.clamp_min(1e-30), 0.0) / math.sqrt(values.shape[1]))
        self.remember(unit_=torch.cat(units))
        self.remember(bank_=self._points(acts))

    def _score(self, acts: Activations) -> Tensor:
        bank = self.get_buffer("bank_")
        near = [
            torch.cdist(part, bank).topk(min(self.k, len(bank)), dim=1, largest=False).values[:, -1]
            for part in self._points(acts).split(500)
        ]
        return torch.cat(near)


class OutputsAlone(Detector):
    """Another detector, which monitors the last hidden layer's outputs (after the non-linearity) and nothing else.

    Args:
        inner: what is fitted and asked.
    """

    needs = frozenset({"features", "labels"})

    def __init__(self, inner: Detector) -> None:
        super().__init__()
        self.inner = inner

    def _outputs(self, acts: Activations) -> Activations:
        assert acts.features is not None
        return replace(acts, layers={"outputs": acts.features}, kinds={"outputs": "plain"})

    def _fit(self, acts: Activations) -> None:
        self.inner.fit(self._outputs(acts))

    def _score(self, acts: Activations) -> Tensor:
        return self.inner.score(self._outputs(acts))


def built(name: str, setting: Setting, acts: Activations) -> Detector:
    """A detector at a setting of its grid, or one of the ablations; not fitted yet.

    Args:
        name: in `GRIDS` or `ABLATIONS`.
        setting: one of its grid's; an ablation's is its own.
        acts: of the training samples, which have the layers' names.
    """
    if name in ABLATIONS:
        return BBAS(**ABLATIONS[name])
    if name == OURS:
        return BBAS(**setting)
    if name == SAME_VARIABLES:
        return LayerNeighbours(**setting)
    if name in (PUBLISHED, "OutsideTheBox"):
        return OutputsAlone(OutsideTheBox(use="correct", **setting))
    if "layers" in setting:
        return _CLASSES[name](layers=_named(setting["layers"], list(acts.layers)))
    return _CLASSES[name](**setting)


def _named(depth: str, names: list[str]) -> tuple[str, ...] | None:
    """The layers that a depth means: none for the penultimate features, which need no name."""
    counts = {"features": 0, "last": 1, "last 2": 2, "last 3": 3, "all": len(names)}
    return tuple(names[len(names) - counts[depth] :]) or None


def scores(
    wanted: dict[str, list[Setting]], model: nn.Module, known: Activations, sets: dict[str, tuple[Tensor, Activations]]
) -> dict[str, list[dict[str, Tensor] | None]]:
    """By detector and setting, its scores of each set; None where it can't be fitted.

    Args:
        wanted: detectors with their settings.
        model: the network, for the one that takes gradients.
        known: activations of the training samples, with labels.
        sets: by name, inputs and their activations.
    """
    return {
        name: [_scored(built(name, setting, known).bind(model), known, sets) for setting in settings]
        for name, settings in wanted.items()
    }


def _scored(
    detector: Detector, known: Activations, sets: dict[str, tuple[Tensor, Activations]]
) -> dict[str, Tensor] | None:
    if "input_grad" in detector.needs:
        return {name: torch.cat([detector.score(part) for part in x.split(500)]) for name, (x, _) in sets.items()}
    try:
        detector.fit(known)
    except InputError:  # such as no direction left outside of ViM's principal ones
        return None
    return {name: detector.score(acts) for name, (_, acts) in sets.items()}
