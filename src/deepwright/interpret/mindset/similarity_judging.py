"""Which pictures look alike to a network: all pairs of a reference and other levels of a factor."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from deepwright.core.errors import InputError
from deepwright.core.features import layer_names
from deepwright.core.randomness import Streams
from deepwright.core.requirements import require_whole
from deepwright.core.results import Table
from deepwright.interpret.mindset.distances import pair_distances
from deepwright.interpret.mindset.effects import Effect, effect_of, index
from deepwright.interpret.mindset.experiment import Contrast
from deepwright.interpret.mindset.observing import Preprocess, chosen_preprocess
from deepwright.interpret.mindset.stimulus_set import StimulusSet

_KINDS = ("Conv", "Linear")
Layers = Sequence[str] | Callable[[str], bool] | None


@dataclass(frozen=True)
class Affine:
    """Random moves, scalings and turns of pictures before they are compared.

    Attributes:
        translation: largest move, as a share of the side.
        scale: range of factors.
        rotation: largest turn, in degrees.
        same: one transform a repetition for all pictures, so that both of a pair share it; otherwise one each.
    """

    translation: float = 0.2
    scale: tuple[float, float] = (0.7, 1.3)
    rotation: float = 360.0
    same: bool = False

    def __call__(self, stimuli: StimulusSet, repetition: int, seed: int) -> StimulusSet:
        """Transformed pictures; what comes in from outside has the colour of the corner.

        Args:
            stimuli: pictures.
            repetition: which draw.
            seed: of all draws.
        """
        n = len(stimuli)
        ids = torch.zeros(n, dtype=torch.long) if self.same else torch.arange(n)
        draws = Streams(seed, ids, "mindset/affine", repetition, stimuli.images.device)
        move = draws.uniform(2, low=-2 * self.translation, high=2 * self.translation)
        scale = draws.uniform(low=self.scale[0], high=self.scale[1])
        angle = draws.uniform(high=math.radians(self.rotation))
        c, s = angle.cos() / scale, angle.sin() / scale
        linear = torch.stack([torch.stack([c, s], 1), torch.stack([-s, c], 1)], 1)
        theta = torch.cat([linear, -(linear @ move[..., None])], 2)
        images = stimuli.images.float()
        ground = images[:, :, :1, :1]
        grid = F.affine_grid(theta, list(images.shape), align_corners=False)
        moved = F.grid_sample(images - ground, grid, align_corners=False) + ground
        return StimulusSet(moved.round().clamp(0, 255).to(torch.uint8), stimuli.factors, stimuli.name, stimuli.settings)


@dataclass
class SimilarityResult:
    """Distances of pairs.

    Attributes:
        table: one row a pair and repetition: the level, both rows of the stimuli, the repetition, and one column a
            layer.
        per_layer: layer -> (rows,) distances.
        levels: (rows,) level of each comparison.
        items: (rows,) "Item" of each comparison.
        metric: of the distances.
    """

    table: Table
    per_layer: dict[str, Float[Tensor, " rows"]]
    levels: np.ndarray
    items: np.ndarray
    metric: str

    def effect(self, further: str, nearer: str, layer: str | None = None, seed: int = 0) -> Effect:
        """How much further one level is from the reference than another, within items, as (a - b) / (a + b).

        Args:
            further: the level that people see as less alike.
            nearer: the other.
            layer: one of `per_layer`; the last where None.
            seed: of the resamples.
        """
        distances = self.per_layer[layer or list(self.per_layer)[-1]].double().cpu().numpy()
        items, places = np.unique(self.items, return_inverse=True)
        means = []
        for level in (further, nearer):
            here = self.levels == level
            total = np.bincount(places[here], distances[here], len(items))
            count = np.bincount(places[here], minlength=len(items))
            means.append(np.where(count > 0, total / np.maximum(count, 1), np.nan))
        both = ~np.isnan(means[0]) & ~np.isnan(means[1])
        if not both.any():
            raise InputError("levels", given=f"{further!r} and {nearer!r}", expected="two levels that share items")
        a, b = (torch.from_numpy(mean[both]) for mean in means)
        return effect_of(index(a, b), seed)


def judge_similarity(
    model: nn.Module,
    stimuli: StimulusSet,
    factor: str,
    reference: object,
    *,
    match: Sequence[str] = (),
    non_match: Sequence[str] = (),
    layers: Layers = None,
    metric: str = "euclidean",
    transforms: Callable[[StimulusSet, int, int], StimulusSet] | None = None,
    repeats: int = 1,
    preprocess: Preprocess | None = None,
    batch_size: int = 64,
    pool: int | None = None,
    memory: int = 1 << 30,
    seed: int = 0,
) -> SimilarityResult:
    """Distances between pictures of a reference level and of each other level of a factor.

    Every picture (under every transform) is passed once, however many pairs it is in.

    Args:
        model: any network; it is left as found.
        stimuli: pictures.
        factor: whose levels are compared.
        reference: one of its levels.
        match: factors that must agree in a pair.
        non_match: factors that must differ.
        layers: names, or which names are wanted; None for what each leaf module with Conv or Linear in its
            class's name gives.
        metric: "euclidean", "cosine" or "correlation" distance of the flat activations.
        transforms: as `Affine()`; None for none.
        repeats: of the transforms.
        preprocess: see `observe`.
        batch_size: pictures a pass.
        pool: maps are averaged down to so many positions a side; None keeps them whole.
        memory: bytes of activations held at once.
        seed: of the transforms.

    Raises:
        InputError: a reference with fewer than two pictures, no pair, names that match nothing.
    """
    require_whole(1, repeats=repeats)
    rows, levels = _pairs(stimuli, factor, reference, match, non_match)
    named = chosen_layers(model, stimuli, layers, preprocess)
    parts = []
    for k in range(repeats if transforms is not None else 1):
        seen = stimuli if transforms is None else transforms(stimuli, k, seed)
        parts.append(
            pair_distances(
                model,
                seen,
                rows,
                named,
                metric=metric,
                preprocess=preprocess,
                batch_size=batch_size,
                pool=pool,
                memory=memory,
            )
        )
    distances = {name: torch.cat([part[name] for part in parts]) for name in named}
    items = stimuli.factors.get("Item", np.arange(len(stimuli)))[rows[:, 1].numpy()]
    again = len(parts)
    table = _table(rows, levels, distances, again, metric)
    return SimilarityResult(table, distances, np.tile(levels, again), np.tile(items, again), metric)


def _pairs(
    stimuli: StimulusSet, factor: str, reference: object, match: Sequence[str], non_match: Sequence[str]
) -> tuple[Tensor, np.ndarray]:
    """Rows of reference and comparison, and each comparison's level."""
    values = stimuli.factor(factor)
    first = np.flatnonzero(values == reference)
    others = np.flatnonzero(values != reference)
    if len(first) < 2:
        expected = f"two pictures or more; {factor} has {sorted(set(values.tolist()))}"
        raise InputError(f"reference {reference!r}", given=f"{len(first)} pictures", expected=expected)
    allowed = np.ones((len(first), len(others)), dtype=bool)
    for names, same in ((match, True), (non_match, False)):
        for name in names:
            column = stimuli.factor(name)
            allowed &= (column[first][:, None] == column[others]) == same
    a, b = np.nonzero(allowed)
    if len(a) == 0:
        given = f"none with the same {list(match)} and other {list(non_match)}"
        raise InputError("pairs of pictures", given=given, expected="one or more")
    rows = torch.from_numpy(np.stack([first[a], others[b]], 1))
    return rows, values[others[b]].astype(str)


