"""Does it break in bad weather?"""

from __future__ import annotations

from typing import Any

from deepwright.checks.findings.finding import Finding, NotApplicableError, at_best, from_to, grade_down
from deepwright.checks.grading import LEAST_SKILL, Graded, at_end, graded, no_skill
from deepwright.checks.metrics import named
from deepwright.checks.shown import perturbed
from deepwright.checks.subjects.series import channel_scale
from deepwright.checks.subjects.subject import Subject
from deepwright.core.results import Table
from deepwright.core.statistics import Interval
from deepwright.core.tasks import Detection, GraphClassification, Segmentation
from deepwright.corruptions import ALL, SERIES, TABLES, TEXTS, CorruptionReport, Suite, series_in_units

_STEPS = (0.1, 0.25, 0.5, 0.75)
_MOVED = "pixels that move or mix"
_WHY = {"text": "words that are lost or moved"}
_MIXES = "sample_pairing"  # another picture shows through: its class may be the truer one


def check_corruptions(subject: Subject) -> Finding:
    """Score under every perturbation and severity, against the simple baseline on the same inputs.

    Applies to every task on images, tables, series and texts, but not to graphs; where a sample hasn't one class, the
    task's headline metric is measured beside the score. Where pixels move, label maps and boxes move along;
    perturbations under which numbers would have to move are left out.
    """
    if subject.data.kind == "graphs" or isinstance(subject.task, GraphClassification):
        return Finding.not_applicable("corruptions", "no perturbations of graphs are known: nodes are no times")
    if subject.data.kind == "tokens":
        raise NotApplicableError(
            "slips of the keyboard act on letters, and these are token ids without the tokenizer that made them "
            "(tokenizer=, --tokenizer)"
        )
    split = subject.data.test.take(subject.corruption_limit, subject.seed)
    suite = _suite(subject)
    report = _evaluated(subject, suite, list(split.batches(subject.batch_size)))
    clean, mean = 1 - report.clean.value, 1 - report.mean_error.value
    lost = _lost(subject, report)
    found, rule = _grade(subject, report, lost)
    worst = [str(row[0]).replace("_", " ") for row in report.table().rows[:3]]
    rows = "rows as given" if subject.data.scale is None else "standardised features"
    space = {"tabular": rows, "series": "series", "text": "texts"}.get(subject.data.kind, "images")
    values, told = _values(report, lost), ""
    if report.clean_headline is not None and report.mean_headline() is not None:
        values |= {"clean_headline": report.clean_headline, "mean_headline": report.mean_headline()}
        told = f"{_in_its_words(report)}. "
    skipped = f" {len(report.skipped)} perturbations were left out." if report.skipped else ""
    return Finding(
        check="corruptions",
        grade=found.grade,
        summary=f"{told}{subject.score_name[0].upper()}{subject.score_name[1:]} {from_to(clean, mean)} on average over "
        f"{len(report.errors)} perturbations of {space} x 5 severities ({report.n} samples). "
        f"Worst: {', '.join(worst)}.{skipped}",
        values=values,
        rule=rule,
        remedy=_remedy(subject, report, found),
        tables=[report.table(), *_more_tables(subject, report)],
        figures=[report.figure(), *perturbed(subject, split, suite, report)],
        lower_is_better=("mean_error", "mce", "relative_error", "skill_lost"),
        could_be=found.could_be,
        graded_by=("skill_lost", "mean_error") if lost is not None else ("mean_error",),
        conditions={"perturbations": sorted(report.errors)},
    )


def _suite(subject: Subject) -> Suite:
    """The perturbations of a kind of data; of series in the units of the training samples."""
    data = subject.data
    if data.kind == "series":
        return Suite(series_in_units(*channel_scale(data.train if len(data.train) else data.test)), seed=subject.seed)
    return Suite({"tabular": "tables", "text": "texts"}.get(data.kind, "all"), seed=subject.seed)


def _evaluated(subject: Subject, suite: Suite, batches: list[Any]) -> CorruptionReport:
    """Errors of the network and of the baseline, each as its task reads it."""
    return suite.evaluate(
        subject.network,
        batches,
        task=subject.baseline_task,
        headline=not subject.has_classes,
        baseline=subject.baseline,
        description="corruptions",
    )


def _in_its_words(report: CorruptionReport) -> str:
    """What becomes of the task's headline metric, in the field's words."""
    name, before, after = named(str(report.headline)), report.clean_headline, report.mean_headline()
    assert before is not None
    assert after is not None
    went = "stays at" if f"{before:.3g}" == f"{after:.3g}" else f"{'falls' if after < before else 'rises'} from"
    to = "" if went == "stays at" else f" to {after:.3g}"
    return f"{name[0].upper()}{name[1:]} {went} {before:.3g}{to}"


def _more_tables(subject: Subject, report: CorruptionReport) -> list[Table]:
    """The headline metric, and what was left out, each where there is some."""
    tables = []
    if report.headlines:
        word = named(str(report.headline))
        tables.append(report.headline_table(report.headline in subject.task.higher_is_better, word))
    if report.skipped:
        tables.append(
            Table(["left out", "because"], [[k, v] for k, v in report.skipped.items()], "perturbations left out")
        )
    return tables


