"""How often is it right, and on which classes? Tasks without classes: how good are its answers?"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from deepwright.checks.confusions import classes_table, confusion_figure, other_order
from deepwright.checks.findings.finding import Finding, at_best
from deepwright.checks.grading import Graded, at_most, graded
from deepwright.checks.metric_tables import operating_points
from deepwright.checks.metrics import measured
from deepwright.checks.subjects.subject import Subject
from deepwright.core.results import Table
from deepwright.core.statistics import Interval, mcnemar, wilson
from deepwright.core.tasks import Binary

_OF_SIMPLE = (0.25, 0.5, 1.0)  # the best simple method's error, for A to C
_OF_GUESSING = 0.1  # of the error of guessing: A has no more, and no more is C at least
_NEARLY_NONE = 0.02  # of the error of guessing: B at least
_BETTER = 0.95  # of the error of guessing: what is clearly better

_FEW = 500  # training samples: a method that was fitted on fewer is easily beaten
_AT_BEST = "C"  # where nothing stronger was there to be beaten

_GUESS = "always naming the most frequent class"


def check_accuracy(subject: Subject) -> Finding:
    """How often it is right, with a table of the classes, against the best of several simple classifiers.

    For tasks without classes: the task's metrics against its trivial predictor.

    Applies to every task.
    """
    return _of_classes(subject) if subject.has_classes else measured(subject, "accuracy")


def _of_classes(subject: Subject) -> Finding:
    y, predicted = subject.data.test.y, subject.task.prediction(subject.outputs())
    n = len(y)
    accuracy = wilson(int(subject.right.sum()), n)
    values: dict[str, Any] = {"accuracy": accuracy, "chance": subject.chance}
    silent = subject.classes - len(y.unique())
    if silent:
        values["classes_without_samples"] = silent
    name, best = _best_simple(subject)
    if name != _GUESS:
        values["baseline_accuracy"] = wilson(int(best[1].sum()), len(best[1]))
        values["p_value_against_baseline"] = mcnemar(_judged_right(subject)[best[0]], best[1])
    if subject.classes > 5:
        top5 = subject.logits().topk(5, dim=1).indices.eq(y[:, None]).any(1)
        values["top5_accuracy"] = wilson(int(top5.sum()), n)
    if _more(subject):
        values |= subject.task.metrics(subject.outputs(), y, seed=subject.seed)
    found, rule = _grade(subject, name, best)
    by = "accuracy"
    if _moved_threshold(subject):
        values["accuracy_at_a_half"], by = _share(_judged_right(subject)), "accuracy_at_a_half"
    rows, weakest = classes_table(subject, predicted)
    order = other_order(subject, predicted)
    weak = _weak(subject)
    more = [operating_points(subject)] if _more(subject) else []
    more_tables, more_figures = [table for table, _ in more], [figure for _, figure in more]
    notes = [f"Weakest class: {weakest}." if weakest else "No test sample is wrong.", *_silent_classes(subject)]
    notes += _at_the_threshold(subject, values)
    below_guessing = accuracy.high < min(1 / subject.classes, subject.chance)
    if order is not None:
        values["accuracy_in_another_order"] = order.accuracy
        notes.insert(0, order.words(subject.class_names))
    elif below_guessing:
        notes.insert(0, "That is below blind guessing: labels or outputs seem to mean something else.")
    return Finding(
        check="accuracy",
        grade=found.grade,
        summary=f"Right on {accuracy.value:.1%} of {n} test samples (95 % interval {accuracy.low:.1%} to "
        f"{accuracy.high:.1%}); the best simple method, {name}, on {float(best[1].double().mean()):.1%}. "
        f"{' '.join(notes)}{f' Graded {weak}' if weak and found.grade != 'info' else ''}",
        values=values,
        rule=rule,
        remedy=order.remedy(subject) if order is not None else _remedy(subject, found, weakest, below_guessing),
        tables=[rows, *more_tables, *_simple_table(subject)],
        higher_is_better=("accuracy", "top5_accuracy", "accuracy_at_a_half", *_more(subject)),
        figures=[*([confusion_figure(subject, predicted)] if subject.classes <= 25 else []), *more_figures],
        could_be=found.could_be,
        graded_by=(by,),
    )


def _moved_threshold(subject: Subject) -> bool:
    return isinstance(subject.task, Binary) and subject.task.threshold != 0.5


def _judged_right(subject: Subject) -> Tensor:
    """(N,) where it is right as its rivals are held: by the more probable class, whatever threshold the user wants.

    A threshold that finds more events at the price of false alarms doesn't make a network worse.
    """
    if not _moved_threshold(subject):
        return subject.right
    return subject.logits().argmax(1) == subject.data.test.y


def _share(right: Tensor) -> Interval:
    return wilson(int(right.sum()), len(right))


def _guess(subject: Subject) -> Tensor:
    """(N,) where always naming the most frequent class is right: of the training samples, where there are any."""
    y, seen = subject.data.test.y, subject.data.train.y
    return y == torch.bincount(seen if len(seen) else y, minlength=subject.classes).argmax()


def _weak(subject: Subject) -> str:
    """Why there is no simple method worth beating; empty where there is one."""
    n = len(subject.data.train)
    if subject.simple_models is not None and n >= _FEW:
        return subject.thin_classes and f"{_AT_BEST} at best. {subject.thin_classes}"
    had = "some classes have no training sample" if n >= _FEW else f"{n} training samples were given"
    return (
        f"{_AT_BEST} at best, for {had} and a simple method says little when fitted on fewer than {_FEW}, "
        "some of each class: give more (`train=`)."
    )


def _best_simple(subject: Subject) -> tuple[str, tuple[Tensor, Tensor]]:
    """Name, the test samples it was measured on, and on which of them it is right."""
    guess = (_GUESS, (torch.arange(len(subject.data.test)), _guess(subject)))
    if subject.simple_models is None:
        return guess
    name, right = subject.simple_models.best()
    better = float(right.double().mean()) > float(guess[1][1].double().mean())
    return (name, (subject.simple_models.rows, right)) if better else guess


def _grade(subject: Subject, name: str, best: tuple[Tensor, Tensor]) -> tuple[Graded, str]:
    """By the error over the best simple method's and over that of guessing, each with its interval."""
    wrong = 1 - float(_guess(subject).double().mean())
    if len(subject.data.test.y.unique()) == 1:
        return Graded("info"), "Not graded: all test samples are of one class, which is told without looking."
    right = _judged_right(subject)
    error, simple = _error(right), _error(best[1])
    if name != _GUESS and subject.simple_models is not None:
        # Fitted on more samples it might err less, which the network isn't to gain from.
        simple = Interval(simple.value, min(simple.low, subject.simple_models.error_of_more(name)), simple.high)
    guessing, weak = Interval(wrong, wrong, wrong), _weak(subject)
    r = _correlation(right[best[0]], best[1])

    def letter(side: int) -> str:
        if at_most(error, _OF_SIMPLE[0], simple, side, r) and at_most(error, _OF_GUESSING, guessing, side):
            return "A"
        if at_most(error, _OF_SIMPLE[1], simple, side, r) or at_most(error, _NEARLY_NONE, guessing, side):
            return "B"
        beats = at_most(error, _OF_SIMPLE[2], simple, side, r) and at_most(error, _BETTER, guessing, side)
        if beats or at_most(error, _OF_GUESSING, guessing, side):
            return "C"
        return "D" if at_most(error, _BETTER, guessing, side) else "E"

    found = graded(letter)
    if weak and found.grade != "info":  # what is too few to tell stays so
        found = graded(lambda side: at_best(letter(side), _AT_BEST))
    few = ""
    if name != _GUESS and subject.simple_models is not None:
        few = f" (fitted on {subject.simple_models.train:,} training samples)"
    at = "All at a threshold of 0.5, as the simple methods are held: " if _moved_threshold(subject) else ""
    rule = (
        f"{at}It errs on {error.value:.1%}, {name}{few} on {simple.value:.1%}, and guessing on {guessing.value:.1%}: "
        "A up to a quarter of the best simple method's error and a tenth of guessing's, B up to half of the simple "
        "method's (or a fiftieth of guessing's), C up to the simple method's (or a tenth of guessing's), D "
        "while clearly "
        f"better than guessing (0.95 of its error), E beyond.{found.words}"
    )
    return found, f"{rule} {weak}".rstrip()


