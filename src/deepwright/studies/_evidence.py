"""What a machine can check of a result before it counts as evidence; docs/evidence.md says the rest."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from typing import Any

from deepwright.core.claims import RULES
from deepwright.core.results import Arm, Claim, StudyResult, is_number, show

FEWEST_SEEDS = 5
_NUMBER = re.compile(
    r"(?<![\w.])(?<![A-Za-z]-)[-+−]?(?P<digits>\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?)(?P<power>e[-+]?\d+)?"
    r"(?P<percent>\s?%)?(?![\w])(?!\.\d)"
)
_NO_NUMBER = re.compile(r"(?<![\w.])[-+−]?(?:nan|inf|infinity|∞)(?!\w)", re.IGNORECASE)


def evidence_faults(result: StudyResult) -> list[str]:
    """What keeps a full-size result from being evidence, one sentence each; empty when nothing does.

    Args:
        result: of a study, or read from its JSON.
    """
    return [
        *_seed_faults(result),
        *_arm_faults(result.arms),
        *(fault for claim in result.claims for fault in _claim_faults(claim, result)),
        *([] if result.claims else ["nothing is claimed"]),
        *_page_faults(result),
        *(f"the summary's {number} stands in no claim or table" for number in unsupported_numbers(result)),
        *(
            f"{number}, in the reason of claim {claim.text!r}, stands in no claim or table"
            for claim in result.claims
            for number in unsupported_numbers(result, claim.reason)
        ),
    ]


def _seed_faults(result: StudyResult) -> Iterator[str]:
    seeds = result.settings.get("seeds")
    if not isinstance(seeds, list):
        yield "its seeds aren't recorded"
    elif len(seeds) < FEWEST_SEEDS:
        yield f"{len(seeds)} seeds: at least {FEWEST_SEEDS} are asked for"
    elif len(set(map(str, seeds))) < len(seeds):
        yield "a seed comes twice: its runs are one and the same"


def _arm_faults(arms: list[Arm]) -> Iterator[str]:
    if len(arms) < 2:
        yield "its arms (a method and what it is held against) aren't recorded"
    for arm in arms:
        if not arm.rule or not arm.budget:
            yield f"arm {arm.name!r} doesn't say how it was selected and what it may cost"
        if arm.tried > 1 and not (arm.data and arm.chosen):
            yield f"arm {arm.name!r} was selected, and doesn't say on which data and what was chosen"
    for group in dict.fromkeys(arm.group for arm in arms):
        alike = [arm for arm in arms if arm.group == group and not arm.why]
        for word, of in (("settings", "tried"), ("budgets", "budget"), ("rules", "rule")):
            found = {getattr(arm, of) for arm in alike}
            if len(found) > 1:
                where = f" of {group!r}" if group else ""
                yield f"arms{where} have different {word} ({_few(found)}), and none says why"


def _few(found: set[Any]) -> str:
    return "; ".join(sorted(map(str, found))[:3])


def _claim_faults(claim: Claim, result: StudyResult) -> Iterator[str]:
    name = f"claim {claim.text!r}"
    if claim.rule not in RULES:
        yield f"{name} was decided by a mean without its interval"
        return
    if not math.isfinite(claim.measured):
        yield f"{name} has no number: {show(claim.measured)}"
    if not math.isfinite(claim.threshold):
        yield f"{name} can't fail: its bar is {show(claim.threshold)}"
    if claim.holds != _decided(claim):
        yield f"{name} says that it {'holds' if claim.holds else 'does not hold'}, and its numbers say otherwise"
    if claim.low is not None and claim.high is not None and not claim.low <= claim.measured <= claim.high:
        yield f"{name} has an interval without what was measured in it"
    if claim.rule in ("mean", "every") and claim.n < FEWEST_SEEDS:
        yield f"{name} stands on {claim.n} seeds"
    if claim.rule == "mean" and (claim.low is None or claim.high is None):
        yield f"{name} has no interval"
    if claim.rule in ("once", "timing") and not claim.basis:
        yield f"{name} is one number, and doesn't say why that is enough (basis)"
    if claim.verdict == "fails" and not claim.reason:
        yield f"{name} fails without a reason"
    if claim.verdict == "fails" and not _on_page(claim.experiment, result):
        yield f"{name} fails, and no table or figure of the page begins with its experiment {claim.experiment!r}"


def _decided(claim: Claim) -> bool:
    """Whether a claim's numbers show it, by its own rule."""
    known = claim.low is not None and claim.high is not None
    if claim.sense not in (">=", "<=") or not math.isfinite(claim.measured):
        return False
    if claim.rule == "mean" and (not known or claim.n < 2 or claim.low == claim.high == claim.threshold == 0):
        return False
    if claim.sense == ">=":
        return bool((claim.measured if claim.low is None else claim.low) >= claim.threshold)
    return bool((claim.measured if claim.high is None else claim.high) <= claim.threshold)


