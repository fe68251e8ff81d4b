"""Can it be fooled on purpose?"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from torch import Tensor, nn

from deepwright.adversarial import Attack, AttackSuite, HopSkipJump, Noise, Square, masking_flags, suite
from deepwright.adversarial.victim import NoGradientError
from deepwright.checks.budgets import Budgets, budgets, short
from deepwright.checks.candidate_attacks import attacked_candidates
from deepwright.checks.curves import curve_in_batches, numbered, placed
from deepwright.checks.embedding_attacks import attacked_tokens
from deepwright.checks.findings.finding import Finding, NotApplicableError
from deepwright.checks.grading import Graded
from deepwright.checks.kept import grade_kept, share_kept
from deepwright.checks.map_curves import MapCurve, map_curve
from deepwright.checks.metrics import named
from deepwright.checks.robust_curves import Shown, area, half
from deepwright.checks.shown import attacked
from deepwright.checks.subjects.series import series_in_deviations
from deepwright.checks.subjects.subject import Subject
from deepwright.checks.text_attacks import attacked_texts
from deepwright.core.devices import device_of
from deepwright.core.inference import read_outputs
from deepwright.core.progress import bar
from deepwright.core.spreading import spread_map
from deepwright.core.statistics import Interval
from deepwright.core.tasks import CandidateDetection, Segmentation, Task
from deepwright.data import Split

_LEAST = 5  # samples that masked gradients are looked for on
_QUERIES = 300  # a sample and budget, where there are no gradients
_DECISIONS = 600  # likewise, where there are no scores either
_DRAWS = 20  # of sign noise before them
_ELSEWHERE = 1  # of the dense suite, SegPGD: the attack at budgets that aren't judged


_WEAKER = (
    "The network gives no gradients, so these attacks search without gradients: a weaker test, and an upper bound on "
    "what stands under attack."
)


def check_robustness(subject: Subject) -> Finding:
    """Share that stays right over the budget, with a noise control, the baseline's curve and signs of masked gradients.

    Applies to every task, on images, tables and series (in deviations of each channel); of texts words and embeddings
    are attacked. What is right is the task's to say:
    the class, all labels, a number within the tolerance, a mean IoU.
    """
    if subject.data.kind == "text":
        return attacked_texts(subject)
    if subject.data.kind == "tokens":
        return attacked_tokens(subject)
    if subject.data.kind == "graphs":
        raise NotApplicableError("edges are there or not: no attack of the house adds and removes them")
    if subject.data.kind == "series":
        subject = series_in_deviations(subject)
    eps = budgets(subject).eps
    split = subject.data.test.take(subject.attack_limit, subject.seed)
    maps: Maps | None = None
    with bar("robustness", 5) as running:
        try:
            if isinstance(subject.task, Segmentation):
                maps = _maps(subject, subject.task, split)
                network = maps.attacked.share_right()
            else:
                network = _curve(subject.model, split, _attacks(subject, subject.task), eps, subject.batch_size)
        except NoGradientError as error:
            raise NotApplicableError(
                f"no gradient leads from the outputs of this {subject.task.kind} network back to its inputs, and the "
                f"attacks follow one ({error.hint})"
            ) from error
        running.advance(1, "noise")
        noise = maps.noise.share_right() if maps else _noise_curve(subject, split)
        running.advance(1, "baseline")
        base = _baseline_curve(subject, split, eps)
        running.advance(1, "masked gradients")
        flags = _masking(subject, split, eps[len(eps) // 2])
        running.advance(1, "headline")
        headline = None if subject.has_classes or maps else _headline(subject, split)
        running.advance()
    finding = _finding(subject, len(split), network, noise, base, flags, headline, maps)
    judged = budgets(subject).judged
    figures, tables = attacked(subject, split, _attacks(subject, _reachable(subject)), judged, short(judged))
    finding.figures += figures
    finding.tables += tables
    if isinstance(subject.task, CandidateDetection) and subject.has_gradients and any(len(d) for d in split.y):
        values, table = attacked_candidates(subject, split, judged, short(judged))
        finding.values |= values
        finding.lower_is_better = (*finding.lower_is_better, *values)
        finding.tables.append(table)
    return finding


def _common(subject: Subject, task: Task) -> dict[str, Any]:
    return {"seed": subject.seed, "bounds": subject.bounds, "task": task}


def _attacks(subject: Subject, task: Task) -> AttackSuite:
    """Two losses; for tasks without classes each from several starts.

    An error that is raised from one start can end on the near side of a target whose far side is what breaks it. Where
    the network has no gradients: the worst of random signs, then a search by scores.
    """
    if not subject.has_gradients:
        eps, common = budgets(subject).eps[0], _common(subject, task)
        noise = Noise(eps, kind="sign", repeats=_DRAWS, **common)
        search: Attack = Square(eps, queries=_QUERIES, p=0.3, **common)
        if subject.without_scores:  # one that follows scores is blind
            search = HopSkipJump(eps, "linf", evaluations=30, queries=_DECISIONS, **common)
        return AttackSuite([noise, search], "black box")
    if isinstance(task, Segmentation):  # in turn: here it counts only whether an image falls below the bound
        return AttackSuite(_dense(subject, task, budgets(subject).eps[0]).attacks, "dense")
    restarts = 1 if subject.has_classes else 3
    return suite("quick", budgets(subject).eps[0], restarts=restarts, **_common(subject, task))


def _dense(subject: Subject, task: Task, eps: float) -> AttackSuite:
    return suite("dense", eps, **_common(subject, task))


def _reachable(subject: Subject) -> Task:
    """The task; of label maps with a bound that most images reach, where fewer do: else none could be seen to fall."""
    task = subject.task
    if not isinstance(task, Segmentation):
        return task
    out, y = subject.outputs(), subject.data.test.y
    middle = float(task.image_iou(out, y).nanmedian())
    return task if not 0 < middle < task.iou else replace(task, iou=middle / 2)


@dataclass(frozen=True)
class Maps:
    """What attacks and noise leave of label maps.

    Attributes:
        attacked: at its worst up to each budget.
        noise: likewise under noise of the same size.
        constant: mean IoU of the best answer that looks at no input.
    """

    attacked: MapCurve
    noise: MapCurve
    constant: float


def _maps(subject: Subject, task: Segmentation, split: Split) -> Maps:
    """Mean IoU under attack: by the whole suite where it is judged, by one of its attacks at the other budgets."""
    chosen, reachable = budgets(subject), _reachable(subject)
    if subject.has_gradients:
        dense = _dense(subject, task, chosen.judged)
        attacks = [dense if e == chosen.judged else dense.attacks[_ELSEWHERE] for e in chosen.eps]
    else:
        attacks = [_attacks(subject, reachable)] * len(chosen.eps)
    noise = [Noise(chosen.eps[0], **_common(subject, reachable))] * len(chosen.eps)
    attacked, noisy = (
        map_curve(subject.model, task, split, each, chosen.eps, subject.batch_size, subject.seed)
        for each in (attacks, noise)
    )
    known = split.y if subject.baseline is None else subject.data.train.y
    read = subject.baseline_task
    assert isinstance(read, Segmentation)
    return Maps(attacked, noisy, read.headline_value(read.baseline(known, split.y), split.y))


def _noise_curve(subject: Subject, split: Split) -> list[Interval]:
    noise = Noise(budgets(subject).eps[0], **_common(subject, subject.task))
    return _curve(subject.model, split, noise, budgets(subject).eps, subject.batch_size)


def _baseline_curve(subject: Subject, split: Split, eps: Sequence[float]) -> list[Interval] | None:
    """The baseline under the same attacks; an answer that looks at no input is the same under all of them."""
    if subject.baseline is None:
        return None
    attacks = _attacks(subject, subject.baseline_task)
    if not subject.baseline_looks:
        return _curve(subject.baseline, split, attacks, (), subject.batch_size) * (len(eps) + 1)
    return _curve(subject.baseline, split, attacks, eps, subject.batch_size)


def _masking(subject: Subject, split: Split, eps: float) -> dict[str, str] | None:
    """Signs of masked gradients on a few samples that are right; None where fewer than five are: not looked for."""
    if not subject.has_gradients:
        return {}
    task = _reachable(subject)
    few = split.take(min(60, max(8, subject.attack_limit // 2)), subject.seed)
    x = placed(few.inputs(), subject.model)
    right = _attacks(subject, task).stands(subject.model, x, few.y.to(x.device)).cpu()
    if int(right.sum()) < _LEAST:
        return None
    found = masking_flags(subject.model, x[right], few.y[right], eps, **_common(subject, task))
    if not subject.has_classes:  # these compare with a single start on one loss, which isn't what is measured
        found = {name: text for name, text in found.items() if name not in ("noise", "black box")}
    return found


def _headline(subject: Subject, split: Split) -> tuple[float, float] | None:
    """The task's headline metric before and under attack at the judged budget; None where it isn't defined.

    Under the first attack (without gradients: the search), which samples leave as soon as they aren't right any more,
    so that the metric may still fall further.
    """
    task, read = subject.task, subject.baseline_task
    judged = budgets(subject).judged
    attack: Any = suite("quick", judged, **_common(subject, task)).attacks[0]
    if not subject.has_gradients:
        attack = partial(_attacks(subject, task), eps=judged)
    opened = partial(_before_and_after, subject.model, task, attack)
    outputs = spread_map(opened, numbered(split.batches(subject.batch_size)))
    clean, attacked = (task.join(parts) for parts in zip(*outputs))
    if not bool(read.finite(attacked).all()):
        return None
    y = split.y.to(device_of(subject.model)) if hasattr(split.y, "to") else split.y
    values = read.headline_value(clean, y), read.headline_value(attacked, y)
    return None if any(map(math.isnan, values)) else values


@contextmanager
def _before_and_after(model: nn.Module, task: Task, attack: Any) -> Iterator[Callable[[int, Any], tuple[Any, Any]]]:
    """What the task reads from a batch as it is, and from the batch attacked."""

    def read(x: Tensor) -> Any:
        return task.join(read_outputs(model, [x], lambda out, n: task.read(out, n, strict=False)))

    def one(number: int, batch: Any) -> tuple[Any, Any]:
        ids, x, y = batch
        before = placed(x, model)
        return read(before), read(attack(model, before, y.to(device_of(model)), ids=ids).x_adv)

    yield one


def _curve(
    model: nn.Module, split: Split, attack: AttackSuite | Noise, eps: Sequence[float], batch: int
) -> list[Interval]:
    """Share that is right at budget 0 and at each of `eps`."""
    return curve_in_batches(model, ((x, y, None) for x, y in split.batches(batch)), attack, eps)


def _finding(
    subject: Subject,
    n: int,
    network: list[Interval],
    noise: list[Interval],
    base: list[Interval] | None,
    flags: dict[str, str] | None,
    headline: tuple[float, float] | None,
    maps: Maps | None,
) -> Finding:
    chosen = budgets(subject)
    eps = chosen.eps
    grid = (0.0, *eps)
    shown = Shown(network, noise, base)
    if maps is not None:
        constant = [Interval(maps.constant, maps.constant, maps.constant)] * len(grid)
        shown = Shown(maps.attacked.mean_iou(), maps.noise.mean_iou(), constant, "mean IoU")
    flags = _with_noise(subject, shown, grid, n, flags)
    at = 1 + eps.index(chosen.judged)
    kept = share_kept(network[0], network[at], n) if maps is None else maps.attacked.kept(at)
    chance = subject.chance if subject.has_classes or base is None else base[0].value
    chance = chance if maps is None else maps.constant
    found, rule = grade_kept(subject, kept, shown.network[at], chance, bool(flags), shown.metric)
    if not subject.has_gradients:
        found, rule = _bounded(found, rule)
    rule = f"Judged at a budget of {short(chosen.judged)} ({chosen.why}). {rule}"
    rows = "units of the rows as given" if subject.data.scale is None else "deviations"
    units = {"tabular": rows, "series": "deviations of each channel"}
    unit = units.get(subject.data.kind, "of the pixel range")
    values: dict[str, Any] = {"clean_accuracy": network[0]}
    if kept is not None:
        values["clean_accuracy_kept" if maps is None else "mean_iou_kept"] = kept
    values |= {f"robust_accuracy_at_{short(e)}": point for e, point in zip(eps, network[1:])}
    values |= {"area": area(grid, network), "noise_accuracy": noise[-1]}
    told = " and never falls to half within the budgets tried"
    if shown.network[0].value == 0:
        told = ", which says nothing: none is right without an attack"
    else:
        values["eps_half"] = taken = half(grid, shown.network)
        if math.isfinite(taken):
            told = f" and falls to half at a budget of {taken:.3g} {unit}"
    if base is not None:
        values["baseline_area"] = area(grid, base)
    if maps is not None:
        values |= {f"mean_iou_at_{short(e)}": point for e, point in zip(grid, shown.network)}
        headline = shown.network[0].value, shown.network[at].value
    if headline is not None:
        values |= {"clean_headline": headline[0], "attacked_headline": headline[1]}
    worth = "" if headline is None or maps is not None else _worth(subject, *headline)
    if maps is not None:
        share = Shown(network, noise, base)
        worth = f" The share of images with {_is_right(subject)} {share.from_to(at)}."
    return Finding(
        check="robustness",
        grade=found.grade,
        summary=f"Under attack ({_names(subject)}, L-inf, {n} samples) {_subject_of(subject, shown)} "
        f"{shown.from_to(at)} at a budget of {short(chosen.judged)}{told}; "
        f"random noise of the largest budget leaves {shown.written(shown.noise[-1].value)}.{worth}"
        f"{_verdict(subject, flags)}",
        values=values,
        rule=rule,
        remedy=_remedy(subject, found, chosen, shown.written(shown.network[at].value)),
        tables=[shown.table(eps, subject)],
        figures=[shown.figure(grid, unit, subject)],
        higher_is_better=tuple(name for name in values if name != "baseline_area" and "headline" not in name),
        could_be=found.could_be,
        graded_by=(_graded_by(kept, maps, chosen),),
        conditions={"budgets": list(eps), "judged at": chosen.judged}
        | ({} if subject.has_gradients else {"attack": _searched(subject)}),
    )


def _graded_by(kept: Interval | None, maps: Maps | None, chosen: Budgets) -> str:
    if maps is not None:
        return "mean_iou_kept" if kept is not None else f"mean_iou_at_{short(chosen.judged)}"
    return "clean_accuracy_kept" if kept is not None else f"robust_accuracy_at_{short(chosen.judged)}"


def _with_noise(
    subject: Subject, shown: Shown, grid: Sequence[float], n: int, flags: dict[str, str] | None
) -> dict[str, str] | None:
    """Signs of masked gradients, and that noise does more than the attacks where it does."""
    weakest = max(range(len(grid)), key=lambda i: shown.network[i].value - shown.noise[i].value)
    if subject.has_classes or shown.network[weakest].value <= shown.noise[weakest].value + 2 / n + 0.02:
        return flags
    sign = f"random noise fools more than the attacks at a budget of {short(grid[weakest])}"
    return {**(flags or {}), "noise": sign}


def _subject_of(subject: Subject, shown: Shown) -> str:
    """What the summary's sentence is about."""
    if shown.metric:
        return shown.metric
    return "accuracy" if subject.has_classes else f"the share that is right ({_is_right(subject)})"


