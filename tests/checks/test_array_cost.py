"""What an audit says of systolic arrays: the layers that waste most, and the batch that wouldn't."""

import re

import pytest
import torch
from torch import nn

from deepwright.checks.array_cost import array_cost
from deepwright.core.errors import InputError
from deepwright.hardware import TPU_V4, AreaModel, SystolicArray, at_batch, gemms_from_module, simulate


class Tokens(nn.Module):
    """Twelve tokens of 64 features through a layer of attention and one product per sample."""

    def __init__(self):
        super().__init__()
        self.layer = nn.TransformerEncoderLayer(64, 4, 256, batch_first=True)
        self.head = nn.Linear(64, 10)

    def forward(self, x):
        return self.head(self.layer(x).mean(1))


def test_any_batch_is_told_from_two():
    module = Tokens()
    one, two, nine = (gemms_from_module(module, torch.zeros(n, 12, 64)) for n in (1, 2, 9))
    assert list(at_batch(one, two, 9)) == list(nine)
    assert at_batch(one, two, 9).batch == 9


class Pair(nn.Module):
    """Something bilinear, which no array takes, and a product."""

    def __init__(self):
        super().__init__()
        self.pair, self.last = nn.Bilinear(3, 4, 5), nn.Linear(5, 2)

    def forward(self, x):
        return self.last(self.pair(x, x[:, :1].expand(-1, 4)))


@pytest.mark.filterwarnings("ignore:not mapped")
def test_what_is_not_mapped_grows_with_the_batch():
    one, two, nine = (gemms_from_module(Pair(), torch.zeros(n, 3)) for n in (1, 2, 9))
    found = at_batch(one, two, 9)
    assert found.unmapped_macs == nine.unmapped_macs == 9 * one.unmapped_macs > 0
    assert found.unmapped == nine.unmapped
    two.unmapped += ("cdist in head",)
    assert at_batch(one, two, 9).unmapped == (*nine.unmapped, "cdist in head")


def test_passes_that_tell_nothing_are_refused():
    one, two = (gemms_from_module(nn.Linear(4, 4), torch.zeros(n, 4)) for n in (1, 2))
    other = gemms_from_module(nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 3)), torch.zeros(2, 4))
    longer = gemms_from_module(nn.Linear(5, 4), torch.zeros(2, 5))
    for a, b, batch in ((one, one, 3), (one, other, 3), (one, longer, 3), (one, two, 0)):
        with pytest.raises(InputError):
            at_batch(a, b, batch)


def test_the_layers_that_waste_most_are_named():
    module, x = Tokens(), torch.zeros(1, 12, 64)
    found = array_cost(module, x)
    assert found.values["array_cycles"] == simulate(gemms_from_module(module, x), TPU_V4).cycles
    layers, batches = found.tables
    assert layers.column("product")[0] in ("layer.linear1", "layer.linear2", "layer.self_attn, scores")
    assert len(layers.rows) == 5
    assert batches.column("inputs at once") == [1, 4, 16, 64, 256]
    assert batches.column("slabs are faster by")[0] > 1.3
    assert f"{found.values['array_cycles']:,} cycles for one input" in found.words


def test_nothing_that_multiplies_says_so():
    found = array_cost(nn.ReLU(), torch.zeros(1, 4))
    assert (found.values, found.tables) == ({}, [])
    assert "nothing that multiplies" in found.words


def test_a_small_network_gains_from_more_inputs_at_once():
    """It never uses a hundredth of the array, and still takes many times fewer cycles an input at 64 than at 1."""
    found = array_cost(nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 3)), torch.zeros(1, 8))
    layers, batches = found.tables
    assert min(layers.column("inputs at once")) >= 64
    each = batches.column("cycles an input")
    assert each[0] > 10 * each[3]


class Beside(nn.Module):
    """One more row than there are samples."""

    def forward(self, x):
        return torch.cat([x, x[:1]]) @ torch.ones(8, 4)


def test_sizes_out_of_proportion_are_told_at_one_batch():
    found = array_cost(Beside(), torch.zeros(1, 8))
    assert len(found.tables) == 1
    assert found.tables[0].column("inputs at once") == [None]


def small_cnn():
    layers = [nn.Conv2d(3, 32, 3), nn.ReLU(), nn.Conv2d(32, 64, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    return nn.Sequential(*layers, nn.Linear(64, 10)), torch.zeros(1, 3, 32, 32)


def mlp():
    return nn.Sequential(nn.Linear(784, 256), nn.ReLU(), nn.Linear(256, 10)), torch.zeros(1, 784)


@pytest.mark.parametrize("make", [mlp, small_cnn])
def test_a_shape_is_advised_within_the_squares_area(make):
    """And its cycles are those that a simulation counts on the same buffers."""
    model, x = make()
    words = array_cost(model, x).words
    said = re.search(r"cycle from the buffers, (\d+) x (\d+)(?: in (\d+) slabs)? takes the fewest, ([\d,]+)", words)
    rows, cols, slabs = (int(n or 1) for n in said.groups()[:3])
    array = SystolicArray(rows, cols, slabs=slabs)
    assert 0.8 * AreaModel().area(TPU_V4) < AreaModel().area(array) <= AreaModel().area(TPU_V4)
    work = gemms_from_module(model, x, bytes_per_element=1)
    ours, square = (simulate(work, a, buffer_bandwidth=1152).cycles for a in (array, TPU_V4))
    assert ours == int(said[4].replace(",", ""))
    assert ours <= 0.95 * square
    assert "(5.0% more area)" in words


def test_a_gain_that_is_small_is_not_said():
    """Rows, columns and sums that the square fits: another shape gains less than a twentieth."""
    words = array_cost(nn.Linear(4096, 1024), torch.zeros(1, 128, 4096)).words
    assert "cycles for one input" in words
    assert "fewest" not in words
