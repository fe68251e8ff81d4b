"""Controlled psychophysics on a vision network: does it see what people see?

Stimuli that differ in one thing at a time, annotated, from a seed (`make_stimuli`); probes of any vision network: which
pictures look alike to it (`judge_similarity`), what a linear read-out makes of an illusion (`StimulusDecoder`), what it
recognises (`classify_stimuli`); and a battery with a verdict for each effect (`audit_perception`).

Example:
    >>> from deepwright.interpret import make_stimuli
    >>> stimuli = make_stimuli("muller_lyer_illusion", 4, size=64)
    >>> stimuli.images.shape
    torch.Size([12, 3, 64, 64])

Source: "MindSet: Vision. A toolbox for testing DNNs on key psychological experiments", arXiv 2404.05290.
"""

from deepwright.interpret.mindset.canvas import Canvas
from deepwright.interpret.mindset.catalogue import EXPERIMENTS, list_experiments
from deepwright.interpret.mindset.decoder import Readout, StimulusDecoder, contrast_rows, item_bias
from deepwright.interpret.mindset.distances import pair_distances
from deepwright.interpret.mindset.effects import Effect, effect_of
from deepwright.interpret.mindset.experiment import Contrast, Experiment, Human
from deepwright.interpret.mindset.making import make_stimuli
from deepwright.interpret.mindset.measuring import Measured, Plan, measure_experiment
from deepwright.interpret.mindset.observing import as_grey_pixels, as_pixels, observe
from deepwright.interpret.mindset.recognising import classify_stimuli
from deepwright.interpret.mindset.report import BATTERY, PerceptionReport, audit_perception
from deepwright.interpret.mindset.ridge import Ridge, fit_ridge
from deepwright.interpret.mindset.similarity_judging import Affine, SimilarityResult, judge_similarity
from deepwright.interpret.mindset.stimulus_set import StimulusSet

__all__ = [
    "BATTERY",
    "EXPERIMENTS",
    "Affine",
    "Canvas",
    "Contrast",
    "Effect",
    "Experiment",
    "Human",
    "Measured",
    "PerceptionReport",
    "Plan",
    "Readout",
    "Ridge",
    "SimilarityResult",
    "StimulusDecoder",
    "StimulusSet",
    "as_grey_pixels",
    "as_pixels",
    "audit_perception",
    "classify_stimuli",
    "contrast_rows",
    "effect_of",
    "fit_ridge",
    "item_bias",
    "judge_similarity",
    "list_experiments",
    "make_stimuli",
    "measure_experiment",
    "observe",
    "pair_distances",
]
