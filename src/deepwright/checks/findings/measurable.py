"""What the built-in checks can measure, and between which bounds: gates are held against it before anything runs."""

from __future__ import annotations

import re

INF = float("inf")
_SHARE, _POSITIVE, _ANY = (0.0, 1.0), (0.0, INF), (-INF, INF)
Bounds = tuple[float, float]


def _named(bounds: Bounds, *patterns: str) -> list[tuple[str, Bounds]]:
    return [(pattern, bounds) for pattern in patterns]


# Of every task: what `accuracy` reports beside the field's metrics, and those metrics themselves.
_TASK_METRICS = [
    *_named(_SHARE, "accuracy", "balanced_accuracy", "top5_accuracy", "subset_accuracy", "label_accuracy"),
    *_named(_SHARE, "sensitivity", "specificity", "auroc", "average_precision", "mean_average_precision"),
    *_named(_SHARE, "f1", "micro_f1", "macro_f1", "map", "ap50", "map_.+", "mean_iou", "mean_dice", "pixel_accuracy"),
    *_named(_SHARE, "within_tolerance", "contact_rate"),
    *_named(_POSITIVE, "mae", "rmse", "mase", "crps", "pinball"),
    *_named(_ANY, "nll"),
    *_named((-INF, 1.0), "r2"),
]

MEASURABLE: dict[str, list[tuple[str, Bounds]]] = {
    "accuracy": [
        *_TASK_METRICS,
        *[(f"baseline_{pattern}", bounds) for pattern, bounds in _TASK_METRICS],
        *_named(_SHARE, "chance", "score", "p_value_against_.+", "accuracy_in_another_order"),
        *_named(_SHARE, "accuracy_at_a_half"),
        *_named(_POSITIVE, "classes_without_samples"),
    ],
    "calibration": [
        *_named(_SHARE, "ece", "ece_.+", "localisation_ece", "miscoverage", "coverage_.+", "conformal_coverage_.+"),
        *_named(_POSITIVE, "conformal_width_.+"),
        *_named(_ANY, "width_.+"),
        *_named((0.0, 2.0), "brier"),
        *_named(_POSITIVE, "nll", "temperature"),
        *_named((-1.0, 1.0), "overconfidence"),
        *_named(_ANY, "nll_saved_by_temperature"),
    ],
    "fragility": [
        *_named(_POSITIVE, "fi", "nfi", "fi_matched", "nfi_matched", "baseline_nfi"),
        *_named(_SHARE, "confident_errors"),
        *_named((-1.0, 1.0), "cvar95"),
    ],
    "robustness": [
        *_named(_SHARE, "clean_accuracy", "noise_accuracy", "robust_accuracy_at_.+", "clean_accuracy_kept"),
        *_named(
            _SHARE,
            "random_accuracy_at_.+",
            "baseline_robust_accuracy_at_.+",
            "embedding_l2_accuracy_at_.+",
            "embedding_linf_accuracy_at_.+",
        ),
        *_named(_POSITIVE, "area", "baseline_area", "eps_half", "clean_headline", "attacked_headline"),
        *_named(_SHARE, "mean_iou_at_.+", "mean_iou_kept"),
        *_named(_SHARE, "vanish_succeeds", "fabricate_succeeds", "mislabel_succeeds"),
        *_named(_POSITIVE, "queries_per_text"),
    ],
    "corruptions": [
        *_named(_SHARE, "clean_error", "mean_error"),
        *_named(_ANY, "mce", "relative_error", "skill_lost"),
        *_named(_POSITIVE, "clean_headline", "mean_headline"),
    ],
    "ood": _named(_SHARE, "auroc_.+"),
    "cost": [
        *_named(_POSITIVE, "params", "param_bytes", "macs", "elementwise_ops", "activation_bytes"),
        *_named(_POSITIVE, "latency_ms", "onnx_latency_ms", "array_cycles"),
        *_named(_SHARE, "array_utilisation"),
    ],
    "duplicates": [
        *_named(_SHARE, "leaked", "leaked_equal", "copies_within_test", "accuracy_without_leaked"),
        *_named(_POSITIVE, "equal_pairs", "near_pairs", "conflicting_pairs"),
    ],
    "labels": [*_named(_SHARE, "wrong_.+_labels"), *_named(_POSITIVE, "suspect_.+_labels")],
    "slices": [*_named(_POSITIVE, "weak_slices", "tested_slices"), *_named((-1.0, 1.0), "largest_gap")],
    "drift": [
        *_named(_SHARE, "auroc", "network_auroc", "p_value", "data_p_value", "label_p_value"),
        *_named(_POSITIVE, "moved_columns"),
    ],
    "groups": [
        *_named(_SHARE, "worst_group", "best_group", "smallest_p_value"),
        *_named((-1.0, 1.0), "largest_gap", "true_positive_rate_gap", "false_positive_rate_gap"),
    ],
    "smoothing": [*_named(_SHARE, "certified_accuracy_at_.+", "abstained"), *_named(_POSITIVE, "mean_radius")],
    "preemptive": [
        *_named(_SHARE, "robust_accuracy_as_it_is", "robust_accuracy_sharpened", "robust_accuracy_contrast"),
        *_named(_SHARE, "clean_accuracy_sharpened", "p_value"),
        *_named((-1.0, 1.0), "texture_correlation", "contrast_correlation"),
    ],
    "monitor": [
        *_named(_SHARE, "wrong_unnoticed_pgd", "wrong_unnoticed_adaptive", "false_alarms"),
        *_named(_SHARE, "alarmed_pgd", "alarmed_adaptive", "alarmed_noise", "alarmed_pgd_squeezing"),
        *_named(_SHARE, "auroc_pgd", "auroc_adaptive", "auroc_pgd_squeezing"),
    ],
    "patches": _named(_SHARE, "fooled", "fooled_by_noise", "fooled_by_grey", "p_value", "covered"),
    "streams": [
        *_named(_POSITIVE, "error", "attacked_error", "largest_attacked_error"),
        *_named(_SHARE, "attacks_seen", "auroc"),
        *_named((-1.0, 1.0), "gain_of_selection"),
    ],
    "attenuation": _named(_SHARE, "hidden_at_.+", "dimmed_at_.+", "median_share", "median_share_dimmed"),
    "plausibility": [
        *_named(_SHARE, "contact_rate", "contact_rate_repaired", "contact_rate_of_labels"),
        *_named(_SHARE, "macro_dice", "macro_dice_repaired"),
        *_named(_POSITIVE, "vanished_classes"),
    ],
    "reliance": [
        *_named(_POSITIVE, "columns", "used_by_network", "needed_by_labels", "used_but_not_needed"),
        *_named(_POSITIVE, "needed_but_not_used", "directions_of_network", "directions_of_labels"),
    ],
    "attribute_cost": [*_named(_POSITIVE, "cost_of_.+"), *_named(_SHARE, "told_of_.+")],
    "embedding": [
        *_named(_POSITIVE, "outputs_.+", "width", "features", "blocks", "least_ratio", "largest_ratio"),
        *_named(_SHARE, "floor_of_samples"),
    ],
    "perception": [*_named(_POSITIVE, "human_like", "experiments"), *_named(_ANY, "effect_of_.+")],
}
"""Check -> (name of a value as a regular expression, the bounds that it can't leave)."""


def bounds_of(check: str, value: str) -> Bounds | None:
    """Between what a value of a built-in check lies; None where that check has no such value.

    Args:
        check: one of the built-in ones.
        value: its name.
    """
    return next((bounds for pattern, bounds in MEASURABLE[check] if re.fullmatch(pattern, value)), None)
