"""Scores of single samples against closed forms."""

import math

import numpy as np
import pytest
import torch

from deepwright.core.errors import InputError
from deepwright.labels import bald, entropy, least_confidence, margin


def test_scores_in_closed_form():
    even = torch.zeros(3, 7)
    assert torch.allclose(least_confidence(even), torch.full((3,), 1 - 1 / 7))
    assert torch.allclose(entropy(even), torch.full((3,), math.log(7)))
    assert torch.allclose(margin(even), torch.ones(3))
    z = torch.randn(50, 5, generator=torch.Generator().manual_seed(0))
    p = z.double().softmax(1).sort(1, descending=True).values
    assert torch.allclose(margin(z).double(), 1 - (p[:, 0] - p[:, 1]))
    assert torch.allclose(entropy(z).double(), -(p * p.log()).sum(1))
    for score in (least_confidence, entropy, margin):
        assert (score(z / 3) >= score(z) - 1e-6).all()  # a softer output is never surer
    assert entropy(torch.tensor([[1e4, 0.0]])).item() == 0.0
    with pytest.raises(InputError, match=r"NaN for samples \[1\]"):
        margin(torch.tensor([[0.0, 1.0], [math.nan, 0.0]]))


def test_scores_equal_scikit_activeml_where_it_is_installed():
    pool = pytest.importorskip("skactiveml.pool")
    p = torch.randn(500, 4).softmax(1).numpy()
    for name, ours in (("least_confident", least_confidence), ("entropy", entropy), ("margin_sampling", margin)):
        theirs = pool.uncertainty_scores(p, method=name)
        assert np.allclose(theirs, ours(torch.from_numpy(p).log()).numpy(), atol=1e-5)


def test_bald():
    rng = torch.Generator().manual_seed(0)
    passes = torch.randn(6, 40, 3, generator=rng)
    p = passes.double().softmax(2)
    expected = -(p.mean(0) * p.mean(0).log()).sum(1) + (p * p.log()).sum(2).mean(0)
    assert torch.allclose(bald(passes).double(), expected, atol=1e-6)
    sure = torch.tensor([[[9.0, 0.0]], [[0.0, 9.0]]])  # two sure passes that disagree: one bit
    assert bald(sure).item() == pytest.approx(math.log(2), rel=0.01)
    with pytest.raises(InputError, match="all the same"):
        bald(torch.zeros(3, 5, 2))
