"""Derivatives and training against DeepXDE and PINA, the kinetic step against torchdiffeq: same problem and threads."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from deepwright.physics import LeastSquaresProblem, fit_problem, laplacian
from deepwright.physics.bundled import poisson
from deepwright.physics.kinetic.controls import PotentialVelocity
from deepwright.physics.kinetic.scheme import KineticJKO, PhaseSpaceParticles
from deepwright.physics.kinetic.systems import GaussianMixture, Harmonic, KineticFokkerPlanck
from deepwright.physics.networks import field
from deepwright.physics.pde_data.batches import ChannelRegistry
from deepwright.physics.pde_data.corpus import line_corpus, unified
from deepwright.physics.solve.problem import relative_errors
from deepwright.physics.unifluids.baselines import FNO, train_next_frame
from deepwright.physics.unifluids.forecasts import relative_error
from deepwright.physics.unifluids.model import UniFluids
from deepwright.physics.unifluids.training import train as train_unifluids


def run() -> list[dict[str, Any]]:
    """All of it, on one thread, in CPU seconds of the process."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return [*_gradients(), *_accuracy(), *_kinetic(), *_rollouts()]
    finally:
        torch.set_num_threads(threads)


def _row(what: str, ours: float, peer: str, theirs: float, note: str = "") -> dict[str, Any]:
    return {"what": what, "ours_s": ours, "peer": peer, "peer_s": theirs, "ratio": theirs / ours, "note": note}


