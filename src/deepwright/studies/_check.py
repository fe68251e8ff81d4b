"""Whether a rerun agrees with the committed result, within the spread that it states."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from deepwright.core.errors import InputError
from deepwright.core.files import reading
from deepwright.core.results import Cell, Claim, StudyResult, Table, is_number, show

LEVEL = 0.05  # the chance that a rerun on other seeds differs anywhere, shared out over all that is compared
TIMES = 2.0  # by how much seconds may differ, either way
_OF_VALUE, _OF_BAR = 1e-3, 1e-2  # what rounding on another machine may change
_EQUAL = 1e-6  # of two logarithms
_MOST = 700.0  # whose exponential is a number still
_FAR_TOO_MANY = 10**9  # seeds
_LARGE = 0.1  # of a cell without an interval, that is told
_TIME = re.compile(r"\b(time|clock|seconds|ms|us)\b")  # in a column's heading
_DIGITS = re.compile(r"[-+]?\d[\d.,]*(?:e[-+]?\d+)?")


@dataclass(frozen=True)
class Agreement:
    """What was compared.

    Attributes:
        table: one row a claim and a cell with an interval; what differs first.
        differing: how many rows differ.
        words: how it was compared, and what wasn't, one sentence each.
    """

    table: Table
    differing: int
    words: list[str]


def committed_result(name: str, against: Path | None = None) -> StudyResult:
    """The result that is committed, without its figures.

    Args:
        name: a study's slug.
        against: a file that `deepwright study` wrote, instead of the one in the package.

    Raises:
        InputError: there is none, or it is of another study.
    """
    if against is not None:
        result = StudyResult.from_json(against)
    else:
        file = resources.files("deepwright.studies") / "committed" / f"{name}.json"
        if not file.is_file():
            raise InputError(f"result of {name}", given="none in the package", expected="one", hint="--against FILE")
        with reading(f"cannot read {file}", "what StudyResult.to_json writes"):
            result = StudyResult.from_dict(json.loads(file.read_text(encoding="utf-8")))
    if result.study != name:
        raise InputError("--against", given=f"a result of {result.study}", expected=f"one of {name}")
    return result


def agreement(now: StudyResult, committed: StudyResult) -> Agreement:
    """Compare claim by claim, and cell by cell where a table gives intervals.

    A mean over n' seeds may differ from the committed one over n by t s sqrt(1/n + 1/n'), with s the committed spread
    and t Student's quantile at 5 % shared out over all that is compared (Bonferroni): a rerun on other seeds differs
    anywhere in one of twenty. A geometric mean, whose interval is that of its logarithm, may differ by a factor: its
    logarithm as another mean does. The seed nearest to failing may differ as one new seed does, t s sqrt(1 + 1/n). A
    number that is no sample may differ by rounding (a thousandth of itself, or a hundredth of its bar), a timing (a
    claim that says so, a column whose heading speaks of time) by a factor of two. A claim that held and fails, or
    failed and holds, or has another bar, differs whatever its numbers.

    Args:
        now: the rerun.
        committed: what it is held against.
    """
    old, new = _by_text(committed.claims), _by_text(now.claims)
    cells = list(_cells(now, committed))
    judged = len(old) + len(cells)
    rows = [_claim_row(text, old.get(text), new.get(text), judged) for text in dict.fromkeys([*old, *new])] + [
        cell.row(judged) for cell in cells
    ]
    rows.sort(key=lambda row: row[-1] == "agrees")
    differing = sum(row[-1] != "agrees" for row in rows)
    table = Table(
        ["what", "committed", "now", "may differ by", "result"],
        rows,
        f"{now.study}: the result it is held against, and this run",
    )
    close = sum(
        is_number(row[1]) and is_number(row[2]) and _near(row[1], row[2], _OF_VALUE * abs(row[1])) for row in rows
    )
    told = f"{close} of {len(rows)} are the same to a thousandth."
    return Agreement(
        table, differing, [*_how(now, committed, judged), told, *_lost(now, committed), *_unjudged(now, committed)]
    )


def _by_text(claims: Iterable[Claim]) -> dict[str, Claim]:
    """Claims by their words; further ones of the same words bear a number."""
    found: dict[str, Claim] = {}
    for claim in claims:
        alike = sum(known.text == claim.text for known in found.values())
        found[f"{claim.text} ({alike + 1})" if alike else claim.text] = claim
    return found


def _claim_row(text: str, old: Claim | None, new: Claim | None, judged: int) -> list[Any]:
    if old is None or new is None:
        return [text, old and old.measured, new and new.measured, None, f"only {'now' if old is None else 'committed'}"]
    allowed: str | float
    if old.rule == "timing" or new.rule == "timing":
        near, allowed = _within_times(old.measured, new.measured, TIMES), f"x {TIMES:g} (timing)"
    elif old.rule == "mean" and old.n > 1 and _geometric(old.measured, old.low, old.high):
        times = _times(old.measured, float(old.high or 0), old.n, new.n, judged)
        near, allowed = _within_times(old.measured, new.measured, times), f"x {times:.3g}"
    else:
        allowed = _margin(old, new.n, judged)
        near = _near(old.measured, new.measured, allowed)
    result = "agrees" if near else "differs"
    if {old.verdict, new.verdict} == {"holds", "fails"}:
        result = f"{new.verdict}, and the committed one {old.verdict}"
    if (old.sense, show(old.threshold)) != (new.sense, show(new.threshold)):
        result = f"its bar is {new.sense} {show(new.threshold)}, and was {old.sense} {show(old.threshold)}"
    return [text, old.measured, new.measured, allowed, result]


def _within_times(old: float, new: float, times: float) -> bool:
    return bool(old > 0 and new > 0 and max(old / new, new / old) <= times)


def _near(old: float, new: float, margin: float) -> bool:
    if not (math.isfinite(old) and math.isfinite(new)):
        return bool(old == new) or (math.isnan(old) and math.isnan(new))
    return bool(abs(old - new) <= margin)


def _geometric(value: float, low: float | None, high: float | None) -> bool:
    """Whether an interval is one of the logarithm: both ends are as many times away from the value."""
    if low is None or high is None or not 0 < low < value < high < math.inf:
        return False
    return abs(math.log(low) + math.log(high) - 2 * math.log(value)) < _EQUAL


def _times(value: float, high: float, old_n: int, new_n: int, judged: int) -> float:
    """By which factor a geometric mean may differ."""
    return max(1 + _OF_VALUE, math.exp(min(_of_mean(math.log(high / value), old_n, new_n, judged), _MOST)))


def _margin(old: Claim, n: int, judged: int) -> float:
    """By how much the rerun's number may differ from a claim's."""
    bar = abs(old.threshold) if math.isfinite(old.threshold) else 0.0
    rounding = max(_OF_VALUE * abs(old.measured), _OF_BAR * bar)
    if old.n < 2 or old.rule == "once" or not math.isfinite(old.measured):
        return rounding
    if old.rule == "every":
        return max(rounding, _quantile(old.n, judged) * old.spread * math.sqrt(1 + 1 / old.n))
    if old.low is not None and old.high is not None:
        return max(rounding, _of_mean(max(old.high - old.measured, old.measured - old.low), old.n, n, judged))
    return max(rounding, _quantile(old.n, judged) * old.spread * math.sqrt(1 / old.n + 1 / max(n, 1)))


def _of_mean(half: float, old_n: int, new_n: int, judged: int) -> float:
    """From half of a 95 % interval over `old_n` seeds, how far a mean over `new_n` others may lie."""
    error = half / _quantile(old_n, 1)
    return _quantile(old_n, judged) * error * math.sqrt(1 + old_n / max(new_n, 1))


def _quantile(n: int, judged: int) -> float:
    from scipy import special

    return float(special.stdtrit(n - 1, 1 - LEVEL / 2 / max(judged, 1)))


@dataclass(frozen=True)
class _Cell:
    """One cell with its interval, before and now."""

    name: str
    old: float
    low: float
    high: float
    new: float
    units: tuple[int, int]
    timing: bool

    def row(self, judged: int) -> list[Any]:
        allowed: str | float
        if self.timing:
            near, allowed = _within_times(self.old, self.new, TIMES), f"x {TIMES:g} (timing)"
        elif _geometric(self.old, self.low, self.high):
            times = _times(self.old, self.high, *self.units, judged)
            near, allowed = _within_times(self.old, self.new, times), f"x {times:.3g}"
        else:
            half = max(self.high - self.old, self.old - self.low)
            allowed = max(_of_mean(half, *self.units, judged), _OF_VALUE * abs(self.old))
            near = _near(self.old, self.new, allowed)
        return [self.name, self.old, self.new, allowed, "agrees" if near else "differs"]


def _cells(now: StudyResult, committed: StudyResult) -> Iterator[_Cell]:
    """Cells before columns "low" and "high", of rows that both results have; what is no number now is NaN."""
    for old, new in _tables(now, committed):
        units = (_units(old, committed), _units(new, now))
        if min(units) < 2:
            continue
        for name, row, again in _rows(old, new):
            for i, value, low, high in _intervals(old.columns, row):
                heading, there = old.columns[i].strip(), again[i]
                now_there = there if is_number(there) else math.nan
                timing = _TIME.search(heading) is not None
                yield _Cell(f"{name}: {heading}", value, low, high, now_there, units, timing)


def _units(table: Table, result: StudyResult) -> int:
    """Over how many a table's intervals are."""
    return min(table.units, _FAR_TOO_MANY) if table.units > 0 else _seeds(result)


