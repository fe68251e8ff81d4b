"""Tables, figures and the sentence of the study of feature switches."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from deepwright.core.results import Figure, Table
from deepwright.core.statistics import Interval
from deepwright.interpret import LossCurve
from deepwright.studies._frame import Runs, banded, cells, columns, over_trials
from deepwright.studies.prequential.measures import RULES, Drawn, Setting, gap, miss, octaves
from deepwright.studies.prequential.trials import FLIPS, OWN, joined

SWITCHES_SHOWN = "From colour to digit, foretold and observed"
RULES_SHOWN = "Rules that name the size of the switch"
COSTS_SHOWN = "What features cost, by losses and cuts"
LEAD_SHOWN = "What the network relies on, colour and digit"
WATERMARKS_SHOWN = "From digit to watermark, foretold and observed"
TAKEN_SHOWN = "What the network relies on, watermark and digit"
Cell = float | str | None


@dataclass(frozen=True)
class Found:
    """Everything that ran.

    Attributes:
        colours: trials of colour against digit, one a seed.
        marks: trials of digit against watermark, one a seed.
        shares: P(e = 1) -> numbers of the first.
        banks: patterns -> numbers of the second.
    """

    colours: Runs
    marks: Runs
    shares: dict[float, Setting]
    banks: dict[int, Setting]

    @property
    def sizes(self) -> list[float]:
        """Samples that were trained on."""
        return [float(n) for n in self.colours[0]["digit"]["sizes"]]

    @property
    def largest(self) -> float:
        """The most of them."""
        return self.sizes[-1]

    def has(self, n: int) -> bool:
        """Whether a size was trained on.

        Args:
            n: samples.
        """
        return float(n) in self.sizes

    def falls(self, runs: Runs, setting: float, attribute: str, n: float) -> list[float]:
        """Fall of accuracy without an attribute, one a seed.

        Args:
            runs: of which part.
            setting: share or bank.
            attribute: which.
            n: samples.
        """
        at = self.sizes.index(float(n))
        return [row[f"learned {setting:g}"]["reliance"][attribute][at] for row in runs]

    def leads(self, share: float, n: int) -> list[float]:
        """By how much the network relies on the digit more than on colour, one a seed.

        Args:
            share: how often colour is wrong.
            n: samples.
        """
        pairs = zip(*(self.falls(self.colours, share, name, n) for name in ("digit", "colour")))
        return [a - b for a, b in pairs]


def tables(found: Found) -> list[Table]:
    """All of them, the main one first.

    Args:
        found: everything.
    """
    return [
        _switches(found, found.shares, "colour", SWITCHES_SHOWN, ""),
        _rules(found),
        _costs(found),
        _reliance(found, found.colours, list(found.shares), "colour", LEAD_SHOWN),
        _switches(found, found.banks, "watermark", WATERMARKS_SHOWN, " back"),
        _reliance(found, found.marks, list(found.banks), "watermark", TAKEN_SHOWN),
    ]


def _ends(drawn: Drawn) -> tuple[Cell, Cell, Cell]:
    """Value and ends; what is infinite is none."""
    found = drawn.interval
    if found.low == -math.inf:  # one seed
        return _finite(found.value), None, None
    return _finite(found.value), _finite(found.low), _finite(found.high)


def _finite(value: float) -> Cell:
    if math.isnan(value):
        return None
    return value if math.isfinite(value) else "none"


def _switches(found: Found, settings: Any, feature: str, caption: str, back: str) -> Table:
    rows: list[list[Any]] = []
    for setting, s in settings.items():
        for word, losses in (("", "raw"), (" calibrated", "calibrated")):
            told, seen = s[f"forecast{back}{word}"], s[f"observed{back}"]
            less = gap(s[f"slope {feature}{word}"], s[f"slope digit{word}"])
            cell = [setting, losses, *_ends(s[f"cost {feature}{word}"]), *_ends(s[f"cost digit{word}"]), *_ends(less)]
            rows.append([*cell, *_ends(told), *_ends(seen), *_ends(_quotient(told, seen))])
    name = "P(colour is wrong)" if feature == "colour" else "patterns an environment"
    wide = columns(
        f"bits of {feature}",
        "bits of digit",
        f"bits a label that {feature} leaves more than digit",
        "forecast (samples)",
        "observed (samples)",
        "forecast / observed",
    )
    runs = len(found.colours if feature == "colour" else found.marks)
    flips = "no label flipped" if feature == "colour" else f"{FLIPS:.0%} of labels flipped"
    note = f"{flips}; mean curves of {runs} seeds, ends by resampled seeds; 'none': no such switch"
    return Table([name, "losses", *wide], rows, f"{caption}: {note}")


def _quotient(told: Drawn, seen: Drawn) -> Drawn:
    """NaN where one of them isn't a size."""

    def over(a: Any, b: Any) -> Any:
        known = np.isfinite(a) & np.isfinite(b) & (b > 0)
        return np.where(known, a / np.where(known, b, 1.0), np.nan)

    made = told.map(over, seen)
    draws = made.draws[np.isfinite(made.draws)]
    return Drawn(made.value, draws if len(draws) == len(made.draws) else np.zeros(0))


