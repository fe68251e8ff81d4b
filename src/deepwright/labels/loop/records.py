"""What a labelling loop leaves behind: a record of each round, and the outcome."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn


@dataclass
class Round:
    """What happened in a round: the samples asked for, what the selector cost and how sure of itself it was.

    Attributes:
        number: 0 for the first, random one.
        asked: samples, in the order in which they were chosen.
        strategy: what chose them; "random" where the selector couldn't be trusted, "known" for labels that were there.
        train_seconds: of the selector, and of the whole network where it was synchronised.
        score_seconds: of the pool.
        macs: multiply-accumulates of both.
        labelled: labels before the round.
        accuracy: of the selector on the validation data, where there are some.
    """

    number: int
    asked: list[int]
    strategy: str
    train_seconds: float = 0.0
    score_seconds: float = 0.0
    macs: float = 0.0
    labelled: int = 0
    accuracy: float | None = None


@dataclass
class LabelingResult:
    """The outcome.

    Attributes:
        indices: of the labelled samples, in the order in which they were told.
        labels: of them, in the same order.
        rounds: one record each.
        selector: the last trained selector; None before the first was trained.
        seconds: of training and scoring, over all rounds.
        macs: multiply-accumulates, over all rounds.
    """

    indices: list[int]
    labels: list[int]
    rounds: list[Round]
    selector: nn.Module | None = None
    seconds: float = 0.0
    macs: float = 0.0
