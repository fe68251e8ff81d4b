"""Understand a network: what it relies on, what its shape forbids, where it differs from people.

Four systems, each a folder of its own: `deepin` (minimal sufficient representations with selected variables and tests),
`prequential` (what a feature costs in bits, and from how many samples on it pays), `tunnel` (what narrow residual
networks cannot represent) and `mindset` (controlled psychophysics on a vision network).
"""

from deepwright.interpret.mindset import (
    PerceptionReport,
    StimulusDecoder,
    StimulusSet,
    as_grey_pixels,
    as_pixels,
    audit_perception,
    classify_stimuli,
    judge_similarity,
    list_experiments,
    make_stimuli,
    measure_experiment,
)

__all__ = [
    "PerceptionReport",
    "StimulusDecoder",
    "StimulusSet",
    "as_grey_pixels",
    "as_pixels",
    "audit_perception",
    "classify_stimuli",
    "judge_similarity",
    "list_experiments",
    "make_stimuli",
    "measure_experiment",
]
