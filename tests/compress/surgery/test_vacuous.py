"""A proof on outputs that say nothing isn't counted; wiring is proved on random weights too."""

import pytest
import torch
from networks import trained_like
from torch import nn
from torch.nn import functional as F

from deepwright.compress import Plan, ShrinkGraph, SurgeryError, shrink, verify


def halved(model, x):
    graph = ShrinkGraph.from_module(model, x)
    return shrink(model, Plan.of(graph, {g.name: range(g.size // 2) for g in graph.groups}))


def switched_off():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 8), nn.ReLU())
    with torch.no_grad():
        model[2].bias.fill_(-100)
    return model


def test_constant_outputs_are_said_to_prove_nothing():
    proof = halved(switched_off(), torch.rand(4, 6)).verification
    assert not proof.informative
    assert proof.random_error <= 1e-9
    assert "random weights alone" in str(proof)


def test_outputs_that_move_are_informative():
    torch.manual_seed(0)
    proof = halved(nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 8)), torch.rand(4, 6)).verification
    assert proof.informative
    assert proof.random_error <= 1e-9


@pytest.mark.parametrize("own", [True, False])
def test_a_wrong_cut_behind_a_layer_that_is_off_is_caught(own):
    """Other channels than the plan's: nothing of it is seen in outputs that are all zero."""
    model, x = switched_off(), torch.rand(4, 6)
    if own:
        with torch.no_grad():
            model[2].bias.fill_(0)
    graph = ShrinkGraph.from_module(model, x)
    small = shrink(model, Plan.of(graph, {"0": range(8)}), skip_verification=True).model
    with pytest.raises(SurgeryError, match="differs from its masked original"):
        verify(Plan.of(graph, {"0": range(8, 16)}), _rolled(small))


def _rolled(small):
    """Wired to other channels: inputs of the second layer in another order."""

    class Rolled(nn.Sequential):
        def forward(self, x):
            return self[3](self[2](self[1](self[0](x)).roll(1, 1)))

    return Rolled(*small)


class ZeroBranch(nn.Module):
    """A residual branch that starts at zero."""

    def __init__(self):
        super().__init__()
        self.a, self.b, self.gain = nn.Linear(6, 16), nn.Linear(16, 6), nn.Parameter(torch.zeros(6))

    def forward(self, x):
        return x + self.gain * self.b(F.softplus(self.a(x)))


class OtherBranch(ZeroBranch):
    """Its channels dealt out in another order."""

    def forward(self, x):
        return x + self.gain * self.b(F.softplus(self.a(x)).roll(1, 1))


def test_a_branch_that_starts_at_zero_is_proved_too():
    """The outputs move, and yet they say nothing of what was cut."""
    torch.manual_seed(0)
    model, x = ZeroBranch(), torch.rand(4, 6)
    result = halved(model, x)
    assert result.verification.error == 0
    wrong = OtherBranch()
    wrong.a, wrong.b, wrong.gain = result.model.a, result.model.b, result.model.gain
    chosen = Plan.of(result.graph, {"a": range(8)})
    assert torch.equal(wrong(x), result.model(x))
    with pytest.raises(SurgeryError, match="differs from its masked original"):
        verify(chosen, wrong)


def test_outputs_that_depend_on_nothing_are_refused():
    class Constant(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = nn.Linear(6, 8), nn.Linear(8, 3)

        def forward(self, x):
            return 0 * self.b(self.a(x))

    with pytest.raises(SurgeryError, match="for every input and for any weights"):
        halved(trained_like(Constant()), torch.rand(4, 6))
