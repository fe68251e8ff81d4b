"""Can it be fooled on purpose?"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from deepwright.adversarial import Attack, AttackSuite, HopSkipJump, Noise, Square, masking_flags, suite
from deepwright.adversarial.victim import NoGradientError
from deepwright.checks.candidate_attacks import attacked_candidates
from deepwright.checks.curves import curve_in_batches, line, numbered, placed
from deepwright.checks.embedding_attacks import attacked_tokens
from deepwright.checks.findings.finding import Finding, NotApplicableError, from_to
from deepwright.checks.grading import Graded
from deepwright.checks.kept import grade_kept, share_kept
from deepwright.checks.metrics import named
from deepwright.checks.shown import attacked
from deepwright.checks.subjects.series import series_in_deviations
from deepwright.checks.subjects.subject import Subject
from deepwright.checks.text_attacks import attacked_texts
from deepwright.core.devices import device_of
from deepwright.core.inference import read_outputs
from deepwright.core.progress import bar
from deepwright.core.results import Figure, Table
from deepwright.core.spreading import spread_map
from deepwright.core.statistics import Interval
from deepwright.core.tasks import CandidateDetection, Segmentation, Task
from deepwright.data import Split

_SMALL = 64  # pixels of the longer side
_QUERIES = 300  # a sample and budget, where there are no gradients
_DECISIONS = 600  # likewise, where there are no scores either
_DRAWS = 20  # of sign noise before them


_WEAKER = (
    "The network gives no gradients, so these attacks search without gradients: a weaker test, and an upper bound on "
    "what stands under attack."
)


@dataclass(frozen=True)
class Budgets:
    """What the curve is measured at, and where it is judged.

    Attributes:
        eps: rising L-inf budgets.
        judged: one of them.
        why: why there, in words.
    """

    eps: tuple[float, ...]
    judged: float
    why: str


def budgets(subject: Subject) -> Budgets:
    """L-inf budgets of a kind of data, and the one that its field reports.

    8/255 for small colour pictures (CIFAR-10), 4/255 for large ones (ImageNet), 0.3 for MNIST, 0.1 for other small grey
    pictures (Fashion-MNIST), 4/255 for large ones. Tables have no such standard: a tenth of a deviation is ours. Where
    budgets are named, they are judged at the field's if it is among them, else at the largest.

    Source: "RobustBench: a standardized adversarial robustness benchmark", arXiv 2010.09670 (CIFAR-10, ImageNet);
    "Towards Deep Learning Models Resistant to Adversarial Attacks", arXiv 1706.06083 (MNIST).
    """
    eps, judged, why = _usual(subject)
    if subject.eps is None:
        return Budgets(eps, judged, why)
    same = [e for e in subject.eps if judged is not None and math.isclose(e, judged, rel_tol=1e-6)]
    if same:
        return Budgets(subject.eps, same[0], why)
    return Budgets(subject.eps, subject.eps[-1], "the largest that was named")


def _usual(subject: Subject) -> tuple[tuple[float, ...], Any, str]:
    data = subject.data
    if data.kind == "series":
        why = "of a deviation of each channel; series have no usual budget, this one is ours"
        return (0.05, 0.1, 0.2, 0.4), 0.1, why
    if data.kind == "tabular":
        unit = "of the rows' unit" if data.scale is None else "of a deviation"
        return (0.05, 0.1, 0.2, 0.4), 0.1, f"{unit}; tables have no usual budget, this one is ours"
    small = max(data.shape[1:]) <= _SMALL
    if data.shape[0] != 1:
        field = ("small", 8) if small else ("large", 4)
        return (1 / 255, 2 / 255, 4 / 255, 8 / 255), field[1] / 255, f"the field's for {field[0]} colour pictures"
    if data.name == "mnist":
        return (0.05, 0.1, 0.2, 0.3), 0.3, "the field's for MNIST"
    if small:
        return (0.02, 0.05, 0.1, 0.2), 0.1, "the field's for small grey pictures"
    return (1 / 255, 2 / 255, 4 / 255, 8 / 255), 4 / 255, "the field's for large pictures"


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
    with bar("robustness", 5) as running:
        try:
            network = _curve(subject.model, split, _attacks(subject, subject.task), eps, subject.batch_size)
        except NoGradientError as error:
            raise NotApplicableError(
                f"no gradient leads from the outputs of this {subject.task.kind} network back to its inputs, and the "
                f"attacks follow one ({error.hint})"
            ) from error
        running.advance(1, "noise")
        noise = _curve(subject.model, split, _noise(subject), eps, subject.batch_size)
        running.advance(1, "baseline")
        base = _baseline_curve(subject, split, eps)
        running.advance(1, "masked gradients")
        flags = _masking(subject, split, eps[len(eps) // 2])
        running.advance(1, "headline")
        headline = None if subject.has_classes else _headline(subject, split)
        running.advance()
    finding = _finding(subject, len(split), network, noise, base, flags, headline)
    judged = budgets(subject).judged
    figures, tables = attacked(subject, split, _attacks(subject, subject.task), judged, _short(judged))
    finding.figures += figures
    finding.tables += tables
    if isinstance(subject.task, CandidateDetection) and subject.has_gradients and any(len(d) for d in split.y):
        values, table = attacked_candidates(subject, split, judged, _short(judged))
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


def _noise(subject: Subject) -> Noise:
    return Noise(budgets(subject).eps[0], **_common(subject, subject.task))


def _baseline_curve(subject: Subject, split: Split, eps: Sequence[float]) -> list[Interval] | None:
    """The baseline under the same attacks; an answer that looks at no input is the same under all of them."""
    if subject.baseline is None:
        return None
    attacks = _attacks(subject, subject.baseline_task)
    if not subject.baseline_looks:
        return _curve(subject.baseline, split, attacks, (), subject.batch_size) * (len(eps) + 1)
    return _curve(subject.baseline, split, attacks, eps, subject.batch_size)


def _masking(subject: Subject, split: Split, eps: float) -> dict[str, str]:
    """Signs of masked gradients on a few samples that are right; none are looked for on less than five."""
    if not subject.has_gradients:
        return {}
    few = split.take(min(60, max(8, subject.attack_limit // 2)), subject.seed)
    x = placed(few.inputs(), subject.model)
    right = _attacks(subject, subject.task).stands(subject.model, x, few.y.to(x.device)).cpu()
    if int(right.sum()) < 5:
        return {}
    found = masking_flags(subject.model, x[right], few.y[right], eps, **_common(subject, subject.task))
    if not subject.has_classes:  # these compare with a single start on one loss, which isn't what is measured
        found = {name: text for name, text in found.items() if name not in ("noise", "black box")}
    return found


def _headline(subject: Subject, split: Split) -> tuple[float, float] | None:
    """The task's headline metric before and under attack at the judged budget; None where it isn't defined.

    Of label maps each image's worst over the dense suite. Elsewhere under its first attack, which samples leave as soon
    as they aren't right any more, so that the metric may still fall further.
    """
    task, read = subject.task, subject.baseline_task
    judged = budgets(subject).judged
    attack: Any = suite("quick", judged, **_common(subject, task)).attacks[0]
    if isinstance(task, Segmentation) and subject.has_gradients:
        attack = _dense(subject, task, judged)
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
    flags: dict[str, str],
    headline: tuple[float, float] | None,
) -> Finding:
    chosen = budgets(subject)
    eps = chosen.eps
    grid = (0.0, *eps)
    area, area_base = _area(grid, network), None if base is None else _area(grid, base)
    weakest = max(range(len(grid)), key=lambda i: network[i].value - noise[i].value)
    if not subject.has_classes and network[weakest].value > noise[weakest].value + 2 / n + 0.02:
        flags = {**flags, "noise": f"random noise fools more than the attacks at a budget of {_short(grid[weakest])}"}
    at = 1 + eps.index(chosen.judged)
    kept = share_kept(network[0], network[at], n)
    chance = subject.chance if subject.has_classes or base is None else base[0].value
    found, rule = grade_kept(subject, kept, network[at], chance, bool(flags))
    if not subject.has_gradients:
        found, rule = _bounded(found, rule)
    rule = f"Judged at a budget of {_short(chosen.judged)} ({chosen.why}). {rule}"
    rows = "units of the rows as given" if subject.data.scale is None else "deviations"
    units = {"tabular": rows, "series": "deviations of each channel"}
    unit = units.get(subject.data.kind, "of the pixel range")
    values: dict[str, Any] = {"clean_accuracy": network[0]}
    if kept is not None:
        values["clean_accuracy_kept"] = kept
    values |= {f"robust_accuracy_at_{_short(e)}": point for e, point in zip(eps, network[1:])}
    values |= {"area": area, "noise_accuracy": noise[-1]}
    told = " and never falls to half within the budgets tried"
    if network[0].value == 0:
        told = ", which says nothing: none is right without an attack"
    else:
        values["eps_half"] = half = _half(grid, network)
        if math.isfinite(half):
            told = f" and falls to half at a budget of {half:.3g} {unit}"
    if area_base is not None:
        values["baseline_area"] = area_base
    verdict = " Gradient masking: " + ("; ".join(flags.values()) if flags else "no sign of masked gradients") + "."
    if not subject.has_gradients:
        verdict = f" {_WEAKER}"
    shown, worth = "accuracy" if subject.has_classes else f"the share that is right ({_is_right(subject)})", ""
    if headline is not None:
        values |= {"clean_headline": headline[0], "attacked_headline": headline[1]}
        name, (before, after) = named(subject.task.headline), headline
        went = "falls" if after < before else "rises"
        end = "there" if isinstance(subject.task, Segmentation) else "there, or beyond"
        worth = f" {name[0].upper()}{name[1:]} {went} from {before:.3g} to {after:.3g} {end}."
        worth = worth if f"{before:.3g}" != f"{after:.3g}" else f" {name[0].upper()}{name[1:]} stays at {before:.3g}."
    return Finding(
        check="robustness",
        grade=found.grade,
        summary=f"Under attack ({_names(subject)}, L-inf, {n} samples) {shown} "
        f"{from_to(network[0].value, network[at].value)} at a budget of {_short(chosen.judged)}{told}; "
        f"random noise of the largest budget leaves {noise[-1].value:.1%}.{worth}{verdict}",
        values=values,
        rule=rule,
        remedy=_remedy(subject, found, chosen, network[at]),
        tables=[_table(eps, network, noise, base, subject)],
        figures=[_figure(grid, network, noise, base, unit, subject)],
        higher_is_better=tuple(name for name in values if name != "baseline_area" and "headline" not in name),
        could_be=found.could_be,
        graded_by=("clean_accuracy_kept",) if kept is not None else (f"robust_accuracy_at_{_short(chosen.judged)}",),
        conditions={"budgets": list(eps), "judged at": chosen.judged}
        | ({} if subject.has_gradients else {"attack": _searched(subject)}),
    )


def _remedy(subject: Subject, found: Graded, chosen: Budgets, robust: Interval) -> str:
    """The stronger measurement, and (where there is something to gain) the training that raises the share kept."""
    options = f"{chosen.judged:.6g}, task=subject.baseline_task, bounds=subject.bounds"
    if subject.bounds[0] == -math.inf:
        options = f"{chosen.judged:.6g}, task=subject.baseline_task, bounds=(-math.inf, math.inf)"
    first, where = "", "the test data"
    if subject.data.kind == "series":
        first, where = "`subject = checks.series_in_deviations(subject)` and then ", "its test data"
    measure = (
        f"{first}`adversarial.suite('standard', {options})(subject.network, x, y)` on a batch x, y of {where}: it can "
        "only "
        f"lower the {robust.value:.1%} here"
    )
    if not subject.has_gradients:
        longer = f"HopSkipJump({options}, norm='linf', queries=10_000)"
        longer = longer if subject.without_scores else f"Square({options}, queries=5000)"
        return (
            f"Search longer: `adversarial.{longer}(subject.network, x, y)` on a batch x, y of "
            f"the test data can only lower the {robust.value:.1%} here. A test that can be relied on needs gradients: "
            "audit the network as a torch module, or as an ONNX file whose operators have a twin."
        )
    if found.grade in ("A", "info"):
        return f"Confirm with {measure}."
    begin = f"Measure with {measure}. To raise it, train" if robust.value > 0 else "Train"  # nothing is left to lower
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


def _area(grid: Sequence[float], points: Sequence[Interval]) -> Interval:
    """Mean share over the budgets; its ends are those of the curve's ends, since all points share their samples."""
    curves = torch.tensor([[p.value for p in points], [p.low for p in points], [p.high for p in points]]).double()
    areas = torch.trapezoid(curves, torch.tensor(grid).double(), dim=1) / (grid[-1] - grid[0])
    return Interval(*areas.tolist())