def _error(right: Tensor) -> Interval:
    return wilson(int((~right).sum()), len(right))


def _correlation(a: Tensor, b: Tensor) -> float:
    """Pearson's of two rows of yes and no; 0 where one of them is constant, and never negative."""
    if bool((a == a[0]).all()) or bool((b == b[0]).all()):
        return 0.0
    return max(0.0, float(torch.corrcoef(torch.stack([a, b]).double())[0, 1]))


def _remedy(subject: Subject, found: Graded, weakest: str, below_guessing: bool) -> str:
    if below_guessing:
        scale = {
            "tabular": "whether its columns are standardised (--standardised), ",
            "image": "its normalisation (--mean and --std), ",
        }.get(subject.data.kind, "")
        return (
            "Make sure first that network and data mean the same: the order of the classes (--classes), "
            f"{scale}and what its outputs are (--outputs). Until then no other number here means anything."
        )
    if not weakest or found.grade == "A":
        return "Measure more samples before you rely on it." if found.could_be else "Nothing to do for accuracy here."
    wrong = ~subject.right
    k = subject.class_names.index(weakest)
    missed = int((wrong & (subject.data.test.y == k)).sum())
    return (
        f"Look at the confusions of {weakest!r} first: `(~subject.right & (subject.data.test.y == {k})).nonzero()` are "
        "the numbers of its test samples that are wrong. More or cleaner samples of it are the cheapest gain: it has "
        f"{missed} of the {int(wrong.sum())} test samples that are wrong."
    )