def chosen_layers(model: nn.Module, stimuli: StimulusSet, layers: Layers, preprocess: Preprocess | None) -> list[str]:
    """The names of the layers that are wanted.

    Args:
        model: the network.
        stimuli: pictures, of which one is passed.
        layers: names, which names are wanted, or None for all.
        preprocess: see `observe`.

    Raises:
        InputError: none is left; those that there are, are listed.
    """
    if layers is not None and not callable(layers):
        if isinstance(layers, str):
            raise InputError("layers", given=repr(layers), expected="a sequence of names", hint=f"[{layers!r}]")
        return list(layers)
    prepare = chosen_preprocess(model, preprocess)
    known = layer_names(model, prepare(stimuli.images[:1]))
    if callable(layers):
        kept = [name for name in known if layers(name)]
    else:
        kinds = {name: type(module).__name__ for name, module in model.named_modules() if not list(module.children())}
        kept = [name for name in known if any(kind in kinds.get(name.partition("#")[0], "") for kind in _KINDS)]
    if not kept:
        given = "a choice that takes none" if callable(layers) else "no leaf module with Conv or Linear in its name"
        raise InputError("layers", given=given, expected="some of " + ", ".join(known))
    return kept


def _table(
    rows: Tensor, levels: np.ndarray, distances: dict[str, Tensor], again: int, metric: str
) -> Table:  # one row a pair and repetition
    columns = [values.tolist() for values in distances.values()]
    heads = [
        (str(level), int(a), int(b), k) for k in range(again) for level, (a, b) in zip(levels.tolist(), rows.tolist())
    ]
    cells = [[*head, *values] for head, values in zip(heads, zip(*columns))]
    return Table(["level", "reference", "comparison", "repetition", *distances], cells, f"{metric} distances")


def contrast_pairs(stimuli: StimulusSet, contrast: Contrast) -> tuple[Tensor, Tensor]:
    """The pairs of an effect, item by item: those that look less alike to people, and the others.

    Args:
        stimuli: pictures.
        contrast: of a similarity experiment.

    Raises:
        InputError: no item that has all four pictures.
    """
    if not isinstance(contrast.larger, tuple) or not isinstance(contrast.smaller, tuple):
        raise InputError("contrast", given="kinds of pictures", expected="pairs of them: that is a decoding")
    items = stimuli.factor("Item")
    ends = [stimuli.rows(kind) for kind in (*contrast.larger, *contrast.smaller)]
    shared = sorted(set.intersection(*(set(items[rows].tolist()) for rows in ends)))
    if not shared:
        raise InputError("items", given="none with pictures of all kinds", expected="one or more")
    first = [dict(zip(items[rows[::-1]].tolist(), rows[::-1].tolist())) for rows in ends]
    table = torch.tensor([[kind[k] for kind in first] for k in shared])
    return table[:, :2], table[:, 2:]
