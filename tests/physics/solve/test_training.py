"""Fits go on to the bit, put good parameters back, and weigh blocks."""

from pathlib import Path

import pytest
import torch
from squares import ONE, Vector, poisson
from torch import nn

from deepwright.core.errors import InputError
from deepwright.physics import (
    Block,
    Diverged,
    GradNormBalancer,
    LeastSquaresProblem,
    NTKBalancer,
    Phase,
    causal_weights,
    fit_problem,
    schedule_for,
)
from deepwright.physics.solve import part_of


@pytest.mark.parametrize("optimizer", ["adam", "lm", "ssbroyden", "lbfgs"])
def test_a_resumed_fit_ends_in_the_same_bits(optimizer, tmp_path):
    whole, _ = poisson()
    fit_problem(whole, [(optimizer, 12)], resample=5, balancer=GradNormBalancer(4) if optimizer == "adam" else None)
    first, _ = poisson()

    class Killed(Exception):
        pass

    def kill(step, info):
        if step == 7:
            raise Killed

    options = dict(resample=5, checkpoint=tmp_path / "fit.pt", every=3)
    options["balancer"] = GradNormBalancer(4) if optimizer == "adam" else None
    with pytest.raises(Killed):
        fit_problem(first, [(optimizer, 12)], on_step=kill, **options)
    again, _ = poisson()
    training = fit_problem(again, [(optimizer, 12)], **options)
    assert training.resumed_at == 6
    assert training.steps == 12
    assert torch.equal(again.vector(), whole.vector())
    other, _ = poisson(seed=0, n=80)
    with pytest.raises(InputError, match="another points of pde"):
        fit_problem(other, [(optimizer, 12)], **options)


def test_divergence_puts_the_last_good_parameters_back():
    model = Vector([3.0])
    log = Block("log", lambda m, r: torch.log(m.x)[None].expand(len(r), 1), ONE)
    problem = LeastSquaresProblem(model, [log])
    with pytest.raises(Diverged, match="block 'log'"):
        fit_problem(problem, [Phase("adam", 50, 10.0)])
    assert bool(torch.isfinite(model.x).all())
    assert float(model.x) > 0


def test_weights_that_balance():
    problem, _ = poisson()
    for balancer in (GradNormBalancer(ema=0.0), NTKBalancer()):
        weights = balancer(problem)
        assert weights["edge"] > weights["pde"] > 0
    assert torch.allclose(causal_weights(torch.tensor([1.0, 2.0, 3.0])), torch.exp(-torch.tensor([0.0, 1.0, 3.0])))


@pytest.mark.parametrize(
    ("phase", "message"),
    [
        (("sgd", 3), "one of adam"),
        (("lm", -1), "steps; given: -1"),
        (("adam", 3, 0.0), "a learning rate above 0"),
        (("lbfgs", 3, 1e-3), "none: it has a line search"),
        (("lm", 3, 1e-3, True), "only Adam"),
    ],
)
def test_phases_that_cannot_be(phase, message):
    with pytest.raises(InputError, match=message):
        Phase(*phase)


def test_a_schedule_by_the_number_of_parameters():
    assert [schedule_for(n)[0].optimizer for n in (500, 5000, 50_000)] == ["lm", "adam", "adam"]


def test_out_of_time_is_not_finished(tmp_path):
    """A fit that runs out of CPU time goes on with more of it, to the bits of one that never did."""
    whole, _ = poisson()
    fit_problem(whole, [("lm", 6), ("adam", 3)])
    short, _ = poisson()
    first = fit_problem(short, [("lm", 6), ("adam", 3)], max_time=1e-9, checkpoint=tmp_path / "fit.pt")
    assert first.steps == 1
    assert first.stopped == ["lm: out of time", "adam: out of time"]
    again, _ = poisson()
    training = fit_problem(again, [("lm", 6), ("adam", 3)], checkpoint=tmp_path / "fit.pt")
    assert (training.resumed_at, training.steps, training.stopped) == (1, 9, [])
    assert torch.equal(again.vector(), whole.vector())


class Counting(nn.Module):
    """A line whose residual's calls are counted in a buffer."""

    def __init__(self):
        super().__init__()
        self.line = nn.Linear(1, 1, dtype=torch.float64)
        self.register_buffer("calls", torch.zeros((), dtype=torch.float64))

    def forward(self, x):
        if torch.is_grad_enabled() and not torch._C._functorch.peek_interpreter_stack():
            self.calls += 1
        return self.line(x)


def test_buffers_go_on_too(tmp_path):
    x = torch.linspace(0, 1, 5, dtype=torch.float64)[:, None]

    def fit(steps_before_kill=None):
        with torch.random.fork_rng():
            torch.manual_seed(0)
            model = Counting()

        def kill(step, info):
            if step == steps_before_kill:
                raise KeyboardInterrupt

        problem = LeastSquaresProblem(model, [Block("line", lambda m, x: m(x) - x, (x,))])
        path = None if steps_before_kill is None else tmp_path / "fit.pt"
        fit_problem(problem, [("adam", 6)], checkpoint=path, every=1, on_step=kill)
        return float(model.calls)

    with pytest.raises(KeyboardInterrupt):
        fit(3)
    assert fit(99) == fit()


def test_parts_of_a_run_are_beside_it():
    assert part_of("runs/flow.pt", "sweep-0") == Path("runs/flow.sweep-0.pt")
    assert part_of(part_of("flow.pt", "slab-1"), "sweep-0") == Path("flow.slab-1.sweep-0.pt")
    assert part_of(None, "sweep-0") is None