def _rules(found: Found) -> Table:
    rows: list[list[Any]] = []
    for p, s in found.shares.items():
        for rule, name in RULES.items():
            if rule not in s:
                continue
            off = miss(s[rule], s["observed"], found.largest)
            over = gap(octaves(s[rule], found.largest), octaves(s["observed"], found.largest))
            rows.append([p, name, *_ends(s[rule]), *_ends(off), over.value])
    heads = ["P(colour is wrong)", "rule", *columns("samples that it names", "octaves off"), "octaves too late"]
    caption = f"{RULES_SHOWN}: against the observed switch, both clipped to 1 to {found.largest:.0f} samples"
    return Table(heads, rows, f"{caption}; 0 is 'from the start', 'none' is 'never'")


def _curves(found: Found) -> list[tuple[str, LossCurve]]:
    named = [(f"colour, wrong in {p:.0%}", found.colours, f"colour {p:g}", f"{p:g}") for p in found.shares]
    named.append(("digit", found.colours, "digit", f"{next(iter(found.shares)):g}"))
    named += [(f"watermark of {b}, colour", found.marks, f"watermark {b}", f"{b}") for b in found.banks]
    named.append((f"digit, {FLIPS:.0%} flipped", found.marks, "digit", f"{next(iter(found.banks))}"))
    return [(name, joined([row[key] for row in runs], word)) for name, runs, key, word in named]


def _costs(found: Found) -> Table:
    rows: list[list[Any]] = []
    for name, curve in _curves(found):
        for end, losses in (("", "raw"), (", calibrated", "calibrated")):
            costs = curve.costs(test=OWN + end)
            few = curve.at(8 if found.has(8) else curve.sizes[0], OWN + end)
            kinds = [costs[k].value for k in ("settled", "authors", "none") if k in costs]
            test = OWN + end
            by = 256.0 if found.has(256) else float(curve.sizes[-1])
            paid = curve.area(by, test) - curve.at(by, test) * (by - float(curve.sizes[0]))
            rows.append([name, losses, *kinds, costs["none"].raw, paid, few, curve.asymptote(test)])
    cuts = ["cut where settled", "cut by neighbours (published)", "no cut"]
    heads = ["feature", "losses", *(f"bits, {c}" for c in cuts), "raw area", "bits by 256 samples"]
    heads += ["bits a label after 8", "at the end"]
    return Table(heads, rows, f"{COSTS_SHOWN}: mean curves of the isolated features, without intervals")


