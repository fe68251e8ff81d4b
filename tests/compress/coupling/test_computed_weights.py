"""Weights that are computed at each call: refused where nothing is left to remove, told where something is."""

import warnings

import pytest
import torch
from torch import nn
from torch.nn import utils
from torch.nn.utils import parametrizations

from deepwright.compress import ShrinkGraph
from deepwright.core.errors import InputError

X = torch.rand(2, 6, generator=torch.Generator().manual_seed(0))
KINDS = {
    "weight norm": parametrizations.weight_norm,
    "weight norm, older": utils.weight_norm,
    "spectral norm": parametrizations.spectral_norm,
    "orthogonal": parametrizations.orthogonal,
}


def network(kind, layers):
    model = nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 4), nn.ReLU(), nn.Linear(4, 3))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the older kind is on its way out
        for i in layers:
            KINDS[kind](model[i])
    return model.eval()


@pytest.mark.parametrize("kind", KINDS)
def test_a_network_of_computed_weights_is_refused(kind):
    with pytest.raises(InputError, match="computed at each call, in 0, 2, 4"):
        ShrinkGraph.from_module(network(kind, (0, 2, 4)), X)


@pytest.mark.parametrize("kind", KINDS)
def test_a_layer_of_computed_weights_is_told(kind):
    with pytest.warns(UserWarning, match="nothing is removed from weights that are computed at each call, in 0;"):
        graph = ShrinkGraph.from_module(network(kind, (0,)), X)
    assert [g.size for g in graph.groups] == [4]


def test_what_the_hint_says_helps():
    model = network("weight norm", (0, 2, 4))
    for i in (0, 2, 4):
        utils.parametrize.remove_parametrizations(model[i], "weight")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert [g.size for g in ShrinkGraph.from_module(model, X).groups] == [5, 4]