def _intervals(columns: list[str], row: list[Cell]) -> Iterator[tuple[int, float, float, float]]:
    """Place, value and both ends of its interval, where a row has them."""
    for i, (value, low, high) in enumerate(zip(row, row[1:], row[2:])):
        named = [column.strip() for column in columns[i + 1 : i + 3]] == ["low", "high"]
        if named and is_number(value) and is_number(low) and is_number(high):
            yield i, value, low, high


def _pairs(now: StudyResult, committed: StudyResult) -> Iterator[tuple[list[str], list[Cell], list[Cell]]]:
    """Columns and both rows, of rows that both results have in tables of the same columns and caption."""
    for old, new in _tables(now, committed):
        yield from ((old.columns, row, again) for _, row, again in _rows(old, new))


def _rows(old: Table, new: Table) -> Iterator[tuple[str, list[Cell], list[Cell]]]:
    """Name and both rows, of rows that both tables have."""
    before, after = _by_words(old.rows), _by_words(new.rows)
    for words, rows in before.items():
        again = after.get(words, [])
        if len(again) == len(rows):  # else nobody knows which is which
            yield from zip([_named(words, row, len(rows)) for row in rows], rows, again)


def _tables(now: StudyResult, committed: StudyResult) -> Iterator[tuple[Table, Table]]:
    """Tables of the same columns and caption, but for its numbers; one alone with its columns may have new words.

    Their places don't tell: a table that only one of both has, as of data that aren't here, shifts the others.
    """
    before, after = ([r.table, *r.tables] for r in (committed, now))
    for old in before:
        alike = [table for table in after if table.columns == old.columns]
        same = [table for table in alike if _unnumbered(table.caption) == _unnumbered(old.caption)]
        alone = len(alike) == 1 == sum(table.columns == old.columns for table in before)
        for new in (same or (alike if alone else []))[:1]:
            yield old, new
            after.remove(new)


