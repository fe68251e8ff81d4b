"""How much of what is right without an attack stays right under it, as a grade."""

from __future__ import annotations

from deepwright.checks.findings.finding import at_best, grade_up
from deepwright.checks.grading import Graded, at_end, graded, no_skill
from deepwright.checks.subjects.subject import Subject
from deepwright.core.statistics import Interval, wilson

_STEPS = (0.7, 0.5, 0.3, 0.1)


def share_kept(clean: Interval, robust: Interval, n: int) -> Interval | None:
    """The share of the samples right without attack that stay right; None where none is.

    Args:
        clean: share that is right without an attack.
        robust: share that is right under it.
        n: samples of both.
    """
    right = round(clean.value * n)
    return wilson(min(round(robust.value * n), right), right) if right else None


def grade_kept(
    subject: Subject, kept: Interval | None, robust: Interval, chance: float, masked: bool, metric: str = ""
) -> tuple[Graded, str]:
    """The grade, and its rule in words.

    Args:
        subject: that was attacked.
        kept: see `share_kept`.
        robust: share that is right under attack.
        chance: what a constant answer reaches.
        masked: whether there are signs that the attack underestimates.
        metric: what `kept` and `robust` are of, in words; empty for the share that is right.
    """
    why = no_skill(subject)
    if why or kept is None:
        nothing = f"{metric} is 0" if metric else "no sample that was attacked is right"
        why = why or f"{nothing} without an attack"
        return Graded("info"), f"Not graded: {why}, so that there is nothing to lose."

    def letter(side: int) -> str:
        grade = grade_up(at_end(kept, side, lower_is_better=False), _STEPS)
        if at_end(robust, side, lower_is_better=False) <= chance:
            grade = "E"
        return at_best(grade, "D") if masked else grade

    found = graded(letter)
    what = f"the {metric} without attack is kept" if metric else "what is right without attack stays right"
    more = f"it is no more than a constant answer's ({chance:.3g})"
    more = more if metric else f"no more stays right than a constant answer has ({chance:.1%})"
    rule = (
        f"{kept.value:.0%} of {what}: A from 70 %, B from 50 %, C from 30 %, D from 10 %, E below, and E where {more}."
    )
    if masked:
        rule += " Signs of masked gradients cap the grade at D: the attacks may underestimate."
    return found, rule + found.words