def _half(grid: Sequence[float], points: Sequence[Interval]) -> float:
    """The budget at which accuracy crosses half of its clean value, by linear interpolation."""
    goal = points[0].value / 2
    for i in range(1, len(grid)):
        if points[i].value <= goal:
            a, b = points[i - 1].value, points[i].value
            return grid[i - 1] + (grid[i] - grid[i - 1]) * ((a - goal) / (a - b) if a > b else 0.0)
    return float("inf")


def _short(eps: float) -> str:
    if eps == 0:
        return "0"
    steps = eps * 255
    return f"{round(steps)}/255" if abs(steps - round(steps)) < 1e-6 and eps < 0.1 else f"{eps:g}"


def _table(
    eps: Sequence[float], network: list[Interval], noise: list[Interval], base: list[Interval] | None, subject: Subject
) -> Table:
    columns = ["budget", "robust accuracy", "95 % from", "95 % to", "under noise"]
    columns += [] if base is None else [subject.baseline_name]
    rows: list[list[Any]] = []
    for i, e in enumerate((0.0, *eps)):
        row: list[Any] = [_short(e), network[i].value, network[i].low, network[i].high, noise[i].value]
        rows.append(row + ([] if base is None else [base[i].value]))
    return Table(columns, rows, f"{'accuracy' if subject.has_classes else 'share right'} by L-inf budget")


def _figure(
    grid: Sequence[float],
    network: list[Interval],
    noise: list[Interval],
    base: list[Interval] | None,
    unit: str,
    subject: Subject,
) -> Figure:
    series = [line("attack", grid, network), line("noise of the same size", grid, noise, True)]
    if base is not None:
        series.append(line(f"{subject.baseline_name}, attacked", grid, base, True))
    title, label = ("Accuracy under attack", "accuracy") if subject.has_classes else ("Under attack", "share right")
    return Figure("line", title, series, f"L-inf budget ({unit})", label, y_range=(0.0, 1.0))
