"""The words of a report explained, the Fragility Index in one picture."""

from __future__ import annotations

import math
from html import escape

from deepwright.core.results import Figure
from deepwright.report.figures import svg

TERMS: tuple[tuple[str, str], ...] = (
    (
        "Grade",
        "A (best) to E by a written rule that stands in each section. “B, could be C” means that the 95 % "
        "interval of what was measured reaches into C: more samples will tell. Where nothing can be judged there "
        "is no letter.",
    ),
    (
        "95 % interval",
        "What the number could as well be, given how few samples it was measured on. Of a hundred such intervals "
        "about ninety-five hold the true value.",
    ),
    (
        "Expected calibration error (ECE)",
        "How far confidence and share of right answers lie apart on average, over 15 bins of confidence. 0 is "
        "best. Few samples make it too large, so what they add by chance is taken off before it is judged.",
    ),
    (
        "Reliability diagram",
        "Of the answers given with a confidence of 0.8, how many are right? On the diagonal it means what it "
        "says; below it, the network is too sure.",
    ),
    (
        "Misjudgment",
        "Probability of the best wrong class less that of the true one: -1 is sure and right, 0 a coin flip, 1 "
        "sure and wrong.",
    ),
    (
        "Fragility Index (FI)",
        "How fast the mean misjudgment can rise, at the very worst, as the population drifts away from the test "
        "samples. 0 is best; infinite where the mean already misses the target. It compares between networks at "
        "matched temperature.",
    ),
    (
        "Temperature",
        "A number that all logits are divided by before the softmax: it makes a network more or less sure without "
        "changing any answer.",
    ),
    (
        "Robust accuracy",
        "Share of samples that are still right when each may be changed on purpose within a budget. L-inf budgets "
        "say by how much each pixel or column may move. Attacks that fail may have been too weak: it is an upper "
        "bound.",
    ),
    (
        "Masked gradients",
        "Signs that attacks fail because the slope misleads them, not because the network is robust.",
    ),
    (
        "Skill",
        "What the network is right on beyond the best constant answer. Losses under corruptions are measured in it.",
    ),
    (
        "mCE",
        "Mean corruption error: the error under perturbations over that of the simple baseline on the same "
        "inputs. Above 1 it is worse than the baseline.",
    ),
    (
        "AUROC",
        "Probability that a foreign input gets a higher score than one of its own: 1 tells them apart always, 0.5 "
        "is a coin flip.",
    ),
    (
        "Foreign inputs",
        "Inputs that belong to none of the classes (also called out of distribution). “Near” ones resemble the "
        "data, “far” ones don't.",
    ),
)
_DRIFT = [i / 20 for i in range(25)]


def glossary_html() -> str:
    """Terms and the picture."""
    terms = "".join(f"<dt>{escape(term)}</dt><dd>{escape(text)}</dd>" for term, text in TERMS)
    return f"{svg(fragility_picture())}<dl>{terms}</dl>"


def fragility_picture() -> Figure:
    """The index is the slope of the flattest line from the target that no drift of the population gets above.

    Drawn for a made-up network: the worst case rises with the root of the divergence.
    """
    start, rise = -0.5, 1.2
    slope = rise**2 / (4 * -start)  # of the tangent to start + rise sqrt(x) that goes through the origin
    return Figure(
        "line",
        "The Fragility Index in one picture",
        [
            {"name": "worst mean misjudgment", "x": _DRIFT, "y": [start + rise * math.sqrt(x) for x in _DRIFT]},
            {
                "name": "flattest line that stays above it: FI is its slope",
                "x": [0.0, 1.2],
                "y": [0.0, 1.2 * slope],
                "dashed": True,
            },
        ],
        "how far the population drifts (KL divergence)",
        "mean misjudgment (0: a coin flip)",
        note="Made-up numbers. The curve starts at the mean misjudgment of the test samples, the line at the target.",
    )
