"""How a measured value becomes a letter: by its limits, at the point and at both ends of its interval.

A grade is the letter of the point. Where the favourable or the unfavourable end of the interval has another letter, the
grade says which; where the ends lie three letters or more apart, the samples are too few to tell: nothing is graded.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from deepwright.checks.findings.finding import LETTERS, grade_down
from deepwright.core.statistics import Interval, newcombe, wilson
from deepwright.core.tasks import Regression
from deepwright.core.tasks.ranking import auroc

if TYPE_CHECKING:
    from deepwright.checks.subjects.subject import Subject

_MOST_APART = 2  # letters between the ends of an interval that is still graded
LEAST_SKILL = 0.1
_LEAST_AREA = 0.7


@dataclass(frozen=True)
class Graded:
    """A grade and what else it could be.

    Attributes:
        grade: A to E, or "info" where the samples are too few to tell.
        could_be: the other letters that the interval reaches.
    """

    grade: str
    could_be: tuple[str, ...] = ()

    @property
    def words(self) -> str:
        """What stands behind the rule; nothing where the interval holds one letter only."""
        if not self.could_be:
            return ""
        if self.grade == "info":
            return f" Not graded: so few samples say no more than {self.could_be[0]} to {self.could_be[-1]}."
        return f" {self.grade}, could be {' or '.join(self.could_be)}: measure more samples to tell."


def graded(letter: Callable[[int], str]) -> Graded:
    """The grade of a value with its interval.

    Args:
        letter: side -> A to E, with side -1 at the favourable end of the interval, 0 at the point, 1 at the other end.
    """
    best, point, worst = (LETTERS.index(letter(side)) for side in (-1, 0, 1))
    best, worst = min(best, point), max(worst, point)
    reached = LETTERS[best : worst + 1]
    if worst - best > _MOST_APART:
        return Graded("info", reached)
    return Graded(LETTERS[point], tuple(other for other in reached if other != LETTERS[point]))


def at_end(value: Interval, side: int, *, lower_is_better: bool) -> float:
    """The point of an interval, or its end on the favourable (-1) or unfavourable (1) side."""
    if side == 0:
        return value.value
    return value.low if (side < 0) == lower_is_better else value.high


def graded_down(value: Interval, steps: Sequence[float]) -> Graded:
    """The grade of a value that is better when small.

    Args:
        value: with its interval.
        steps: four rising limits, of A to D.
    """
    return graded(lambda side: grade_down(at_end(value, side, lower_is_better=True), steps))


def at_most(value: Interval, times: float, other: Interval, side: int = 0, correlation: float = 0.0) -> bool:
    """Whether value <= times * other, at the point, or as far as both intervals allow.

    The margin of the difference d = value - times * other is made of the halves of both intervals that lie towards it:
    m^2 = a^2 + (times b)^2 - 2 r a times b, for their correlation r.

    Args:
        value: what is judged.
        times: the limit, as a multiple of `other`.
        other: what it is compared with.
        side: -1 for the favourable end of d, 0 for the point, 1 for the unfavourable end.
        correlation: of the two on the same samples.

    Source: G. Y. Zou, A. Donner, "Construction of confidence limits about effect measures: a general approach",
    Statistics in Medicine 27, 2008.
    """
    gap = value.value - times * other.value
    if side > 0:
        a, b = value.high - value.value, times * (other.value - other.low)
    else:
        a, b = value.value - value.low, times * (other.high - other.value)
    margin = math.sqrt(max(a * a + b * b - 2 * correlation * a * b, 0.0))
    return gap + side * margin <= 1e-12


def no_skill(subject: Subject) -> str:
    """Why nothing that is measured relative to a network's skill can be graded; empty where there is skill.

    A network has skill where it comes at least a tenth of the way from the best constant answer to being always right,
    and its interval lies above that answer; of two classes also where it ranks them with an AUROC of 0.7 or more.

    Args:
        subject: of any task.
    """
    share, chance = float(subject.score.mean()), subject.chance
    if not subject.has_classes:
        constant = chance if subject.baseline_outputs is None else _constant_score(subject)
        if share - constant >= LEAST_SKILL * (1 - constant) > 0:
            return _no_nearer(subject)
        return f"its {subject.score_name} ({share:.1%}) is not clearly above that of a constant answer ({constant:.1%})"
    found = wilson(int(subject.right.sum()), len(subject.right))
    if chance < 1 and found.low > chance and found.value - chance >= LEAST_SKILL * (1 - chance):
        return ""
    if _ranks(subject):
        return ""
    return (
        f"it is right on {found.value:.1%} of {len(subject.right)} samples ({found.low:.1%} to "
        f"{found.high:.1%}), which "
        f"is not clearly above always naming the most frequent class ({chance:.1%})"
    )


def _constant_score(subject: Subject) -> float:
    y = subject.data.test.y
    return float(subject.baseline_task.score(subject.baseline_outputs, y).double().mean())


def _no_nearer(subject: Subject) -> str:
    """Why numbers aren't nearer to the truth than the best constant is; empty where they are, and for other tasks.

    Some other constant may lie within the tolerance of more samples, but none has a smaller mean absolute error.
    """
    if not isinstance(subject.task, Regression) or subject.baseline_outputs is None:
        return ""
    y = subject.data.test.y.double()
    own = (subject.task.point(subject.outputs()).double() - y).abs().mean(1)
    constant = (subject.task.point(subject.baseline_outputs).double() - y).abs().mean(1)
    gain, n = constant - own, len(y)
    margin = 1.96 * float(gain.std(correction=min(1, n - 1))) / math.sqrt(n)
    if float(gain.mean()) > margin and float(gain.mean()) >= LEAST_SKILL * float(constant.mean()):
        return ""
    return (
        f"its mean absolute error ({float(own.mean()):.3g}) is not clearly below that of a constant answer "
        f"({float(constant.mean()):.3g})"
    )


def _ranks(subject: Subject) -> bool:
    """Whether two classes are told apart by their order, whatever the threshold."""
    if subject.classes != 2:
        return False
    z, y = subject.logits(), subject.data.test.y
    positives, negatives = int((y == 1).sum()), int((y == 0).sum())
    if not positives or not negatives:
        return False
    area = auroc(z[:, 1] - z[:, 0], y == 1)
    return area >= _LEAST_AREA and newcombe(area, positives, negatives).low > 0.5
