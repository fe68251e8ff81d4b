"""What an experiment is: its conditions, how it is measured, and what people do, as data."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from deepwright.interpret.mindset.canvas import Canvas
from deepwright.interpret.mindset.scene import Factors

Rows = Mapping[str, Any]
"""Which pictures: the value (or values) of each of these factors."""

SIMILARITY, DECODING, CLASSIFICATION = "similarity", "decoding", "classification"


@dataclass(frozen=True)
class Human:
    """What people do, as numbers where the literature gives them here; nothing is filled in.

    Attributes:
        words: the effect in a sentence.
        ranges: what is known of its size: name -> (low, high) in the units that the name says.
        source: where it is from.
    """

    words: str
    ranges: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    source: str = "MindSet: Vision, arXiv 2404.05290, as its stimuli are annotated"


@dataclass(frozen=True)
class Contrast:
    """The effect: what people see as larger, or as further apart, in one kind of picture than in another.

    Attributes:
        larger: pictures whose read-out people exaggerate more; of a similarity, the two pictures of the pair that
            looks less alike.
        smaller: the others, paired by the factor "Item"; of decoding, None compares with the truth itself.
        sign: a factor that each error is multiplied by; pictures with 0 are left out.
    """

    larger: Rows | tuple[Rows, Rows]
    smaller: Rows | tuple[Rows, Rows] | None = None
    sign: str | None = None


@dataclass(frozen=True)
class Experiment:
    """One experiment.

    Attributes:
        name: as `make_stimuli` takes it.
        family: "illusions", "middle level" or "objects".
        conditions: values of the factor "Type".
        draw: draws a scene and annotates it.
        method: "similarity", "decoding" or "classification".
        human: what people do.
        contrast: the effect, None where accuracy is the measure.
        target: the factor that is decoded.
        task: "regression", "circular" or "classification".
        train: the pictures that a decoder learns on.
        train_on: the experiment that those are of, where it is another one.
        cells: of a grid, how many pictures of a condition there are; 0 where they are drawn at random.
        needs_assets: whether it reads files.
    """

    name: str
    family: str
    conditions: tuple[str, ...]
    draw: Callable[..., tuple[Canvas, Factors]]
    method: str
    human: Human
    contrast: Contrast | None = None
    target: str = ""
    task: str = "regression"
    train: Rows = field(default_factory=dict)
    train_on: str = ""
    cells: int = 0
    needs_assets: bool = False