def _cpu(calls: dict[str, Callable[[], Any]], repeats: int) -> dict[str, float]:
    """Median CPU seconds, calls in turn."""
    times: dict[str, list[float]] = {k: [] for k in calls}
    for call in calls.values():
        call()
    for _ in range(repeats):
        for name, call in calls.items():
            begin = time.process_time()
            call()
            times[name].append(time.process_time() - begin)
    return {k: sorted(v)[len(v) // 2] for k, v in times.items()}


def _nested(u: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    own = x.clone().requires_grad_(True)
    (g,) = torch.autograd.grad(u(own).sum(), own, create_graph=True)
    return sum(torch.autograd.grad(g[:, i].sum(), own, create_graph=True)[0][:, i] for i in range(x.shape[1]))  # type: ignore[return-value]


def _gradients() -> list[dict[str, Any]]:
    rows = []
    for d, n in ((3, 4096), (10, 2048)):
        u = field(d, 1, (64,) * 4)
        x = torch.rand(n, d, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
        adam = torch.optim.Adam(u.parameters(), 1e-3)

        def iteration(residual: Callable[[], Tensor], adam: torch.optim.Optimizer = adam) -> None:
            adam.zero_grad()
            (residual() + 1).square().mean().backward()
            adam.step()

        ways: dict[str, Callable[[], Any]] = {
            "ours": lambda u=u, x=x, step=iteration: step(lambda: laplacian(u, x)[:, 0]),
            "nested autograd.grad": lambda u=u, x=x, step=iteration: step(lambda: _nested(u, x)),
        }
        peer = _deepxde_step(d, n)
        if peer is not None:
            ways["DeepXDE (reverse mode)"] = peer
        timed = _cpu(ways, 7)
        rows += [
            _row(f"Adam iteration, Poisson residual, d = {d}, {n} points, 4 x 64 tanh, float64", timed["ours"], k, v)
            for k, v in timed.items()
            if k != "ours"
        ]
    return rows


def _deepxde() -> Any:
    os.environ["DDE_BACKEND"] = "pytorch"
    try:
        import deepxde
    except ImportError:
        return None
    deepxde.config.set_default_float("float64")
    torch.set_default_device("cpu")
    return deepxde


def _deepxde_step(d: int, n: int) -> Callable[[], Any] | None:
    dde = _deepxde()
    if dde is None:
        return None
    box = dde.geometry.Hypercube([0.0] * d, [1.0] * d)

    def equation(x: Tensor, y: Tensor) -> Tensor:
        return sum(dde.grad.hessian(y, x, i=i, j=i) for i in range(d)) + 1  # type: ignore[return-value]

    data = dde.data.PDE(box, equation, [], num_domain=n)
    model = dde.Model(data, dde.nn.FNN([d, 64, 64, 64, 64, 1], "tanh", "Glorot normal"))
    model.compile("adam", lr=1e-3, verbose=0)
    batch = data.train_next_batch()

    def step() -> None:
        model._train_step(batch[0], batch[1], batch[2]) if len(batch) > 2 else model._train_step(
            batch[0], batch[1], None
        )

    return step


def _accuracy(budget: float = 12.0) -> list[dict[str, Any]]:
    """Relative error on the Poisson problem after the same CPU seconds: 2 x 20 tanh, 600 points."""
    problem = poisson(500)
    rows, x = [], problem.domain.sample(8192, generator=torch.Generator().manual_seed(3))
    ours = []
    for seed in range(3):
        u = field(2, 1, (20, 20), seed=seed)
        fit_problem(LeastSquaresProblem(u, problem.blocks(seed)), [("lm", 2000)], max_time=budget)
        ours.append(relative_errors(u, problem.exact, x)["u"])
    for name, train in (
        ("DeepXDE, default training (Adam 1e-3)", _deepxde_poisson),
        ("PINA, PINN solver (Adam 1e-3)", _pina_poisson),
    ):
        theirs = [train(budget, seed) for seed in range(3)]
        found = [t for t in theirs if t is not None]
        if not found:
            continue
        error, other = max(ours), min(e for e, _ in found)
        note = f"ours: worst of 3 seeds, peer: best of 3; its CPU seconds {found[0][1]:.1f}"
        rows.append(
            _row(f"relative L2 error on Poisson after {budget:g} CPU seconds (not seconds)", error, name, other, note)
        )
    return rows


def _deepxde_poisson(budget: float, seed: int) -> tuple[float, float] | None:
    dde = _deepxde()
    if dde is None:
        return None
    dde.config.set_random_seed(seed)
    box = dde.geometry.Rectangle([0, 0], [1, 1])

    def exact(x: Any) -> Any:
        return math.nan

    def equation(x: Tensor, y: Tensor) -> Tensor:
        force = 8 * math.pi**2 * torch.sin(2 * math.pi * x[:, :1]) * torch.sin(2 * math.pi * x[:, 1:])
        return dde.grad.hessian(y, x, i=0, j=0) + dde.grad.hessian(y, x, i=1, j=1) + force

    edge = dde.icbc.DirichletBC(box, lambda x: 0.0 * x[:, :1], lambda x, on: on)
    data = dde.data.PDE(box, equation, edge, num_domain=500, num_boundary=100)
    model = dde.Model(data, dde.nn.FNN([2, 20, 20, 1], "tanh", "Glorot normal"))
    model.compile("adam", lr=1e-3, verbose=0)
    begin = time.process_time()
    while time.process_time() - begin < budget:
        model.train(iterations=200, display_every=10**6, verbose=0)
    spent = time.process_time() - begin
    x = poisson().domain.sample(8192, generator=torch.Generator().manual_seed(3))
    guess = torch.from_numpy(model.predict(x.numpy()))
    truth = torch.sin(2 * math.pi * x).prod(1, keepdim=True)
    return float((guess - truth).norm() / truth.norm()), spent


def _pina_poisson(budget: float, seed: int) -> tuple[float, float] | None:
    try:
        from pina import Condition, Trainer
        from pina.domain import CartesianDomain
        from pina.equation import Equation, FixedValue
        from pina.model import FeedForward
        from pina.operator import laplacian as theirs
        from pina.problem import SpatialProblem
        from pina.solver import PINN
    except ImportError:
        return None
    import logging
    import warnings

    logging.disable(logging.WARNING)
    warnings.simplefilter("ignore")
    torch.manual_seed(seed)
    torch.set_default_dtype(torch.float32)  # DeepXDE has changed it for everybody
    torch.set_default_device(None)

    def equation(x: Any, u: Any) -> Any:
        force = 8 * math.pi**2 * torch.sin(2 * math.pi * x.extract(["x"])) * torch.sin(2 * math.pi * x.extract(["y"]))
        return theirs(u, x, components=["u"], d=["x", "y"]) + force

    class Poisson(SpatialProblem):
        output_variables = ["u"]
        spatial_domain = CartesianDomain({"x": [0, 1], "y": [0, 1]})
        domains = {
            "inside": spatial_domain,
            "left": CartesianDomain({"x": 0, "y": [0, 1]}),
            "right": CartesianDomain({"x": 1, "y": [0, 1]}),
            "low": CartesianDomain({"x": [0, 1], "y": 0}),
            "high": CartesianDomain({"x": [0, 1], "y": 1}),
        }
        conditions = {
            "inside": Condition(domain="inside", equation=Equation(equation)),
            **{k: Condition(domain=k, equation=FixedValue(0.0)) for k in ("left", "right", "low", "high")},
        }

    problem = Poisson()
    problem.discretise_domain(500, "random", domains=["inside"])
    problem.discretise_domain(25, "random", domains=["left", "right", "low", "high"])
    model = FeedForward(2, 1, layers=[20, 20])
    solver = PINN(problem, model)
    begin = time.process_time()
    Trainer(
        solver,
        max_epochs=10**6,
        max_time={"seconds": math.ceil(budget)},
        accelerator="cpu",
        enable_progress_bar=False,
        enable_model_summary=False,
        logger=False,
        enable_checkpointing=False,
    ).train()
    spent = time.process_time() - begin
    x = poisson().domain.sample(8192, generator=torch.Generator().manual_seed(3))
    with torch.no_grad():
        guess = model(x.float()).double().as_subclass(Tensor)
    truth = torch.sin(2 * math.pi * x).prod(1, keepdim=True)
    return float((guess - truth).norm() / truth.norm()), spent


def _kinetic() -> list[dict[str, Any]]:
    """A training iteration of one kinetic step, d = 10, width 128, 2,048 particles."""
    try:
        from torchdiffeq import odeint
    except ImportError:
        return []
    d = 10
    system = KineticFokkerPlanck(Harmonic(1.0), 1.0, 0.5, d)
    start = GaussianMixture.gaussian(torch.zeros(2 * d), torch.eye(2 * d))
    solver, net = KineticJKO(system, start, particles=16), PotentialVelocity(d, 128)
    p = PhaseSpaceParticles.of(start, 2048, torch.Generator().manual_seed(0))

    def ours() -> None:
        net.zero_grad()
        solver.loss(net, p).backward()

    def rate(t: Tensor, state: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        x, v, _, _ = state
        own = v if v.requires_grad else v.requires_grad_(True)
        (g,) = torch.autograd.grad(net.potential(float(t), x, own).sum(), own, create_graph=True)
        trace = sum(torch.autograd.grad(g[:, i].sum(), own, create_graph=True)[0][:, i] for i in range(d))
        return v, system.force(x, x) - g, trace, 0.5 * g.square().sum(1)  # type: ignore[return-value]

    def theirs() -> None:
        net.zero_grad()
        zero = torch.zeros_like(p.log_density)
        path = odeint(
            rate, (p.x, p.v.clone(), p.log_density, zero), torch.tensor([0.0, 0.05], dtype=torch.float64), method="rk4"
        )
        x, v, log, cost = (s[-1] for s in path)
        (cost.mean() + system.free_energy(x, v, log)).backward()

    timed = _cpu({"ours": ours, "theirs": theirs}, 5)
    return [
        _row(
            "kinetic step, training iteration, d = 10, width 128, 2,048 particles",
            timed["ours"],
            "torchdiffeq rk4, traces by autograd",
            timed["theirs"],
        )
    ]


def _rollouts(budget: float = 60.0) -> list[dict[str, Any]]:
    """Twelve frames of Burgers by one forecast and by an FNO frame by frame, after equal CPU seconds of training."""
    registry = ChannelRegistry()
    data, test = unified(line_corpus(), registry)["burgers"]
    ours, fno = UniFluids(registry, ["burgers"], "tiny"), FNO(1, 4, 1)

    def paced(steps: int) -> float:
        begin = time.process_time()
        train_unifluids(UniFluids(registry, ["burgers"], "tiny"), [data], steps=steps)
        return (time.process_time() - begin) / steps

    def epoch() -> float:
        begin = time.process_time()
        train_next_frame(FNO(1, 4, 1), data, epochs=1)
        return time.process_time() - begin

    model, _ = train_unifluids(ours, [data], steps=int(budget / paced(60)))
    train_next_frame(fno, data, epochs=max(1, int(budget / epoch())))
    seconds = _cpu({"ours": lambda: model.predict(test), "fno": lambda: fno.eval().rollout(test)}, 5)
    errors = [relative_error(u, test) for u in (model.predict(test), fno.rollout(test))]
    note = f"relative error {errors[0]:.3f} against {errors[1]:.3f}"
    return [
        _row(
            "12 frames of 60 trajectories, Burgers, both trained for a minute",
            seconds["ours"],
            "a plain FNO",
            seconds["fno"],
            note,
        )
    ]
