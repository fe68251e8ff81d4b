"""Distances to the k-th nearest: those of an exhaustive search, in the scale that was asked for."""

import pytest
import torch

from deepwright.core.errors import InputError
from deepwright.core.features import Activations
from deepwright.graphs import motif_ood, statistics
from deepwright.ood import KNN, FiveStatistics, KNNDetector
from deepwright.ood.dgp.distances import distance, whitening
from deepwright.ood.neighbours import kth_distance


def rows(n, d=6, seed=0):
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed))


def acts(h):
    return Activations(torch.zeros(len(h), 2), features=h)


@pytest.mark.parametrize("k", [1, 3, 50])
@pytest.mark.parametrize("offset", [0.0, 1000.0])
def test_it_is_what_a_search_of_all_finds(k, offset):
    bank, asked = rows(40) + offset, rows(30, seed=1) + offset
    want = torch.cdist(asked.double(), bank.double()).sort(dim=1).values[:, min(k, 40) - 1]
    torch.testing.assert_close(kth_distance(asked, bank, k).double(), want, rtol=1e-3, atol=1e-3)
    assert float(kth_distance(bank, bank, 1).abs().max()) == 0


def test_both_detectors_say_the_same_of_the_same_rows():
    bank, asked = rows(40), rows(9, seed=1)
    of_windows = KNNDetector(4).fit(bank[:, None]).score(asked[:, None])
    torch.testing.assert_close(of_windows, kth_distance(asked, bank, 4))


def test_deviations_are_those_of_training():
    scale = torch.tensor([1.0, 100.0, 0.01, 1.0, 1.0, 0.0])
    bank, asked = rows(60) * scale + 5, rows(9, seed=1) * scale + 5
    mean, std = bank.mean(0), bank.std(0, unbiased=False)
    std[5] = 1
    want = torch.cdist((asked - mean) / std, (bank - mean) / std).sort(dim=1).values[:, 2]
    guard = KNN(3, "deviation").fit(acts(bank))
    torch.testing.assert_close(guard.score(acts(asked)), want, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(guard.graph_score(acts(asked)), want, rtol=1e-4, atol=1e-4)
    parts = KNN(3, "deviation").fit(acts(bank[:20])).partial_fit(acts(bank[20:]))
    torch.testing.assert_close(parts.score(acts(asked)), guard.score(acts(asked)))
    again = KNN(3, "deviation")
    again.load_state_dict(guard.state_dict())
    assert torch.equal(again.score(acts(asked)), guard.score(acts(asked)))


def test_another_scale_is_refused():
    with pytest.raises(InputError, match="scale"):
        KNN(3, "range")
    with pytest.raises(InputError, match="scale"):
        KNN(3, "deviation").load_state_dict(KNN(3).fit(acts(rows(20))).state_dict())


def test_statistics_in_logarithms():
    graphs = motif_ood(0, 20)
    mean, white = whitening(statistics(graphs.train).log1p(), 0.1)
    want = distance(statistics(graphs.test).log1p(), mean, white)
    torch.testing.assert_close(FiveStatistics(0.1, log=True).fit(graphs.train).score(graphs.test), want)
