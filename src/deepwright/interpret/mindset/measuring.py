"""One experiment on one network: effects at its layers, beside those of observers that need no network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from deepwright.core.errors import InputError
from deepwright.core.randomness import generator
from deepwright.interpret.mindset.catalogue import experiment_named
from deepwright.interpret.mindset.decoder import Readout, contrast_rows, decoded, encoded, errors, item_bias
from deepwright.interpret.mindset.distances import pair_distances
from deepwright.interpret.mindset.effects import Effect, effect_beyond, effect_of, index, refitted_effect, unmeasured
from deepwright.interpret.mindset.experiment import DECODING, SIMILARITY, Experiment
from deepwright.interpret.mindset.making import make_stimuli
from deepwright.interpret.mindset.observing import BOX, FEATURES, PIXELS, Preprocess, observe
from deepwright.interpret.mindset.ridge import refitted
from deepwright.interpret.mindset.similarity_judging import contrast_pairs
from deepwright.interpret.mindset.stimulus_set import StimulusSet

LEAST_R2 = 0.5
"""Of a read-out on held-out pictures: below it, what it says of an illusion says nothing."""


@dataclass(frozen=True)
class Plan:
    """How much is measured.

    Attributes:
        items: of an effect.
        train: pictures that a decoder learns from.
        held_out: pictures that it is scored on.
        refits: on resampled pictures, for the interval of a decoder's effect; 0 leaves them out, and the interval is
            then that of one decoder, over items alone.
        size: of the pictures.
        seed: of everything.
        batch_size: pictures a pass.
        pool: positions a side that a decoder's maps are averaged down to; similarities take whole maps.
        trivial: whether observers that need no network are measured beside it.
    """

    items: int = 60
    train: int = 1800
    held_out: int = 200
    refits: int = 100
    size: int = 224
    seed: int = 0
    batch_size: int = 64
    pool: int = 1
    trivial: bool = True


@dataclass
class Measured:
    """What an experiment found.

    Attributes:
        experiment: which.
        effects: layer, or trivial observer -> effect.
        items: layer -> (items,) the effect of each.
        r2: of a decoding experiment, layer -> R2 on held-out pictures.
        controlled: of a similarity experiment, layer -> the effect at equal change of pixels.
        shown: a few of the pictures.
        unit: of the effects.
        readouts: of a decoding experiment, by layer.
        errors: of its test pictures, layer -> (n,) read-out less truth, in units of the target.
        tested: factors of those pictures.
    """

    experiment: Experiment
    effects: dict[str, Effect]
    items: dict[str, Tensor]
    r2: dict[str, float] = field(default_factory=dict)
    controlled: dict[str, Effect] = field(default_factory=dict)
    shown: StimulusSet | None = None
    unit: str = ""
    readouts: dict[str, Readout] = field(default_factory=dict)
    errors: dict[str, Tensor] = field(default_factory=dict)
    tested: dict[str, np.ndarray] = field(default_factory=dict)


def measure_experiment(
    model: nn.Module,
    name: str,
    layers: Sequence[str] = (FEATURES,),
    *,
    plan: Plan | None = None,
    preprocess: Preprocess | None = None,
    **params: Any,
) -> Measured:
    """Effects of one experiment at each layer.

    Similarity: (a - b) / (a + b) of the two distances of each item. Decoding: bias of each item in units of the canvas
    (orientations: degrees), with an interval over refits.

    Args:
        model: any vision network; it is left as found.
        name: of the experiment.
        layers: see `observe`; trivial observers are added.
        plan: how much; `Plan()` where None.
        preprocess: see `observe`.
        params: of the experiment's generator.

    Raises:
        InputError: an experiment without an effect of this kind.
    """
    experiment, plan = experiment_named(name), plan or Plan()
    if experiment.contrast is None or experiment.method not in (SIMILARITY, DECODING):
        raise InputError("experiment", given=f"{name}, measured by {experiment.method}", expected="one with a contrast")
    if experiment.method == SIMILARITY:
        return _similarity(model, experiment, layers, plan, preprocess, params)
    return _decoding(model, experiment, layers, plan, preprocess, params)


def _similarity(
    model: nn.Module,
    experiment: Experiment,
    layers: Sequence[str],
    plan: Plan,
    preprocess: Preprocess | None,
    params: dict[str, Any],
) -> Measured:
    contrast = experiment.contrast
    assert contrast is not None
    assert isinstance(contrast.larger, tuple)
    per_item = 2 if "Side" in contrast.larger[0] else 1  # pictures 2 k and 2 k + 1 are item k
    stimuli = make_stimuli(experiment.name, plan.items * per_item, size=plan.size, seed=plan.seed, **params)
    further, nearer = contrast_pairs(stimuli, contrast)
    named = [*layers, *([] if PIXELS in layers else [PIXELS])]  # what is controlled for
    found = pair_distances(
        model,
        stimuli,
        torch.cat([further, nearer]),
        named,
        preprocess=preprocess,
        batch_size=plan.batch_size,
        pool=None,
        memory=1 << 31,
    )
    n = len(further)
    items = {k: index(d[:n].double(), d[n:].double()).cpu() for k, d in found.items()}
    effects = {k: effect_of(v, plan.seed) for k, v in items.items()}
    rest = {k: effect_beyond(v, items[PIXELS], plan.seed) for k, v in items.items() if k != PIXELS}
    shown = stimuli.take(_first_of_each(stimuli))
    return Measured(experiment, effects, items, {}, rest, shown, "(a - b) / (a + b)")


def _decoding(
    model: nn.Module,
    experiment: Experiment,
    layers: Sequence[str],
    plan: Plan,
    preprocess: Preprocess | None,
    params: dict[str, Any],
) -> Measured:
    contrast = experiment.contrast
    assert contrast is not None
    learned, held, tested = decoding_sets(experiment, plan, params)
    named = [*layers, *(k for k in (PIXELS, BOX) if plan.trivial and k not in layers)]
    seen = [
        observe(model, part, named, preprocess=preprocess, batch_size=plan.batch_size, pool=plan.pool)
        for part in (learned, held, tested)
    ]
    larger, smaller, sign = contrast_rows(tested, contrast)
    values = [part.factor(experiment.target) for part in (learned, held, tested)]
    unit, words = unit_of(experiment, plan.size)
    effects, items = {}, {}
    r2: dict[str, float] = {}
    readouts: dict[str, Readout] = {}
    wrong: dict[str, Tensor] = {}
    for name in named:
        train, other, test = (part[name] for part in seen)
        try:
            readout = Readout.fit(train, values[0], experiment.task)
        except InputError as error:
            effects[name] = unmeasured(str(error), len(larger))
            continue
        r2[name], readouts[name] = readout.score(other, values[1])["r2"], readout
        wrong[name] = errors(readout.predict(test), values[2], experiment.task).cpu()
        items[name] = item_bias(readout.predict(test), values[2], larger, smaller, sign, experiment.task).cpu() / unit
        if not r2[name] >= LEAST_R2:
            reason = f"the read-out's held-out R2 is {r2[name]:.2f}, below {LEAST_R2}: it can't measure"
            effects[name] = unmeasured(reason, len(larger), float(items[name].mean()))
            continue
        if plan.refits == 0:
            effects[name] = effect_of(items[name], plan.seed)
            continue
        drawn = _resampled(len(train), plan.refits, plan.seed).to(train.device)
        again = refitted(readout.ridge, train, encoded(values[0], experiment.task, ()).to(train.device), test, drawn)
        refits = item_bias(decoded(again, experiment.task), values[2], larger, smaller, sign, experiment.task) / unit
        effects[name] = refitted_effect(items[name], refits, plan.seed)
    shown = tested.take(_first_of_each(tested))
    return Measured(experiment, effects, items, r2, {}, shown, words, readouts, wrong, tested.factors)


def decoding_sets(
    experiment: Experiment, plan: Plan, params: dict[str, Any]
) -> tuple[StimulusSet, StimulusSet, StimulusSet]:
    """Pictures to learn from, to score on, and to test the effect with.

    Args:
        experiment: of a decoder.
        plan: how many.
        params: of the generator.
    """
    source = experiment.train_on or experiment.name
    wanted = experiment.train["Type"]
    kinds = (wanted,) if isinstance(wanted, str) else tuple(wanted)
    own = params if source == experiment.name else {}
    learned, held = (
        make_stimuli(
            source,
            count // len(kinds),
            conditions=kinds,
            first=first,
            size=plan.size,
            seed=plan.seed,
            **own,
        )
        for count, first in ((plan.train, 0), (plan.held_out, plan.train))
    )
    contrast = experiment.contrast
    assert contrast is not None
    sides = [side for side in (contrast.larger, contrast.smaller) if isinstance(side, dict)]
    tested = tuple(dict.fromkeys(side["Type"] for side in sides))
    halves = 2 if len(tested) == 1 and contrast.smaller is not None else 1
    count = experiment.cells or plan.items * halves * (2 if contrast.sign else 1)
    shown = make_stimuli(experiment.name, count, conditions=tested, size=plan.size, seed=plan.seed, **params)
    return learned, held, shown


def unit_of(experiment: Experiment, size: int) -> tuple[float, str]:
    """What a bias is divided by, and what its unit is then called.

    Args:
        experiment: of a decoder.
        size: of the canvas.
    """
    if experiment.task == "circular":
        return 1.0, "degrees"
    if "Grey" in experiment.target:
        return 255.0, "white"
    return (1.0, "canvas areas") if experiment.target == "SizeDifference" else (float(size), "canvas sides")


def _resampled(n: int, refits: int, seed: int) -> Tensor:
    """(refits, n) counts of resamples with replacement."""
    drawn = torch.randint(0, n, (refits, n), generator=generator(seed, "refits"))
    return torch.zeros(refits, n).scatter_add_(1, drawn, torch.ones(refits, n))


def _first_of_each(stimuli: StimulusSet, each: int = 4) -> np.ndarray:
    kinds = stimuli.factor("Type")
    return np.concatenate([np.flatnonzero(kinds == kind)[:each] for kind in dict.fromkeys(kinds.tolist())])
