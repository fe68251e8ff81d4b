"""The code that could really be sent: blocks of labels, each under a model of all blocks before it.

The area above a loss curve estimates what a model costs; this is the length of an actual code. The first block is sent
at log2 C bits a label, and whatever a model needs for stopping, calibration or caution is cut from what was sent
already.

Source: L. Blier and Y. Ollivier, "The description length of deep learning models", 2018 (arXiv 1802.07044).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
from jaxtyping import Int64
from torch import Tensor

from deepwright.core.errors import InputError
from deepwright.core.inference import require_labels
from deepwright.core.randomness import derive_seed, generator
from deepwright.core.requirements import require_same_length, require_whole, require_within
from deepwright.core.statistics import Interval, mean_interval
from deepwright.interpret.prequential.curves import UNITS
from deepwright.interpret.prequential.learners import FLOOR, Learner, charged

_HELD = 20  # the least prefix of which a part is held out; the whole of a smaller one stands for it
_CAUTIONS = 8  # weights 2^-1 ... 2^-8 of the uniform predictor that are tried


@dataclass(frozen=True)
class CodeLength:
    """The length of a code.

    Attributes:
        total: of all labels.
        per_block: of each block.
        blocks: (start, end) of each.
        uniform: of all labels at log2 C each.
        unit: of all of them.
        clamped: labels that were coded at 40 bits because the model gave them less than 2^-40.
    """

    total: float
    per_block: tuple[float, ...]
    blocks: tuple[tuple[int, int], ...]
    uniform: float
    unit: str
    clamped: int

    @property
    def per_sample(self) -> float:
        """Mean length of a label."""
        return self.total / self.blocks[-1][1]

    def compare(self, other: CodeLength) -> Interval:
        """Mean difference of a label's length to another code of the same blocks, with a paired interval over blocks.

        Args:
            other: of the same data in the same order.

        Raises:
            InputError: other blocks, or another unit.
        """
        if self.blocks != other.blocks or self.unit != other.unit:
            given = f"{len(self.blocks)} blocks in {self.unit} beside {len(other.blocks)} in {other.unit}"
            raise InputError("codes to compare", given=given, expected="the same blocks and unit")
        total = sum(end - start for start, end in self.blocks)
        gaps = [(a - b) * len(self.blocks) / total for a, b in zip(self.per_block, other.per_block)]
        return mean_interval(gaps)


def doubling_blocks(n: int, first: int = 8) -> list[int]:
    """Ends of blocks that double: first, 2 first, 4 first, ..., n.

    Args:
        n: labels.
        first: in the first block.
    """
    require_whole(1, n=n, first=first)
    ends = [first << k for k in range(max(1, math.ceil(math.log2(n / first)) + 1)) if first << k < n]
    return [*ends, n]


def online_code_length(
    make_learner: Callable[[int], Learner],
    x: Tensor,
    y: Int64[Tensor, " n"],
    blocks: Sequence[int] | None = None,
    *,
    classes: int | None = None,
    unit: str = "bits",
    calibrate: str | None = None,
    held_out: float = 0.2,
    seed: int = 0,
) -> CodeLength:
    """Code labels block by block in the order in which they come.

    Args:
        make_learner: seed -> learner, for every block anew.
        x: (n, ...) inputs, known to who receives.
        y: (n,) classes.
        blocks: ends of the blocks, rising; the last is n. Doubling from 8 on when None.
        classes: log2 of it is what a label of the first block costs; the largest label and one more when None.
        unit: "bits" or "nats".
        calibrate: "mixture" mixes with the uniform predictor, at the one of the weights 2^-1 to 2^-8 that codes the
            held-out part of the prefix best, so that a model of few samples can't cost many bits a label.
        held_out: share of each prefix that the learner gets as validation samples and isn't trained on, one
            sample at least; 0 gives none. A prefix of fewer than 20 samples is trained on whole, and stands for its
            held-out part too: what is stopped or mixed by it is too sure of itself.
        seed: of learners and held-out samples.

    Raises:
        InputError: lengths that differ, labels that aren't classes from 0 on, blocks that don't rise to n, a mixture
            without held-out samples, a learner's log-probabilities that aren't one a label or are above 0.
    """
    require_same_length(x, y, "inputs and labels")
    require_within(0, 1, ends="[)", held_out=held_out)
    require_labels(y, classes)
    ends = _ends(len(y), blocks)
    classes = int(y.max()) + 1 if classes is None else classes
    require_whole(2, classes=classes)
    if unit not in UNITS or calibrate not in (None, "mixture") or (calibrate and not held_out):
        given = f"unit={unit!r}, calibrate={calibrate!r}, held_out={held_out}"
        raise InputError("a code", given=given, expected="bits or nats; None, or 'mixture' with held-out samples")
    lengths, clamped = [ends[0] * math.log(classes)], 0
    for k, (start, end) in enumerate(pairwise(ends)):
        p = _predicted(make_learner, x, y, start, end, classes, calibrate, held_out, derive_seed("block", k, seed=seed))
        clamped += int((p < FLOOR).sum())
        lengths.append(-float(p.clamp_min(FLOOR).sum()))
    factor = UNITS[unit]
    spans = tuple(pairwise([0, *ends]))
    per_block = tuple(length * factor for length in lengths)
    return CodeLength(sum(per_block), per_block, spans, len(y) * math.log(classes) * factor, unit, clamped)


def _ends(n: int, blocks: Sequence[int] | None) -> list[int]:
    ends = doubling_blocks(n) if blocks is None else [int(b) for b in blocks]
    if not ends or ends[0] < 1 or ends[-1] != n or any(b <= a for a, b in pairwise(ends)):
        raise InputError("blocks", given=ends[:8], expected=f"ends that rise from 1 or more to {n}")
    return ends


def _predicted(
    make_learner: Callable[[int], Learner],
    x: Tensor,
    y: Tensor,
    start: int,
    end: int,
    classes: int,
    calibrate: str | None,
    held_out: float,
    seed: int,
) -> Tensor:
    """Log-probabilities of one block's labels under a model of what was sent before."""
    learner: Any = make_learner(seed)
    if not isinstance(learner, Learner):
        expected, hint = "an object with fit(x, y, validation) and log_prob(x, y)", "TorchLearner(make_network)"
        raise InputError("make_learner", given=f"it gives a {type(learner).__name__}", expected=expected, hint=hint)
    train, held = _parted(start, held_out, seed, y.device)
    validation = None if held is None else (x[held], y[held])
    learner.fit(x[train], y[train], validation)
    p = charged(learner, x[start:end], y[start:end])
    if calibrate is None:
        return p
    assert validation is not None
    known = charged(learner, *validation)
    weights = 0.5 ** torch.arange(1, _CAUTIONS + 1, dtype=torch.float64, device=p.device)
    chosen = weights[_mixed(known, weights, classes).sum(1).argmax()]
    return _mixed(p, chosen[None], classes)[0]


def _mixed(p: Tensor, weights: Tensor, classes: int) -> Tensor:
    """(weights, n) log of (1 - w) p + w / C."""
    caution = (weights / classes).log()[:, None].expand(-1, len(p))
    return torch.logaddexp(torch.log1p(-weights)[:, None] + p[None], caution)


def _parted(n: int, held_out: float, seed: int, device: torch.device) -> tuple[Tensor, Tensor | None]:
    """Rows to train on, and rows held out; all of a small prefix are both."""
    rows = torch.arange(n, device=device)
    if not held_out:
        return rows, None
    if n < _HELD:
        return rows, rows
    order = torch.randperm(n, generator=generator(seed, "held out")).to(device)
    held = min(max(1, round(held_out * n)), n - 1)
    return order[held:], order[:held]