def _unnumbered(caption: str) -> str:
    """A caption without its numbers, which may be measured."""
    return _DIGITS.sub("", caption)


def _by_words(rows: Iterable[list[Cell]]) -> dict[tuple[str, ...], list[list[Cell]]]:
    """Rows by their words; those of the same words (a method at several settings) stay in their order."""
    found: dict[tuple[str, ...], list[list[Cell]]] = {}
    for row in rows:
        words = tuple(cell for cell in row if isinstance(cell, str)) or (str(row[0]),)
        found.setdefault(words, []).append(row)
    return found


def _named(words: tuple[str, ...], row: list[Cell], alike: int) -> str:
    """A row's words, and its first number where others have the same words."""
    number = next((show(cell) for cell in row if is_number(cell)), "") if alike > 1 else ""
    return ", ".join(part for part in (*words, number) if part)


def _seeds(result: StudyResult) -> int:
    seeds = result.settings.get("seeds")
    return len(seeds) if isinstance(seeds, list) else seeds if isinstance(seeds, int) and seeds < _FAR_TOO_MANY else 0


def _how(now: StudyResult, committed: StudyResult, judged: int) -> Iterator[str]:
    same = now.settings.get("seeds") == committed.settings.get("seeds")
    yield (
        f"Compared on {'the same' if same else 'other'} seeds, within the committed spread: a rerun on other seeds "
        f"differs anywhere by chance in {LEVEL:.0%} of all reruns."
    )
    n, again = _seeds(committed), _seeds(now)
    if min(n, again) > 1 and judged:
        least = _quantile(n, judged) * math.sqrt(1 / n + 1 / again)
        yield (
            f"Over {n} seeds and {judged} numbers a mean is seen to differ from {least:.1f} times its spread over the "
            "seeds on; smaller changes pass."
        )
    if any(claim.rule == "timing" for claim in committed.claims):
        yield f"Timings may differ by a factor of {TIMES:g}: they are another machine's."
    other = [
        f"{k} {now.settings[k]} for {v}"
        for k, v in committed.settings.items()
        if is_number(v) and is_number(now.settings.get(k)) and now.settings[k] != v
    ]
    if other:
        yield f"The runs have other sizes ({', '.join(other)}): what differs may come from these."


def _lost(now: StudyResult, committed: StudyResult) -> Iterator[str]:
    """What this run didn't measure."""
    claims = len({c.text for c in committed.claims} - {c.text for c in now.claims})
    if claims:
        yield (
            f"Claims of the committed result that weren't measured now, each of which counts as a difference: {claims}."
            " If they need data that isn't here, say where it is (--data-root DIR)."
        )
    every = [(table.columns, row) for table in (committed.table, *committed.tables) for row in table.rows]
    paired = [(columns, row) for columns, row, _ in _pairs(now, committed)]
    all_of_them, there = (sum(1 for each in rows for _ in _intervals(*each)) for rows in (every, paired))
    if all_of_them > there:
        lost = all_of_them - there
        yield f"Numbers with an interval that have no counterpart in this run, and aren't judged: {lost}."


def _unjudged(now: StudyResult, committed: StudyResult) -> Iterator[str]:
    total = far = 0
    for _, row, again in _pairs(now, committed):
        for value, other in zip(row, again):
            if is_number(value) and is_number(other):
                total += 1
                far += abs(value - other) > _LARGE * max(abs(value), abs(other))
    if total:
        told = f"Of {total} numbers in tables, {far} differ by more than {_LARGE:.0%}"
        yield f"{told}; those without an interval aren't judged."