def _reliance(found: Found, runs: Runs, settings: list[Any], feature: str, caption: str) -> Table:
    rows: list[list[Any]] = []
    for setting in settings:
        for n in found.sizes:
            both = [over_trials(found.falls(runs, setting, name, n)) for name in (feature, "digit")]
            rows.append([setting, n, *(c for interval in both for c in cells(interval))])
    name = "P(colour is wrong)" if feature == "colour" else "patterns an environment"
    heads = [name, "samples", *columns(f"without {feature}", "without digit")]
    return Table(heads, rows, f"{caption}: accuracy lost when it is permuted, {len(runs)} seeds")


def figures(found: Found) -> list[Figure]:
    """What is relied on by samples, in both parts, and what the rules name.

    Args:
        found: everything.
    """
    return [
        _leads(found, found.colours, found.shares, "colour", "wrong in {:.0%}", LEAD_SHOWN),
        _named(found),
        _leads(found, found.marks, found.banks, "watermark", "{} patterns", TAKEN_SHOWN),
    ]


def _leads(found: Found, runs: Runs, settings: Any, feature: str, words: str, title: str) -> Figure:
    series = []
    for setting in settings:
        both = [[found.falls(runs, setting, name, n) for n in found.sizes] for name in ("digit", feature)]
        lead = [[a - b for a, b in zip(*pair)] for pair in zip(*both)]
        series.append(banded(words.format(setting), found.sizes, lead))
    label = f"accuracy lost without digit less without {feature}"
    return Figure("line", title, series, "training samples", label, log_x=True)


def _named(found: Found) -> Figure:
    names = [f"{p:.0%}" for p in found.shares]
    rules = {"observed": "observed"} | {
        k: RULES[k] for k in ("forecast", "forecast calibrated", "crossing", "speed", "coin")
    }
    series = []
    for rule, words in rules.items():
        points = [octaves(s[rule], found.largest).interval for s in found.shares.values()]
        ends = {k: [getattr(p, k) for p in points] for k in ("low", "high")} if all(p.known for p in points) else {}
        series.append({"name": words, "x": names, "y": [p.value for p in points], **ends})
    note = f"clipped to {found.largest:.0f} samples"
    return Figure("bar", RULES_SHOWN, series, "colour is wrong in", "log2 of the samples named", note=note)


def summary(found: Found) -> str:
    """The sentence on top.

    Args:
        found: everything.
    """
    parts = []
    for p, s in found.shares.items():
        told, seen = s["forecast"].interval, s["observed"].interval
        parts.append(f"where colour is wrong in {p:.0%}, foretold {_said(told)} and seen {_said(seen)}")
    off = {
        rule: [miss(s[rule], s["observed"], found.largest).value for s in list(found.shares.values())[1:]]
        for rule in ("forecast", "stopped calibrated", "crossing")
    }
    later = " and ".join(f"{p:.0%}" for p in list(found.shares)[1:])
    misses = [" and ".join(f"{v:.2f}" for v in values) for values in off.values()]
    said = (
        "How many samples turn a small network from a coloured shortcut to the digit itself? By code length, cost over "
        f"what it saves a label: {'; '.join(parts)}."
    )
    if off["forecast"]:
        said += (
            f" At {later} that is {misses[0]} octaves off, with networks that stop early among the candidates, as "
            f"published, {misses[1]} (calibrated), and the rule that charges nothing, where the losses on the original "
            f"data cross, {misses[2]}."
        )
    costs = [f"{b} patterns {s['cost watermark calibrated'].value:.0f}" for b, s in found.banks.items()]
    return f"{said} Watermarks that tell the environment cost more bits the more of them there are: {', '.join(costs)}."


def _said(found: Interval) -> str:
    if not math.isfinite(found.value):
        return "none"
    if found.high == math.inf and math.isfinite(found.low):
        return f"{found.value:.0f} [{found.low:.0f}, none that was measured]"
    if not found.known:
        return f"{found.value:.0f} samples"
    return f"{found.value:.0f} [{found.low:.0f}, {found.high:.0f}]"