def _lost(subject: Subject, report: CorruptionReport) -> Interval | None:
    """The share of the skill above chance that is lost on average; None where there is too little of it."""
    skill = 1 - report.clean.value - subject.chance
    if no_skill(subject) or skill < LEAST_SKILL * (1 - subject.chance):
        return None
    mean = report.mean_error
    return Interval(*((error - report.clean.value) / skill for error in (mean.value, mean.low, mean.high)))


def _grade(subject: Subject, report: CorruptionReport, lost: Interval | None) -> tuple[Graded, str]:
    if lost is None:
        why = no_skill(subject) or (
            f"on these {report.n} samples its {subject.score_name} ({1 - report.clean.value:.1%}) is not clearly above "
            f"that of a constant answer ({subject.chance:.1%})"
        )
        return Graded("info"), f"Not graded: {why}, so that there is nothing to lose."
    mean = report.mean_error
    least = report.mce * mean.low / mean.value if mean.value > 0 else 0.0  # as far as the samples allow
    worse = subject.baseline is not None and least > 1

    def letter(side: int) -> str:
        grade = grade_down(at_end(lost, side, lower_is_better=True), _STEPS)
        return at_best(grade, "D") if worse else grade

    found = graded(letter)
    skill = 1 - report.clean.value - subject.chance
    rule = (
        f"{lost.value:.0%} of the skill above chance ({skill:.2f}) is lost on average: "
        "A up to 10 %, B 25 %, C 50 %, D 75 %, E beyond."
    )
    if subject.baseline is not None:
        rule += (
            f" Mean corruption error relative to {subject.baseline_name} is {report.mce:.2f} ({least:.2f} "
            "at least); where it is surely above 1 the grade is D at best."
        )
    return found, rule + found.words


def _remedy(subject: Subject, report: CorruptionReport, found: Graded) -> str:
    """What to train with: the worst perturbations under which the targets stay what they are."""
    rows = report.table().rows
    kind = subject.data.kind
    known = _trainable(subject)
    worst = [str(row[0]) for row in rows if row[0] in known][:3]
    left_out = [str(row[0]) for row in rows[:3] if row[0] not in known]
    if found.grade == "A":
        return "Nothing to do here; look at the worst rows below when the conditions change."
    if no_skill(subject):
        return "Nothing to train against yet: there is no skill that a perturbation could take. See Accuracy first."
    error = sum(sum(report.errors[name]) / len(report.severities) for name in worst) / max(len(worst), 1)
    gain = (
        f"their mean error is {error:.1%} against {report.clean.value:.1%} without perturbation, and what "
        "it becomes is "
        "known when it is trained: test on the others, too, which training didn't see."
    )
    if left_out:
        gain += (
            f" {', '.join(left_out)}: measured and not trained on here, because {_WHY.get(kind, _MOVED)} may "
            "need another label."
        )
    if kind == "text":
        call = f"[p(x, 3, seed=step) for p in corruptions.TEXTS if p.name in {worst}]"
        own = "`from deepwright.core.texts import to_codes` makes rows of your own"
        return f"Train on texts x (rows of code points; {own}) as they are and as `{call}` gives them: {gain}"
    if kind == "series":
        units = "corruptions.series_in_units(x.mean((0, 1)), x.std((0, 1)))"
        call = f"[p(x, 3, seed=step) for p in {units} if p.name in {worst}]"
        return f"Train on series x as they are and as `{call}` gives them: {gain}"
    if kind == "tabular":
        call = f"[p(x, 3, seed=step) for p in corruptions.TABLES if p.name in {worst}]"
        return f"Train on rows x as they are and as `{call}` gives them: {gain}"
    steps = [(name, 3) for name in worst[:1]]
    return (
        f"Train on pictures x as they are and as `corruptions.Compose({steps}, seed=step)(x)` gives them, and likewise "
        f"with {' and '.join(worst[1:]) or 'others'}{_by_command(subject)}: {gain}"
    )


def _by_command(subject: Subject) -> str:
    """The command that trains so, where it takes the network."""
    return " (deepwright harden --with corruption-training mixes many of them)" if subject.has_classes else ""


def _trainable(subject: Subject) -> set[str]:
    """Perturbations under which targets stay what they are."""
    kind = subject.data.kind
    if kind == "tabular":
        return {p.name for p in TABLES}
    if kind == "series":
        return {p.name for p in SERIES}
    if kind == "text":
        return {p.name for p in TEXTS if p.label_preserving}
    dense = isinstance(subject.task, Segmentation | Detection)
    return {p.name for p in ALL if p.label_preserving and not (dense and p.moves_pixels)} - {_MIXES}


def _values(report: CorruptionReport, lost: Interval | None) -> dict[str, Any]:
    values: dict[str, Any] = {
        "clean_error": report.clean,
        "mean_error": report.mean_error,
        "mce": report.mce,
    }
    if report.relative is not None:
        values["relative_error"] = report.relative
    return values if lost is None else values | {"skill_lost": lost}
