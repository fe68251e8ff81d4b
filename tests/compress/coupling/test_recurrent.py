"""Hidden units of recurrent layers as groups over gates, steps, layers and directions; each cut is proved."""

import numpy as np
import pytest
import torch
from networks import trained_like
from torch import nn

from deepwright.compress import Plan, ShrinkGraph, cost, importance, layers, plan, shrink


class Sequence(nn.Module):
    """An embedding of each step, a recurrent layer, and a head on its last output or last state."""

    def __init__(self, kind, read="output", **options):
        super().__init__()
        self.embed, self.layer, self.read = nn.Linear(4, 10), kind(10, 12, batch_first=True, **options), read
        wide = 12 * (2 if options.get("bidirectional") and read == "output" else 1)
        self.head = nn.Linear(wide, 3)

    def forward(self, x):
        out, state = self.layer(self.embed(x).tanh())
        if self.read == "output":
            return self.head(out[:, -1])
        return self.head((state[0] if isinstance(state, tuple) else state)[-1])


class Steps(nn.Module):
    """A cell in a loop of the user's own."""

    def __init__(self, kind):
        super().__init__()
        self.cell, self.head = kind(4, 12), nn.Linear(12, 3)

    def forward(self, x):
        h = x.new_zeros(x.shape[0], self.cell.hidden_size)
        c = h
        for t in range(x.shape[1]):
            if isinstance(self.cell, nn.LSTMCell):
                h, c = self.cell(x[:, t], (h, c))
            else:
                h = self.cell(x[:, t], h)
        return self.head(h)


CASES = {
    "lstm": lambda: Sequence(nn.LSTM),
    "gru": lambda: Sequence(nn.GRU),
    "rnn": lambda: Sequence(nn.RNN),
    "rnn relu": lambda: Sequence(nn.RNN, nonlinearity="relu"),
    "two layers": lambda: Sequence(nn.LSTM, num_layers=2),
    "both directions": lambda: Sequence(nn.GRU, bidirectional=True, num_layers=2),
    "no bias": lambda: Sequence(nn.LSTM, bias=False),
    "state": lambda: Sequence(nn.LSTM, read="state"),
    "lstm cell": lambda: Steps(nn.LSTMCell),
    "gru cell": lambda: Steps(nn.GRUCell),
    "rnn cell": lambda: Steps(nn.RNNCell),
}


@pytest.mark.parametrize("name", CASES)
def test_hidden_units_are_cut_and_proved(name):
    torch.manual_seed(0)
    model, x = trained_like(CASES[name]()), torch.randn(2, 5, 4)
    graph = ShrinkGraph.from_module(model, x)
    assert graph.unsupported == []
    assert sorted(g.size for g in graph.groups) == ([12] if "cell" in name else [10, 12])
    rng = np.random.default_rng(0)
    for _ in range(3):
        kept = {g.name: rng.choice(g.size, rng.integers(1, g.size), replace=False) for g in graph.groups}
        result = shrink(model, Plan.of(graph, kept))
        assert result.verification.error <= 1e-9
        assert result.verification.random_error <= 1e-9
        assert result.verification.dtype == "float64"
        real = cost(result.model, x)
        expected = Plan.of(graph, kept).cost()
        assert (real.params, real.macs) == (expected["params"], expected["macs"])
        assert sum(row.macs for row in layers(result.model, x)) == expected["macs"]
    assert shrink(model, plan(graph, importance(graph), target={"macs": 0.5})).verification.informative


def test_the_module_says_its_new_width():
    model = Sequence(nn.LSTM)
    graph = ShrinkGraph.from_module(model, torch.randn(2, 5, 4))
    small = shrink(model, Plan.of(graph, {g.name: range(3) for g in graph.groups})).model
    assert (small.layer.hidden_size, small.layer.input_size, small.head.in_features) == (3, 3, 3)


def test_a_projected_lstm_stays():
    graph = ShrinkGraph.from_module(
        nn.Sequential(nn.Linear(4, 10), nn.LSTM(10, 12, proj_size=5, batch_first=True)), torch.randn(2, 5, 4)
    )
    assert graph.groups == []
    assert "proj_size" in graph.why_frozen("1.weight_ih_l0", 0)[-1]


def test_an_optimizer_follows():
    model, x = Sequence(nn.LSTM), torch.randn(2, 5, 4)
    optimizer = torch.optim.Adam(model.parameters())
    model(x).sum().backward()
    optimizer.step()
    graph = ShrinkGraph.from_module(model, x)
    small = shrink(model, plan(graph, importance(graph), ratio=0.5), optimizer=optimizer, inplace=True).model
    before = small.layer.weight_hh_l0.detach().clone()
    optimizer.zero_grad()
    small(x).square().sum().backward()
    optimizer.step()
    assert not torch.equal(before, small.layer.weight_hh_l0)
