"""scikit-activeml's strategies in our loop, and ours in its cycles."""

import math

import pytest
import torch

from deepwright.core.errors import InputError
from deepwright.core.features import extract
from deepwright.labels import STRATEGIES, View, as_skactiveml, from_skactiveml
from deepwright.nets import mlp
from labels.small_loops import loop


def test_scikit_activeml_both_ways():
    pool = pytest.importorskip("skactiveml.pool")
    model = mlp(5, 3, (8,)).eval()
    x = torch.randn(60, 5, generator=torch.Generator().manual_seed(0))
    found = extract(model, [x], ())
    labelled = torch.arange(10)
    free = torch.arange(10, 60)
    view = View(found.logits, found.features, labelled, free, 3, truth=labelled % 3)
    for theirs, ours in (
        (pool.UncertaintySampling(method="least_confident"), "least-confidence"),
        (pool.UncertaintySampling(method="entropy"), "entropy"),
        (pool.CoreSet(), "k-center"),
    ):
        expected = set(STRATEGIES[ours].select(view, 6).tolist())
        assert set(from_skactiveml(theirs).select(view, 6).tolist()) == expected
        y = torch.full((60,), math.nan)
        y[labelled] = (labelled % 3).float()
        assert set(as_skactiveml(ours, model).query(x.numpy(), y.numpy(), batch_size=6).tolist()) == expected
    running = loop(strategy=from_skactiveml(pool.TypiClust()), budget=40)
    assert len(set(running.run().indices)) == 40
    with pytest.raises(InputError, match="ensemble"):
        from_skactiveml(pool.QueryByCommittee())
    with pytest.raises(InputError, match="stochastic"):
        as_skactiveml("bald", model)
