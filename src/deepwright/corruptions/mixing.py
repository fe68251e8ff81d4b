"""Training pictures that are mixtures of perturbed ones, and a step that wants the same answer to all of them.

A perturbation that a network was trained on says little about the weather that it will meet: `split_families` keeps
whole categories back, on which it is measured afterwards. Source: AugMix, arXiv 1912.02781; its operations are others.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from deepwright.core.errors import InputError, unknown_name
from deepwright.core.inference import floats_within
from deepwright.core.randomness import derive_seed, generator
from deepwright.core.requirements import require_positive, require_whole
from deepwright.core.tasks import Task
from deepwright.core.tasks.divergences import DISTRIBUTIONS, jensen_shannon
from deepwright.corruptions.engine import Perturbation
from deepwright.corruptions.suite import ALL, get

_PAIRS = "sample_pairing"  # another picture shows through: its class may be the truer one
_DEEPEST = 3


def split_families(
    held_out: Sequence[str] = ("noise", "weather", "occlusion", "overlay"), *, moving: bool = True
) -> tuple[tuple[Perturbation, ...], tuple[Perturbation, ...]]:
    """Perturbations of pictures to train on, and those of the families that are kept back.

    Those that move a target along are in neither half.

    Args:
        held_out: categories of `names`.
        moving: whether things may change place; not where targets are label maps.

    Raises:
        InputError: a category that there isn't; none or all of them.
    """
    known = sorted({p.category for p in ALL})
    if isinstance(held_out, str) or not isinstance(held_out, Sequence):
        raise InputError("held_out", given=repr(held_out), expected=f"several of {', '.join(known)}")
    for name in held_out:
        if name not in known:
            raise unknown_name("category", str(name), known)
    if not held_out or set(held_out) == set(known):
        raise InputError("held_out", given=f"{len(set(held_out))} of {len(known)} categories", expected="some of them")
    usable = [p for p in ALL if p.label_preserving and p.name != _PAIRS and (moving or not p.moves_pixels)]
    return (
        tuple(p for p in usable if p.category not in held_out),
        tuple(p for p in usable if p.category in held_out),
    )


@dataclass(frozen=True)
class CorruptionMix:
    """Pictures beside mixtures of perturbed ones, as `core.fit` augments.

    A mixture is m x + (1 - m) sum_i w_i chain_i(x), with chains of one to three perturbations in a row, w ~
    Dirichlet(1) and m ~ U(0, 1) for each picture. What is drawn depends on the step's generator only. On an accelerator
    no value of a picture is looked at, so that nothing waits (but for jpeg, canny_edges and static_snow, which do by
    themselves).

    Args:
        perturbations: names or perturbations of pictures, of which chains are made.
        views: mixtures of each picture; 2 for `Consistent`, 0 for plain mixing: then every second picture or so
            becomes one mixture, and the others stay as they are.
        width: chains of a mixture.
        severities: of which each link draws one.
        group: so many pictures of a batch share their chains (not the numbers that these draw, nor their weights).

    Example:
        >>> mix = CorruptionMix(("contrast", "pixelate"))
        >>> mix(torch.rand(4, 3, 16, 16), torch.Generator().manual_seed(0)).shape  # as it is, and two mixtures
        torch.Size([4, 3, 3, 16, 16])
    """

    perturbations: Sequence[str | Perturbation]
    views: int = 2
    width: int = 3
    severities: tuple[int, ...] = (1, 2, 3)
    group: int = 16

    @property
    def links(self) -> tuple[Perturbation, ...]:
        """What chains are made of."""
        return tuple(get(p) if isinstance(p, str) else p for p in self.perturbations)

    def __post_init__(self) -> None:
        if isinstance(self.perturbations, str) or not isinstance(self.perturbations, Sequence):
            raise InputError("perturbations", given=repr(self.perturbations), expected="several, as a tuple or a list")
        if not self.perturbations or not all(isinstance(p, Perturbation) for p in self.links):
            raise InputError("perturbations", given=repr(self.perturbations)[:60], expected="one or more, of pictures")
        require_whole(0, views=self.views)
        require_whole(1, width=self.width, group=self.group)
        whole = isinstance(self.severities, tuple) and all(type(s) is int and 1 <= s <= 5 for s in self.severities)
        if not whole or not self.severities:
            raise InputError("severities", given=repr(self.severities), expected="whole numbers of 1..5, as (1, 2, 3)")

    def __call__(self, x: Float[Tensor, "n c h w"], rng: torch.Generator) -> Float[Tensor, "n ..."]:
        """(N, 1 + views, C, H, W): the pictures and their mixtures; without views (N, C, H, W), some of them mixed.

        Args:
            x: pictures.
            rng: of this step; it draws where it lives.

        Raises:
            InputError: whole numbers, no batch of pictures, pictures under 8 pixels or of as many channels as a
                perturbation doesn't take; on the CPU also numbers outside [0, 1]. On an accelerator, where looking
                would wait, these make the loss NaN.
        """
        if x.ndim != 4:
            raise InputError(
                "x", given=f"shape {tuple(x.shape)}", expected="(N, C, H, W)", hint="one picture is x[None]"
            )
        x = floats_within(x, (0.0, 1.0), "divide 8-bit pictures by 255, and put the normalisation into the model")
        if self.views == 0:
            chosen = torch.rand(len(x), generator=rng, device=rng.device).to(x.device) < 0.5
            return torch.where(chosen.view(-1, 1, 1, 1), self._mixed(x, rng, 0), x)
        return torch.stack([x, *(self._mixed(x, rng, view) for view in range(self.views))], 1)

    def _mixed(self, x: Tensor, rng: torch.Generator, view: int) -> Tensor:
        n, seed = len(x), derive_seed("mix", view, seed=rng.initial_seed())
        drawn = torch.rand(1 + self.width, n, generator=rng, device=rng.device).to(x)
        share, ages = drawn[0], -drawn[1:].clamp_min(1e-12).log()
        weights = (1 - share) * ages / ages.sum(0)  # exponentials over their sum are Dirichlet(1)
        chains = torch.stack([self._chains(x, seed, number) for number in range(self.width)])
        return share.view(-1, 1, 1, 1) * x + (weights.view(self.width, n, 1, 1, 1) * chains).sum(0)

    def _chains(self, x: Tensor, seed: int, number: int) -> Tensor:
        """One chain of every picture; those of a group are the same in kind."""
        parts, links = [], self.links
        for begin in range(0, len(x), self.group):
            ids = torch.arange(begin, min(begin + self.group, len(x)))
            part, dice = x[begin : begin + self.group], generator(seed, "chain", number, begin)
            for link in range(_one_of(_DEEPEST, dice) + 1):
                perturb, severity = (
                    links[_one_of(len(links), dice)],
                    self.severities[_one_of(len(self.severities), dice)],
                )
                part = perturb.unlooked(part, severity, derive_seed(number, link, seed=seed), ids)
            parts.append(part)
        return torch.cat(parts)


def _one_of(count: int, dice: torch.Generator) -> int:
    return int(torch.randint(count, (), generator=dice))  # on the CPU: it waits for nothing


@dataclass(frozen=True)
class Consistent:
    """loss(f(x), y) + weight * JSD(f(x), f(x'), f(x'')): one answer to a picture and to its mixtures.

    Args:
        task: what outputs mean, of those with probabilities.
        weight: 12, as published.

    Example:
        >>> from deepwright.core.fit import fit
        >>> from deepwright.core.tasks import Classification
        >>> x, y = torch.rand(16, 1, 8, 8), torch.arange(16) % 2
        >>> model, mix = nn.Sequential(nn.Flatten(), nn.Linear(64, 2)), CorruptionMix(("contrast", "pixelate"))
        >>> fit(model, (x, y), epochs=1, augment=mix, step=Consistent(Classification(2))).steps
        1
    """

    task: Task
    weight: float = 12.0

    def __post_init__(self) -> None:
        if not isinstance(self.task, DISTRIBUTIONS):
            given = getattr(self.task, "kind", type(self.task).__name__)
            raise InputError("task", given=given, expected="one whose outputs are probabilities, as Classification")
        require_positive(weight=self.weight)

    def __call__(self, model: nn.Module, views: Float[Tensor, "n views c h w"], y: Any) -> Float[Tensor, ""]:
        """The mean of both terms, as the step of `core.fit`; one pass over all views.

        Args:
            model: in training.
            views: of `CorruptionMix`, the pictures as they are first.
            y: targets.
        """
        n, count = views.shape[:2]
        out = self.task.read(model(views.transpose(0, 1).flatten(0, 1)), n * count, strict=False)
        outs = [out[i * n : (i + 1) * n] for i in range(count)]
        return self.task.loss(outs[0], y).mean() + self.weight * jensen_shannon(self.task, outs, y).mean()
