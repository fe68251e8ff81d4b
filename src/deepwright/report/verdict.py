"""What the findings say together, by rule: a sentence, what to do first, the five numbers that matter.

A check counts as good when its grade and all others that its interval reaches (`could_be`) are A or B, as bad when all
are D or E, as fair when all are C. Where they lie on more than one of these sides the check is unsettled; one that
couldn't be graded for another reason can't be judged. The sentence says of good and bad checks what the rule of their
grade says, and nothing more.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from textwrap import shorten
from typing import Any

from deepwright.checks.findings.finding import LETTERS, Finding
from deepwright.core.statistics import Interval
from deepwright.report.words import ends_of, sentence, title_of, words_of, written

GOOD, FAIR, BAD, UNSETTLED, UNTOLD, ASIDE = "good", "fair", "bad", "unsettled", "untold", "aside"
_SIDES = {"A": GOOD, "B": GOOD, "C": FAIR, "D": BAD, "E": BAD}
_REPORTED = ("labels", "slices", "drift", "groups")  # their findings have no grade, whatever they find
_IDLE = ("Nothing", "No detector of the house", "No temperature is shown to help")  # remedies that hold nothing to do
_MOST, _NAME = 3, 40  # things to do; characters of a check's name in the sentence
_REST = (
    (FAIR, "is fair", "are fair"),
    (UNSETTLED, "needs more samples to be settled", "need more samples to be settled"),
    (UNTOLD, "can't be judged", "can't be judged"),
)
ORDER = (
    "What could not run comes first, then the worst grade; equal grades stand in the order of the sections. "
    "Nothing is listed for A, nor where the remedy is to do nothing."
)


def side(finding: Finding) -> str:
    """Which side a check is on: good, fair, bad, unsettled, untold, or aside (not judged, or does not apply).

    Args:
        finding: of any check.
    """
    if finding.grade == "failed" or _masked(finding):
        return UNTOLD
    if finding.check in _REPORTED and finding.grade == "info" and finding.values:
        return ASIDE
    if finding.grade not in LETTERS:
        if finding.could_be:
            return UNSETTLED
        return UNTOLD if finding.rule.startswith(("Not graded", "Not judged")) else ASIDE
    sides = {_SIDES[letter] for letter in (finding.grade, *finding.could_be)}
    return sides.pop() if len(sides) == 1 else UNSETTLED


def _masked(finding: Finding) -> bool:
    """A low grade only because the attacks may underestimate: much stayed right, and that can't be trusted."""
    kept = finding.values.get("mean_iou_kept", finding.values.get("clean_accuracy_kept"))
    return finding.check == "robustness" and finding.grade == "D" and kept is not None and _value(kept) >= 0.3


def sentence_of(findings: Sequence[Finding]) -> str:
    """The verdict.

    Args:
        findings: of an audit.
    """
    good = [_GOOD[f.check](f) for f in findings if side(f) == GOOD and f.check in _GOOD]
    clean = any(side(f) == GOOD and f.check == "duplicates" for f in findings)  # of the data, not of the network
    bad = [_BAD[f.check](f) for f in findings if side(f) == BAD and f.check in _BAD]
    parts = []
    if good and bad:
        parts.append(f"It is {_listed(good)}, but {_listed(bad)}.")
    elif good or bad:
        parts.append(f"It is {_listed(good or bad)}.")
    settled = any(side(f) in (GOOD, FAIR, BAD) for f in findings)
    if not good and not bad:
        parts.insert(0, "Nothing stands out, good or bad." if settled else "Nothing is settled.")
    silent = sum(int(_value(f.values.get("classes_without_samples", 0))) for f in findings if f.check == "accuracy")
    if silent:
        which, them = ("classes have", "them") if silent > 1 else ("class has", "it")
        parts.append(f"{silent} {which} no test sample, so nothing is known of {them}.")
    for kind, one, many in _REST:
        names = [shorten(title_of(f.check).lower(), _NAME, placeholder="…") for f in findings if side(f) == kind]
        if names:
            parts.append(f"{sentence(_listed(names))} {many if _plural(names) else one}.")
    if clean:
        parts.append("Next to none of its test samples has a copy in the training part given.")
    return " ".join(parts)


def _plural(names: Sequence[str]) -> bool:
    return len(names) > 1 or (names[0].endswith("s") and not names[0].endswith("ss"))


