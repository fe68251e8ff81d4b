"""A battery of experiments on one network, with one verdict each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from torch import nn

from deepwright.core.pictures import Strip, strips
from deepwright.core.progress import track
from deepwright.core.results import Cell, Figure, Table
from deepwright.interpret.mindset.effects import corrected
from deepwright.interpret.mindset.measuring import Measured, Plan, measure_experiment
from deepwright.interpret.mindset.observing import FEATURES, Preprocess, chosen_preprocess
from deepwright.interpret.mindset.stimulus_set import StimulusSet

BATTERY = ("muller_lyer_illusion", "ebbinghaus_illusion", "NAP_vs_MP_2D_lines", "emergent_features")


@dataclass
class PerceptionReport:
    """What a battery found.

    Attributes:
        measured: one an experiment; p-values of the layer are corrected over them.
        layer: that is judged.
    """

    measured: list[Measured]
    layer: str

    @property
    def verdicts(self) -> dict[str, str]:
        """Experiment -> human-like, opposite, absent or inconclusive, at the layer that is judged."""
        return {m.experiment.name: m.effects[self.layer].verdict for m in self.measured}

    def table(self) -> Table:
        """One row an experiment, with the trivial observers beside the network."""
        rows: list[list[Cell]] = []
        for m in self.measured:
            effect = m.effects[self.layer]
            others = {k: e.mean.value for k, e in m.effects.items() if k != self.layer}
            known = effect.mean.known
            rows.append(
                [
                    m.experiment.name,
                    effect.verdict,
                    _number(effect.mean.value),
                    effect.mean.low if known else None,
                    effect.mean.high if known else None,
                    m.unit,
                    effect.adjusted,
                    m.r2.get(self.layer),
                    _number(others.get("pixels", float("nan"))),
                    _number(others.get("bounding box", float("nan"))),
                    m.experiment.human.words,
                ]
            )
        heads = [
            "experiment",
            "verdict",
            "effect",
            "low",
            "high",
            "unit",
            "p",
            "R2",
            "pixels",
            "bounding box",
            "people",
        ]
        return Table(heads, rows, f"effects at {self.layer!r}, above 0 as in people; p after Holm's correction")

    def sheet(self, each: int = 3) -> Figure:
        """The pictures of each experiment with the network's answer beside people's.

        Args:
            each: pictures a condition.
        """
        rows = []
        for m in self.measured:
            if m.shown is None:
                continue
            kept = _few(m.shown, each)
            effect = m.effects[self.layer]
            note = f"network: {effect.verdict}. People: {m.experiment.human.words}."
            captions = [str(kind) for kind in kept.factor("Type").tolist()]
            rows.append(Strip(m.experiment.name, kept.images.float() / 255, captions, note))
        return strips("What the network was shown", rows)

    def to_dict(self) -> dict[str, Any]:
        """Plain data."""
        table = self.table()
        return {"layer": self.layer, "experiments": [dict(zip(table.columns, row)) for row in table.rows]}


def _number(value: float) -> float | None:
    return None if value != value else value


def _few(shown: StimulusSet, each: int) -> StimulusSet:
    kinds = shown.factor("Type")
    rows = [i for kind in dict.fromkeys(kinds.tolist()) for i in (kinds == kind).nonzero()[0][:each].tolist()]
    return shown.take(rows)


def audit_perception(
    model: nn.Module,
    preprocess: Preprocess | None = None,
    experiments: Sequence[str] = BATTERY,
    *,
    layer: str = FEATURES,
    plan: Plan | None = None,
) -> PerceptionReport:
    """Run experiments on a network and say of each whether it sees as people do.

    Args:
        model: any vision network; it is left as found.
        preprocess: uint8 pictures -> what the network takes; not needed where its own is inside.
        experiments: names; `list_experiments` has them.
        layer: that is judged.
        plan: how much is measured; `Plan()` where None.

    Raises:
        InputError: names that aren't there, no known preprocessing, strokes thinner than a pixel of the network's.
    """
    prepare, plan = chosen_preprocess(model, preprocess), plan or Plan()
    found = [
        measure_experiment(model, name, (layer,), plan=plan, preprocess=prepare)
        for name in track(list(experiments), "experiments")
    ]
    adjusted = corrected({m.experiment.name: m.effects[layer] for m in found})
    judged = [replace(m, effects={**m.effects, layer: adjusted[m.experiment.name]}) for m in found]
    return PerceptionReport(judged, layer)
