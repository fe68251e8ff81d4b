"""Detectors fitted on samples that don't differ: a score that means something, or a refusal; never NaN nor 10^12."""

import pytest
import torch

from deepwright.core.errors import InputError
from deepwright.core.features import Activations
from deepwright.ood import BBAS, MDS, OutsideTheBox
from deepwright.ood.suite import ALL

RNG = torch.Generator().manual_seed(0)
WEIGHT = torch.randn(3, 8, generator=RNG)
LABELS = torch.arange(60) % 3
FOREIGN = 3 * torch.randn(20, 8, generator=RNG)
DEAD = torch.randn(60, 8, generator=RNG).relu() * (torch.arange(8) < 3)
KNOWN = {
    "all alike": torch.ones(60, 8),
    "zeros": torch.zeros(60, 8),
    "alike in each class": 3 * torch.eye(3, 8)[LABELS],
    "most units dead": DEAD,
}
DETECTORS = {cls.__name__: cls for cls in [*ALL, OutsideTheBox] if cls.__name__ != "ODIN"}  # which needs a network


def activations(h, labels=None):
    logits = h @ WEIGHT.T if labels is None else 5 * torch.eye(3)[labels] - 1
    layers, kinds = {"a": h, "m": torch.cat([h, h, h], 1)}, {"a": "vector", "m": "map"}
    return Activations(logits, labels, h, layers, kinds, WEIGHT, torch.zeros(3))


@pytest.mark.parametrize("name", DETECTORS)
@pytest.mark.parametrize("kind", KNOWN)
def test_scores_are_finite_or_the_samples_refused(name, kind):
    known = activations(KNOWN[kind], LABELS)
    try:
        detector = DETECTORS[name]().fit(known)
    except InputError:  # of the fit, so that a suite leaves it out and the others go on
        assert name in ("MDS", "RMDS", "ViM")
        return
    scores = torch.cat([detector.score(known), detector.score(activations(FOREIGN))])
    assert bool(torch.isfinite(scores).all())
    assert float(scores.abs().max()) < 1e8


@pytest.mark.parametrize("size", [0.1, 1 / 3, 1e6 + 0.1])
def test_gaussians_tell_rounding_from_spread(size):
    """Means of equal numbers round: what is left is no covariance, in one fit or in batches."""
    known = activations(size * (1 + torch.eye(3, 8)[LABELS]), LABELS)
    with pytest.raises(InputError, match="all alike"):
        MDS().fit(known)
    bit_by_bit = MDS()
    for rows in torch.arange(60).split(7):
        bit_by_bit.partial_fit(known[rows])
    with pytest.raises(InputError, match="all alike"):
        bit_by_bit.score(known)


def test_what_never_varied_is_measured_as_it_is():
    """No deviation to count in: the distance itself, by hand, of one layer and one class."""
    known = Activations(torch.ones(4, 1), None, torch.zeros(4, 2), {"a": torch.zeros(4, 2)}, {"a": "plain"})
    other = Activations(torch.ones(1, 1), None, None, {"a": torch.tensor([[3.0, 1.0]])}, {"a": "plain"})
    assert float(BBAS(use="single").fit(known).score(other)) == pytest.approx(2.0)