def _listed(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def _value(value: Any) -> float:
    return ends_of(value)[0]


def _reference(f: Finding) -> str:
    """What a fragility was held against: see the rule of its grade."""
    base = f.values.get("baseline_nfi")
    by_means = base is not None and math.isfinite(_value(base)) and _value(base) > 0
    return "a simple method" if by_means else "a classifier that is always sure"


def _right(f: Finding) -> str:
    share = f.values.get("accuracy")
    if share is None:
        return "far better than a constant answer"
    return f"right on {written(share, 'share')} of its test samples"


def _wrong(f: Finding) -> str:
    share, chance = f.values.get("accuracy"), f.values.get("chance")
    if isinstance(share, Interval) and chance is not None and share.high < _value(chance):
        return "worse than always giving the commonest answer: network and data may not mean the same"
    return "little or no better than a simple method"


def _too_sure(f: Finding) -> str:
    gap = f.values.get("overconfidence")
    if gap is None:
        return "badly calibrated"
    return "far too sure of itself" if _value(gap) > 0 else "less sure than it should be"


def _leaky(f: Finding) -> str:
    share = f"{written(f.values['leaked'], 'share')} of its test samples" if "leaked" in f.values else "test samples"
    return f"measured on what it may have learned by heart ({share} have a copy in the training part)"


def _shaken(f: Finding) -> str:
    lost = f.values.get("skill_lost")
    if lost is not None and _value(lost) > 0.5:
        return "badly shaken by corruptions"
    return "more shaken by corruptions than a simple method"


_GOOD: dict[str, Callable[[Finding], str]] = {
    "accuracy": _right,
    "calibration": lambda f: "honest about how sure it is",
    "fragility": lambda f: f"milder in its mistakes than {_reference(f)}",
    "robustness": lambda f: "hard to fool on purpose",
    "corruptions": lambda f: "steady under corruptions",
    "ood": lambda f: "aware of foreign inputs",
}
_BAD: dict[str, Callable[[Finding], str]] = {
    "accuracy": _wrong,
    "calibration": _too_sure,
    "fragility": lambda f: f"worse in its mistakes than {_reference(f)}",
    "robustness": lambda f: "easily fooled on purpose",
    "corruptions": _shaken,
    "ood": lambda f: "poor at telling foreign inputs by its confidence",
    "duplicates": _leaky,
}


def first_things(findings: Sequence[Finding]) -> list[Finding]:
    """The findings whose remedies come first, at most three, by `ORDER`.

    Args:
        findings: in the order of the sections.
    """
    rank = {"failed": 0, "E": 1, "D": 2, "C": 3, "B": 4}
    asked = [f for f in findings if f.grade in rank and f.remedy and not f.remedy.startswith(_IDLE)]
    return sorted(asked, key=lambda f: rank[f.grade])[:_MOST]  # stable: equal grades keep the order


@dataclass(frozen=True)
class Number:
    """One of the numbers on top.

    Attributes:
        check: whose it is.
        name: in words.
        value: with its interval where it has one.
        unit: how it is written.
        better: "higher" or "lower"; empty where that isn't said.
        top: end of the scale on which it is drawn, from 0.
        key: of the value among its check's.
        note: "not judged" or "can't be judged", where that holds of its check.
    """

    check: str
    name: str
    value: Any
    unit: str
    better: str
    top: float
    key: str = ""
    note: str = ""

    @property
    def measured(self) -> str:
        """The value, and that it isn't judged where it isn't."""
        return f"{written(self.value, self.unit)}{f' ({self.note})' if self.note else ''}"


_NOTES = {UNTOLD: "can't be judged", ASIDE: "not judged"}
_HEADLINES = {
    "calibration": ("ece_debiased", "ece"),
    "fragility": ("fi",),
    "robustness": ("clean_accuracy_kept", "mean_iou_kept"),
    "corruptions": ("mean_error",),
    "ood": ("auroc_mean",),
    "cost": ("latency_ms",),
}


def five_numbers(findings: Sequence[Finding]) -> list[Number]:
    """One number a check, in the order of the sections: accuracy (or the task's own), then the others.

    What doesn't apply makes room for the next one.

    Args:
        findings: of an audit.
    """
    found = [number for number in map(_headline, findings) if number is not None]
    return found[:5]


def _headline(finding: Finding) -> Number | None:
    keys = [*_HEADLINES.get(finding.check, ()), *finding.graded_by]
    key = next((k for k in keys if k in finding.values), None)
    if key is None:
        return None
    value, word = finding.values[key], words_of(finding.check, key)
    better = "lower" if key in finding.lower_is_better else "higher" if key in finding.higher_is_better else ""
    note = _NOTES.get(side(finding), "")
    return Number(finding.check, word.words, value, word.unit, better, _top(value, word.unit), key, note)


def _top(value: Any, unit: str) -> float:
    """1 for a share; else a round number above the interval."""
    point, _, high = ends_of(value)
    largest = max([v for v in (point, high) if math.isfinite(v)], default=1.0)
    if unit == "share":
        return 1.0
    power = 10.0 ** math.floor(math.log10(largest)) if largest > 0 else 1.0
    return next(step * power for step in (1.0, 2.0, 5.0, 10.0) if step * power >= largest)
