"""Outlier exposure: what a detector is shown of attacks, unlabelled as published or with labels.

Source: arXiv 2603.26093.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn
from torch.nn.functional import softplus

from deepwright.core.errors import InputError
from deepwright.core.randomness import derive_seed
from deepwright.core.requirements import require_number, require_whole, require_within

MODES = ("labeled", "mixed")


class ExposureLoss(nn.Module):
    """mean over pairs of softplus(margin - (s_attacked - s_benign)): attacked windows shall score higher by a margin.

    Args:
        margin: by which.
    """

    def __init__(self, margin: float = 1.0) -> None:
        super().__init__()
        require_number(0, margin=margin)
        self.margin = margin

    def forward(self, benign: Float[Tensor, " n"], attacked: Float[Tensor, " m"]) -> Float[Tensor, ""]:
        """The loss; 0 without a pair.

        Args:
            benign: scores, larger for stranger.
            attacked: scores of attacked windows.

        Raises:
            InputError: scores of another rank.
        """
        if benign.ndim != 1 or attacked.ndim != 1:
            given = f"shapes {tuple(benign.shape)} and {tuple(attacked.shape)}"
            raise InputError("scores", given=given, expected="(N,) and (M,), one a window")
        if not len(benign) or not len(attacked):
            return (benign.sum() + attacked.sum()) * 0
        return softplus(self.margin - (attacked[:, None] - benign[None, :])).mean()


@dataclass(frozen=True)
class ExposureSet:
    """Windows with what is known of them.

    Attributes:
        x: windows.
        y: whether each is an attacked one.
        entity: index of whose it is.
        names: of the entities.
    """

    x: Float[Tensor, "n steps channels"]
    y: Bool[Tensor, " n"]
    entity: Int64[Tensor, " n"]
    names: tuple[Any, ...]

    @property
    def benign(self) -> Float[Tensor, "k steps channels"]:
        """The windows that aren't attacked."""
        return self.x[~self.y]


class OutlierExposure:
    """Replace windows by their attacked versions, each with probability p, where the two differ anywhere in a window.

    "mixed" is the published protocol: a detector fits all of them and never learns which were attacked, by which it
    takes attacks for normal. "labeled" keeps the labels, for the threshold and for losses that need them.

    Args:
        mode: "labeled" or "mixed".
        p: of a window that can be attacked.
        seed: of the draws, one stream an entity.
    """

    def __init__(self, mode: str = "labeled", p: float = 0.5, seed: int = 0) -> None:
        if mode not in MODES:
            raise InputError("mode", given=repr(mode), expected=" or ".join(map(repr, MODES)))
        require_within(0, 1, p=p)
        require_whole(0, seed=seed)
        self.mode, self.p, self.seed = mode, float(p), int(seed)

    def build(
        self, benign: Mapping[Any, Tensor], adversarial: Mapping[Any, Tensor], ids: Sequence[Any] | None = None
    ) -> ExposureSet:
        """One set of the windows of several entities.

        Args:
            benign: entity -> windows (N, steps, channels).
            adversarial: entity -> the same windows attacked.
            ids: whose; all by default.

        Raises:
            InputError: an entity without windows, or whose two versions differ in shape; numbers that aren't finite.
        """
        names = tuple(benign if ids is None else ids)
        xs, ys, whose = [], [], []
        for index, name in enumerate(names):
            if name not in benign or name not in adversarial or not len(benign[name]):
                raise InputError(f"entity {name!r}", given="no windows", expected="benign and attacked ones")
            clean, attacked = benign[name], adversarial[name]
            if clean.shape != attacked.shape or not bool(torch.isfinite(attacked).all()):
                given = f"shape {tuple(attacked.shape)}, or numbers that aren't finite"
                raise InputError(f"attacked windows of {name!r}", given=given, expected=f"finite {tuple(clean.shape)}")
            differ = (clean != attacked).flatten(1).any(1)
            draws = torch.Generator().manual_seed(derive_seed("exposure", str(name), seed=self.seed))
            chosen = (torch.rand(len(clean), generator=draws) < self.p).to(differ.device) & differ
            xs.append(torch.where(chosen[:, None, None], attacked, clean))
            ys.append(chosen)
            whose.append(torch.full((len(clean),), index, device=chosen.device))
        return ExposureSet(torch.cat(xs), torch.cat(ys), torch.cat(whose), names)