def _silent_classes(subject: Subject) -> list[str]:
    """A note on classes that nothing was measured on."""
    counts = torch.bincount(subject.data.test.y, minlength=subject.classes)
    silent = [subject.class_names[k] for k in (counts == 0).nonzero().flatten().tolist()]
    if not silent:
        return []
    named = ", ".join(silent[:8]) + (", ..." if len(silent) > 8 else "")
    return [f"{len(silent)} of {subject.classes} classes have no test sample and are not judged: {named}."]


def _simple_table(subject: Subject) -> list[Table]:
    if subject.simple_models is None:
        return []
    found = subject.simple_models
    rows: list[list[Any]] = []
    for name, right in found.right.items():
        share = wilson(int(right.sum()), len(right))
        rows.append([name, share.value, share.low, share.high])
    rows.sort(key=lambda row: -float(row[1]))
    caption = f"simple methods, fitted on {found.train:,} training and measured on {len(found.rows):,} test samples"
    return [Table(["method", "accuracy", "95 % from", "95 % to"], rows, caption)]


def _at_the_threshold(subject: Subject, values: dict[str, Any]) -> list[str]:
    """What a binary network finds and spares at its threshold, and where that comes from."""
    if not isinstance(subject.task, Binary):
        return []
    shown = [f"{name} {values[name].value:.1%}" for name in ("sensitivity", "specificity") if name in values]
    area = f"; AUROC {values['auroc'].value:.3f}" if "auroc" in values else "; one label only, so there is no AUROC"
    words = [
        f"At a threshold of {_digits(subject.task.threshold)} ({subject.threshold_from}): {', '.join(shown)}{area}."
    ]
    if "accuracy_at_a_half" in values:
        words.append(f"At 0.5, where the grade is taken, it is right on {values['accuracy_at_a_half'].value:.1%}.")
    return words


def _digits(threshold: float) -> str:
    """With as many digits as tell it from 0 and 1, which are no thresholds."""
    beside = min(threshold, 1 - threshold)
    return f"{threshold:.3g}" if beside >= 0.001 or beside <= 0 else f"{threshold:.{2 - int(math.log10(beside))}f}"


def _more(subject: Subject) -> tuple[str, ...]:
    """Metrics beside accuracy, where there is an event to be found."""
    return tuple(m for m in Binary.higher_is_better if m != "accuracy") if isinstance(subject.task, Binary) else ()
