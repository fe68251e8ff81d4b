"""The areas by which the search's study judges fronts: closed forms, and every mask tried one by one."""

import itertools

import numpy as np
import pytest
import torch
from torch import nn

from deepwright.core.pareto import hypervolume
from deepwright.studies.search.room import true_volume
from deepwright.studies.search.weights import held_out_volume


def test_held_out_volume_takes_what_validation_picks():
    """From 0.2 kept on the first point counts, from 0.5 on the second, whatever their test errors."""
    front = np.array([[0.1, 0.5], [0.3, 0.2]])
    held = np.array([0.2, 0.4])
    assert held_out_volume(front, held) == pytest.approx(0.3 * 0.6 + 0.5 * 0.8)


def test_held_out_volume_is_the_hypervolume_where_both_errors_agree():
    front = np.array([[0.05, 0.9], [0.2, 0.4], [0.6, 0.1]])
    assert held_out_volume(front, front[:, 0]) == pytest.approx(hypervolume(front, (1.0, 1.0)))


@pytest.mark.parametrize(("inputs", "hidden"), [(2, 2), (1, 3)])
def test_the_true_front_is_that_of_all_masks(inputs, hidden):
    rng = torch.Generator().manual_seed(hidden)
    model = nn.Sequential(nn.Linear(inputs, hidden, bias=False), nn.ReLU(), nn.Linear(hidden, 2, bias=False))
    for layer in (model[0], model[2]):
        nn.init.normal_(layer.weight, generator=rng)
    x = torch.randn(40, inputs, generator=rng)
    first, last = (layer.weight.detach().clone() for layer in (model[0], model[2]))
    with torch.no_grad():
        y = model(x).argmax(1)
        points = []
        for bits in itertools.product((0.0, 1.0), repeat=(inputs + 2) * hidden):
            mask = torch.tensor(bits)
            model[0].weight.copy_(first * mask[: inputs * hidden].view_as(first))
            model[2].weight.copy_(last * mask[inputs * hidden :].view_as(last))
            points.append([float((model(x).argmax(1) != y).double().mean()), float(mask.mean())])
        model[0].weight.copy_(first)
        model[2].weight.copy_(last)
    assert true_volume(model, x, y) == pytest.approx(hypervolume(np.array(points), (1.0, 1.0)))