def _on_page(experiment: str, result: StudyResult) -> bool:
    shown = [t.caption for t in (result.table, *result.tables)] + [f.title for f in result.figures]
    return bool(experiment) and any(words.startswith(experiment) for words in shown)


def _page_faults(result: StudyResult) -> Iterator[str]:
    texts = [claim.text for claim in result.claims]
    if len(set(texts)) < len(texts):
        yield "two claims have the same words"
    if not result.summary.strip():
        yield "it has no summary"
    if not result.table.rows:
        yield "its main table is empty"
    if not any(line.strip() for line in result.limits):
        yield "it doesn't say what it doesn't show (limits)"
    if not {"cpu", "cores", "threads", "torch"} <= set(result.machine):
        yield "its machine isn't recorded"
    if result.seconds <= 0:
        yield "its seconds aren't recorded"
    if not result.figures:
        yield "it draws nothing"
    for figure in result.figures:
        if not figure.series:
            yield f"figure {figure.title!r} draws nothing"
        bare = figure.kind in ("line", "bar") and not all(s.get("low") for s in figure.series)
        if bare and not figure.note:
            yield f"figure {figure.title!r} has series without intervals, and no note says why"


def unsupported_numbers(result: StudyResult, text: str | None = None) -> list[str]:
    """Numbers of a text that stand in no claim, table, arm or setting of the result, at the digits shown.

    A number is supported by one that rounds to it, itself, as a percentage or without its sign, and by the same digits
    in the words of the page (captions, claims, names). A number that is part of a name, "W2" or "ResNet-20", is none.
    NaN and infinities are supported by nothing.

    Args:
        result: of a study, or read from its JSON.
        text: of the page, as a claim's reason; the summary unless given.
    """
    text = result.summary if text is None else text
    page = list(_page(result))
    values = [float(v) for v in page if is_number(v)]
    words = {_written(found) for v in page if isinstance(v, str) for found in _NUMBER.finditer(v)}
    missing = [found.group(0) for found in _NO_NUMBER.finditer(text)]
    for found in _NUMBER.finditer(text):
        if _written(found) not in words and not any(_rounds_to(value, found) for value in values):
            missing.append(found.group(0).strip())
    return missing


def _written(found: re.Match[str]) -> str:
    return found["digits"] + (found["power"] or "")


def _rounds_to(value: float, found: re.Match[str]) -> bool:
    """Whether a value, at the digits of a number in a text, is that number; its sign may stand in words."""
    digits = found["digits"].replace(",", "")
    scale = float("1" + (found["power"] or "e0")) / (100.0 if found["percent"] else 1.0)
    if not math.isfinite(scale):
        return False
    step = 10.0 ** -len(digits.partition(".")[2]) * scale
    return abs(abs(value) - float(digits) * scale) <= 0.5 * step * (1 + 1e-6)


def _page(result: StudyResult) -> Iterator[Any]:
    """Every word and number of the page but those of its summary, reasons and limits."""
    for claim in result.claims:
        yield from (claim.text, claim.measured, claim.threshold, claim.spread, claim.n, claim.basis)
        yield from (end for end in (claim.low, claim.high) if end is not None)
    for table in (result.table, *result.tables):
        yield table.caption
        yield from table.columns
        for row in table.rows:
            yield from row
    for figure in result.figures:
        yield from (figure.title, figure.note, figure.x_label, figure.y_label)
    for arm in result.arms:
        yield from (arm.name, arm.budget, arm.data, arm.tried, *arm.chosen)
    yield from _leaves(result.settings)


def _leaves(data: Any) -> Iterator[Any]:
    if isinstance(data, dict):
        for key, value in data.items():
            yield str(key)
            yield from _leaves(value)
    elif isinstance(data, list | tuple):
        yield len(data)
        for value in data:
            yield from _leaves(value)
    elif data is not None:
        yield data