def _worth(subject: Subject, before: float, after: float) -> str:
    """What becomes of the task's own metric, as a sentence."""
    name = named(subject.task.headline)
    went = "falls" if after < before else "rises"
    if f"{before:.3g}" == f"{after:.3g}":
        return f" {name[0].upper()}{name[1:]} stays at {before:.3g}."
    return f" {name[0].upper()}{name[1:]} {went} from {before:.3g} to {after:.3g} there, or beyond."


def _verdict(subject: Subject, flags: dict[str, str] | None) -> str:
    """Whether the gradients that the attacks follow can be trusted, as a sentence."""
    if not subject.has_gradients:
        return f" {_WEAKER}"
    if flags is None:
        return f" Gradient masking: not looked for, fewer than {_LEAST} samples are right without attack."
    return " Gradient masking: " + ("; ".join(flags.values()) if flags else "no sign of masked gradients") + "."


def _remedy(subject: Subject, found: Graded, chosen: Budgets, left: str) -> str:
    """The stronger measurement, and (where there is something to gain) the training that raises the share kept."""
    options = f"{chosen.judged:.6g}, task=subject.baseline_task, bounds=subject.bounds"
    if subject.bounds[0] == -math.inf:
        options = f"{chosen.judged:.6g}, task=subject.baseline_task, bounds=(-math.inf, math.inf)"
    first, where = "", "the test data"
    if subject.data.kind == "series":
        first, where = "`subject = checks.series_in_deviations(subject)` and then ", "its test data"
    named = f"'dense', {options}, steps=100" if isinstance(subject.task, Segmentation) else f"'standard', {options}"
    measure = (
        f"{first}`adversarial.suite({named})(subject.network, x, y)` on a batch x, y of {where}: it can "
        "only "
        f"lower the {left} here"
    )
    if not subject.has_gradients:
        longer = f"HopSkipJump({options}, norm='linf', queries=10_000)"
        longer = longer if subject.without_scores else f"Square({options}, queries=5000)"
        return (
            f"Search longer: `adversarial.{longer}(subject.network, x, y)` on a batch x, y of "
            f"the test data can only lower the {left} here. A test that can be relied on needs gradients: "
            "audit the network as a torch module, or as an ONNX file whose operators have a twin."
        )
    if found.grade in ("A", "info"):
        return f"Confirm with {measure}."
    begin = (
        f"Measure with {measure}. To raise it, train" if left not in ("0", "0.0%") else "Train"
    )  # nothing is left to lower
    return (
        f"{begin} on `adversarial.PGD({options})(subject.network, x, y).x_adv` in "
        f"place of each training batch x, y{_by_command(subject)}; by how much is known when it is trained: audit "
        "again with --compare."
    )


