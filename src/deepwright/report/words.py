"""Every value in words: what a report calls it and how it writes it. Keys stay in the JSON and in gates."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Any

from deepwright.core.results import show
from deepwright.core.statistics import Interval


@dataclass(frozen=True)
class Word:
    """One kind of value.

    Attributes:
        key: a regular expression for the name of the value.
        words: what it is called; {0}, {1} are the groups of the expression.
        unit: "share" (written in percent), "number", "count", "bytes" or "ms".
    """

    key: str
    words: str
    unit: str = "number"


# Of every task: the field's metrics, as `accuracy` reports them.
_METRICS = (
    Word("accuracy", "right answers", "share"),
    Word("balanced_accuracy", "right answers, each class counted alike", "share"),
    Word("top5_accuracy", "right class among the first five", "share"),
    Word("subset_accuracy", "samples with all labels right", "share"),
    Word("label_accuracy", "right labels", "share"),
    Word("sensitivity", "events that are found (sensitivity)", "share"),
    Word("specificity", "non-events that are left alone (specificity)", "share"),
    Word("auroc", "AUROC"),
    Word("average_precision", "average precision"),
    Word("mean_average_precision|map", "mean average precision"),
    Word("map_(.+)", "mean average precision, {0} objects"),
    Word("ap50", "average precision at an overlap of 0.5"),
    Word("f1", "F1"),
    Word("micro_f1", "F1 over all labels"),
    Word("macro_f1", "F1, each label counted alike"),
    Word("mean_iou", "mean IoU"),
    Word("mean_dice", "mean Dice"),
    Word("contact_rate", "neighbours of different classes that the order forbids", "share"),
    Word("pixel_accuracy", "right pixels", "share"),
    Word("mean_dice", "mean Dice"),
    Word("map_(small|medium|large)", "mean average precision of {0} objects"),
    Word("map_(.+)", "mean average precision, {0}"),
    Word("crps", "continuous ranked probability score (CRPS)"),
    Word("pinball", "pinball loss"),
    Word("nll", "negative log-likelihood (nats)"),
    Word("within_tolerance", "answers within the tolerance", "share"),
    Word("mae", "mean absolute error"),
    Word("rmse", "root mean squared error"),
    Word("mase", "mean absolute error over that of repeating the last value"),
    Word("r2", "variance explained (R²)"),
    Word("crps", "CRPS (continuous ranked probability score)"),
    Word("nll", "negative log-likelihood (nats)"),
    Word("pinball", "pinball loss"),
)

WORDS: dict[str, tuple[Word, ...]] = {
    "accuracy": (
        *_METRICS,
        *(Word(f"baseline_(?:{w.key})", f"the simple method's {w.words}", w.unit) for w in _METRICS),
        Word("chance", "score of the best constant answer", "share"),
        Word("score", "mean score of a sample", "share"),
        Word("p_value_against_(.+)", "p-value against the {0}"),
        Word("accuracy_at_a_half", "right answers at a threshold of 0.5", "share"),
        Word("classes_without_samples", "classes that no test sample has", "count"),
        Word("accuracy_in_another_order", "right answers with the outputs in another order", "share"),
    ),
    "calibration": (
        Word("ece", "expected calibration error (ECE), as the field computes it"),
        Word("ece_debiased", "ECE without what few samples add"),
        Word("ece_adaptive", "ECE with bins of equal size"),
        Word("ece_of_perfect_calibration", "ECE that a perfectly calibrated network may show"),
        Word("ece_after_temperature", "ECE after temperature scaling"),
        Word("ece_of_claimed", "ECE of the claimed boxes' scores"),
        Word("ece_(.+)", "ECE, {0}"),
        Word("localisation_ece", "ECE of scores against overlaps (LaECE)"),
        Word("miscoverage", "mean gap between claimed and real coverage"),
        Word("coverage_(.+)", "targets inside its {0} % intervals", "share"),
        Word("width_(.+)", "mean width of its {0} % intervals"),
        Word("conformal_coverage_(.+)", "targets inside conformal {0} % intervals", "share"),
        Word("conformal_width_(.+)", "mean width of conformal {0} % intervals"),
        Word("brier", "Brier score"),
        Word("nll", "negative log-likelihood (nats)"),
        Word("temperature", "temperature that fits validation data"),
        Word("overconfidence", "mean confidence less share of right answers"),
        Word("nll_saved_by_temperature", "nats saved by that temperature on validation data"),
    ),
    "fragility": (
        Word("fi", "Fragility Index (FI)"),
        Word("nfi", "FI, normalised"),
        Word("fi_matched", "FI at matched temperature"),
        Word("nfi_matched", "FI, normalised, at matched temperature"),
        Word("baseline_nfi", "nearest class mean's FI, normalised, at matched temperature"),
        Word("confident_errors", "samples that are confidently wrong", "share"),
        Word("cvar95", "mean misjudgment of the worst 5 %"),
    ),
    "robustness": (
        Word("clean_accuracy", "right without attack", "share"),
        Word("clean_accuracy_kept", "of what is right, stays right under attack", "share"),
        Word("robust_accuracy_at_(.+)", "right under attack, at a budget of {0}", "share"),
        Word("random_accuracy_at_(.+)", "right with as many random words, at a share of {0}", "share"),
        Word("baseline_robust_accuracy_at_(.+)", "the simple baseline's share right under attack, at {0}", "share"),
        Word("embedding_l2_accuracy_at_(.+)", "right with embeddings moved by {0} (L2)", "share"),
        Word("embedding_linf_accuracy_at_(.+)", "right with embeddings moved by {0} (L-inf)", "share"),
        Word("queries_per_text", "questions to the network that an attack on a text takes"),
        Word("noise_accuracy", "right under random noise of the largest budget", "share"),
        Word("area", "mean share right over the budgets", "share"),
        Word("baseline_area", "the simple baseline's mean share over the budgets", "share"),
        Word("eps_half", "budget at which half of it is lost"),
        Word("mean_iou_kept", "of the mean IoU without attack, kept under it", "share"),
        Word("mean_iou_at_0", "mean IoU without attack"),
        Word("mean_iou_at_(.+)", "mean IoU under attack, at a budget of {0}"),
        Word("clean_headline", "the task's own metric without attack"),
        Word("attacked_headline", "the task's own metric under attack"),
        Word("vanish_succeeds", "images with objects of which an attack leaves none found", "share"),
        Word("fabricate_succeeds", "images where an attack makes the detector claim what isn't there", "share"),
        Word("mislabel_succeeds", "images whose objects an attack gives other labels", "share"),
    ),
    "corruptions": (
        Word("clean_error", "error without perturbation", "share"),
        Word("mean_error", "error under perturbations, on average", "share"),
        Word("mce", "error under perturbations over that of the simple baseline (mCE)"),
        Word("relative_error", "error under perturbations over that without"),
        Word("clean_headline", "the task's metric without perturbation"),
        Word("mean_headline", "the task's metric under perturbations, on average"),
        Word("skill_lost", "skill above chance that is lost", "share"),
        Word("clean_headline", "the task's own metric without perturbation"),
        Word("mean_headline", "the task's own metric under perturbations, on average"),
    ),
    "ood": (
        Word("auroc_worst", "AUROC of its own confidence, on the worst foreign set"),
        Word("auroc_mean", "AUROC of its own confidence, mean over the foreign sets"),
        Word("auroc_(.+)_mean", "AUROC of {0}, mean over the foreign sets"),
        Word("auroc_(.+)_worst", "AUROC of {0}, on the worst foreign set"),
        Word("auroc_(.+)", "AUROC, {0}"),
    ),
    "cost": (
        Word("params", "parameters", "count"),
        Word("param_bytes", "size of the parameters", "bytes"),
        Word("macs", "multiply-accumulates of one input", "count"),
        Word("elementwise_ops", "other operations of one input", "count"),
        Word("latency_ms", "time of one input", "ms"),
        Word("onnx_latency_ms", "time of one input in ONNX Runtime", "ms"),
        Word("activation_bytes", "activations at the peak", "bytes"),
        Word("array_cycles", "cycles of one input on a systolic array of 128 x 128", "count"),
        Word("array_utilisation", "share of that array's time that multiplies", "share"),
    ),
    "duplicates": (
        Word("leaked", "test samples with a copy in the training or validation part", "share"),
        Word("leaked_equal", "those of them with an equal one", "share"),
        Word("copies_within_test", "test samples with a copy in the test part", "share"),
        Word("accuracy_without_leaked", "right, without leaked samples", "share"),
        Word("equal_pairs", "pairs of equal samples", "count"),
        Word("near_pairs", "pairs of nearly equal samples", "count"),
        Word("conflicting_pairs", "pairs of copies with different labels", "count"),
    ),
    "labels": (
        Word("wrong_(.+)_labels", "{0} labels that seem wrong", "share"),
        Word("suspect_(.+)_labels", "{0} labels under suspicion", "count"),
    ),
    "slices": (
        Word("weak_slices", "weak slices that stand", "count"),
        Word("tested_slices", "candidates that were tested", "count"),
        Word("largest_gap", "largest gap between a slice and the rest"),
    ),
    "drift": (
        Word("auroc", "AUROC of a classifier that tells the two sets apart"),
        Word("network_auroc", "the same on the network's own features"),
        Word("p_value", "p-value of no drift, all tests together"),
        Word("data_p_value", "p-value of the classifier on the data"),
        Word("label_p_value", "p-value of equal shares of classes"),
        Word("moved_columns", "columns that moved", "count"),
    ),
    "groups": (
        Word("worst_group", "score of the worst group", "share"),
        Word("best_group", "score of the best group", "share"),
        Word("largest_gap", "gap between them", "share"),
        Word("smallest_p_value", "smallest p-value of a pair of groups"),
        Word("(.+)_gap", "largest gap in {0}", "share"),
    ),
    "smoothing": (
        Word("certified_accuracy_at_(.+)", "right and certified within an L2 radius of {0}", "share"),
        Word("abstained", "samples on which the noise doesn't decide", "share"),
        Word("mean_radius", "mean certified radius, 0 where wrong or undecided"),
    ),
    "preemptive": (
        Word("robust_accuracy_as_it_is", "right under attack, released as it is", "share"),
        Word("robust_accuracy_sharpened", "right under attack, sharpened before release", "share"),
        Word("robust_accuracy_contrast", "right under attack, with more contrast at the same error", "share"),
        Word("clean_accuracy_sharpened", "right without attack, sharpened before release", "share"),
        Word("p_value", "p of McNemar's test that sharpening changes nothing"),
        Word("texture_correlation", "rank correlation of texture and the smallest budget that fools"),
        Word("contrast_correlation", "rank correlation of contrast and that budget"),
    ),
    "monitor": (
        Word("wrong_unnoticed_pgd", "wrong and unnoticed under an attacker who doesn't know the monitor", "share"),
        Word("wrong_unnoticed_adaptive", "wrong and unnoticed under one who knows it", "share"),
        Word("false_alarms", "clean samples that alarm", "share"),
        Word("alarmed_pgd", "attacked samples that alarm", "share"),
        Word("alarmed_adaptive", "attacked samples that alarm, by who knows the monitor", "share"),
        Word("alarmed_noise", "samples with noise of the same size that alarm", "share"),
        Word("alarmed_pgd_squeezing", "attacked samples that alarm by feature squeezing", "share"),
        Word("auroc_pgd", "AUROC of attacked against clean samples"),
        Word("auroc_adaptive", "the same, attacked by who knows the monitor"),
        Word("auroc_pgd_squeezing", "AUROC of feature squeezing"),
    ),
    "patches": (
        Word("fooled", "images that one pasted patch fools", "share"),
        Word("fooled_by_noise", "images that noise in its place fools", "share"),
        Word("fooled_by_grey", "images that grey in its place fools", "share"),
        Word("p_value", "p of McNemar's test that the patch does what noise does"),
        Word("covered", "share of an image that it covers", "share"),
    ),
    "attenuation": (
        Word("hidden_at_(.+)", "objects lost when {0} of their brightness is taken away where it counts", "share"),
        Word("dimmed_at_(.+)", "objects lost when {0} of their brightness is taken away evenly", "share"),
        Word("median_share", "share at which half of the objects are lost", "share"),
        Word("median_share_dimmed", "share at which half of them are lost, evenly", "share"),
    ),
    "streams": (
        Word("error", "mean absolute error over entities"),
        Word("attacked_error", "mean absolute error over entities under attack"),
        Word("largest_attacked_error", "mean absolute error of the worst entity under attack"),
        Word("attacks_seen", "attacked windows that a detector sees at 5 % false alarms", "share"),
        Word("auroc", "AUROC of that detector"),
        Word("gain_of_selection", "attacks seen if it is trained on the less vulnerable half, less if on all", "share"),
    ),
    "plausibility": (
        Word("contact_rate", "neighbours of different classes that the order forbids", "share"),
        Word("contact_rate_repaired", "the same after a repair of the labels", "share"),
        Word("contact_rate_of_labels", "the same of the true labels", "share"),
        Word("macro_dice", "mean Dice over the classes"),
        Word("macro_dice_repaired", "mean Dice after a repair of the labels"),
        Word("vanished_classes", "classes that are predicted nowhere"),
    ),
    "reliance": (
        Word("columns", "columns (of pictures: features)", "count"),
        Word("used_by_network", "that the network's outputs change with", "count"),
        Word("needed_by_labels", "that the labels ask for", "count"),
        Word("used_but_not_needed", "used, and not shown to be needed", "count"),
        Word("needed_but_not_used", "needed, and not used", "count"),
        Word("directions_of_network", "combinations that hold all of its outputs", "count"),
        Word("directions_of_labels", "combinations that hold what the labels ask for", "count"),
    ),
    "attribute_cost": (
        Word("cost_of_(.+)", "bits that {0} takes to be learnt from its features"),
        Word("told_of_(.+)", "what its features tell of {0} in the end", "share"),
    ),
    "embedding": (
        Word("outputs_(.+)", "outputs whose critical point is {0}", "count"),
        Word("width", "widest layer", "count"),
        Word("features", "numbers of an input", "count"),
        Word("floor_of_samples", "error that no such network can go below on the samples", "share"),
        Word("blocks", "residual blocks", "count"),
        Word("(.+)_ratio", "{0} weight of a block's branch over its skip"),
    ),
    "perception": (
        Word("human_like", "effects in which it is like people", "count"),
        Word("experiments", "effects that were looked for", "count"),
        Word("effect_of_(.+)", "how strongly its features show: {0}"),
    ),
}
"""Check -> its values, the first that fits counts. A test holds it against `checks.findings.measurable`."""

TITLES: dict[str, tuple[str, str]] = {
    "accuracy": ("Accuracy", "How often is it right?"),
    "calibration": ("Calibration", "Does its confidence mean what it says?"),
    "fragility": ("Fragility", "How sure is it when it is wrong?"),
    "robustness": ("Robustness", "Can it be fooled on purpose?"),
    "corruptions": ("Corruptions", "Does it break in bad conditions?"),
    "ood": ("Foreign inputs", "Does it know what it does not know?"),
    "cost": ("Cost", "What does it take to run?"),
    "duplicates": ("Duplicates and leaks", "Are there copies, and did test samples leak?"),
    "labels": ("Wrong labels", "Which labels are likely wrong?"),
    "slices": ("Weak slices", "On which kinds of samples is it weak?"),
    "drift": ("Drift", "Do the test samples come from where the others came from?"),
    "groups": ("Groups", "Does it fare worse for some groups?"),
    "monitor": ("Monitor", "Would a monitor beside it see an attack, and one that knows the monitor?"),
    "preemptive": ("Sharpened before release", "Would it be harder to fool if pictures were sharpened first?"),
    "patches": ("Pasted patches", "Does a printed patch in the picture fool it?"),
    "attenuation": ("Attenuation", "How little must be taken from an object until it is lost?"),
    "streams": ("Streams", "Whom does an attack on one channel harm, and is it seen?"),
    "plausibility": ("Plausibility", "Does it put classes beside each other that can't touch?"),
    "reliance": ("Reliance", "What does it use, and what do the labels ask for?"),
    "attribute_cost": ("Attribute cost", "What is cheap to read from its features?"),
    "embedding": ("Shape", "What does its shape forbid?"),
    "perception": ("Perception", "Does it see as people do?"),
    "smoothing": ("Certified radii", "How far does its answer surely hold, when noise is voted on?"),
}
"""Check -> (name of its section, its question)."""


def title_of(check: str) -> str:
    """A check's name for people.

    Args:
        check: built-in, or the user's own, whose name becomes words.
    """
    return TITLES[check][0] if check in TITLES else sentence(check.replace("_", " "))


def words_of(check: str, key: str) -> Word:
    """A value's words with the groups filled in; a value of the user's own is called by its name.

    Args:
        check: that reports it.
        key: its name.
    """
    for word in WORDS.get(check, ()):
        found = re.fullmatch(word.key, key)
        if found:
            groups = [group.replace("_", " ") for group in found.groups()]
            return Word(key, word.words.format(*groups), word.unit)
    return Word(key, key.replace("_", " "))


def written(value: Any, unit: str = "number") -> str:
    """A number as people read it.

    Args:
        value: number or interval, of which the point is written.
        unit: of a `Word`.
    """
    if isinstance(value, Interval):
        value = value.value
    if not isinstance(value, int | float) or isinstance(value, bool):
        return show(value)
    if value != value or value in (float("inf"), float("-inf")):
        return {"inf": "infinite", "-inf": "minus infinite"}.get(str(value), "–")
    if unit == "share":
        return f"{100 * value:.1f} %"
    if unit == "bytes":
        return in_bytes(value)
    if unit == "ms":
        return f"{value:.3g} ms"
    if unit == "count" or isinstance(value, int):
        return f"{value:,.0f}"
    return show(float(value), 3)


def spread(value: Any, unit: str = "number") -> str:
    """The ends of an interval; empty where there is none.

    Args:
        value: number or interval.
        unit: of a `Word`.
    """
    if not isinstance(value, Interval):
        return ""
    low, high = written(value.low, unit), written(value.high, unit)
    if low == high and not math.isfinite(value.low):
        return low
    return f"{low.removesuffix(' %')} to {high}" if unit == "share" else f"{low} to {high}"


def ends_of(value: Any) -> tuple[float, float, float]:
    """A number and the ends of its interval; the number itself three times where it has none.

    Args:
        value: number or interval.
    """
    if isinstance(value, Interval):
        return value.value, value.low, value.high
    return (float(value),) * 3


def in_bytes(n: float) -> str:
    """A size in decimal units.

    Args:
        n: bytes.
    """
    for unit, size in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if n >= size:
            return f"{n / size:.1f} {unit}"
    return f"{n:.0f} bytes"


def sentence(words: str) -> str:
    """With a capital first letter.

    Args:
        words: any.
    """
    return words[:1].upper() + words[1:]