def _by_command(subject: Subject) -> str:
    """The command that trains so, where it takes the network."""
    does = subject.data.kind == "image" and subject.has_classes
    return " (deepwright harden does it: --with adversarial-training, or trades)" if does else ""


def _is_right(subject: Subject) -> str:
    """What a sample that is right is, for tasks without one class a sample."""
    task = subject.task
    words = {
        "multi-label classification": "all of its labels",
        "segmentation": f"a mean IoU of {getattr(task, 'iou', 0.5):g} or more",
        "detection": "all of its objects found",
    }
    return words.get(task.kind, "within the tolerance")


def _bounded(found: Graded, rule: str) -> tuple[Graded, str]:
    """The grade of an upper bound: what is bad by it is no better in truth; what is good says nothing."""
    if found.grade == "info":
        return found, rule
    rule = rule.removesuffix(found.words)
    if found.grade not in ("D", "E"):
        why = "attacks without gradients bound what stands from above, which is no evidence for a good grade"
        return Graded("info"), f"{rule} Not graded: {why}."
    worse = f" An upper bound, found without gradients: {found.grade}{' or worse' if found.grade == 'D' else ''}."
    return Graded(found.grade, ("E",) if found.grade == "D" else ()), rule + worse


def _searched(subject: Subject) -> str:
    return f"by decisions, {_DECISIONS} queries" if subject.without_scores else f"by scores, {_QUERIES} queries"


def _names(subject: Subject) -> str:
    """The attacks in words: by their names where samples have classes, else by what they raise."""
    attacks = _attacks(subject, subject.task).attacks
    if not subject.has_gradients:
        search, queries = ("HopSkipJump", _DECISIONS) if subject.without_scores else ("Square", _QUERIES)
        return f"{_DRAWS} draws of random signs, then {search} with {queries} queries"
    if subject.has_classes or isinstance(subject.task, Segmentation):
        names = [attack.name for attack in attacks]
        return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
    words = {"ce": "cross-entropy"}
    named = (words.get(attack.loss_name, attack.loss_name.replace("_", " ")) for attack in attacks)
    return " and ".join(f"APGD on {name}" for name in named)
