"""Derivatives against DeepXDE, the kinetic step against torchdiffeq, forecasts against an FNO; one thread."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import solvers
import torch
from torch import Tensor

from deepwright.physics import laplacian
from deepwright.physics.kinetic import (
    GaussianMixture,
    Harmonic,
    KineticFokkerPlanck,
    KineticJKO,
    PhaseSpaceParticles,
    PotentialVelocity,
)
from deepwright.physics.networks import field
from deepwright.physics.pde_data import ChannelRegistry, line_corpus, unified
from deepwright.physics.unifluids import FNO, UniFluids, relative_error, train_next_frame, train_unifluids


def run() -> list[dict[str, Any]]:
    """All of it, on one thread, in CPU seconds of the process."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        rows = _gradients()
        torch.set_default_dtype(torch.float32)  # DeepXDE has changed it for everybody
        return [*rows, *_kinetic(), *_rollouts()]
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


def _deepxde_step(d: int, n: int) -> Callable[[], Any] | None:
    try:
        dde = solvers.deepxde()
    except ImportError:
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

    def integrated(method: str) -> Callable[[], None]:
        def theirs() -> None:
            net.zero_grad()
            zero, ends = torch.zeros_like(p.log_density), torch.tensor([0.0, 0.05], dtype=torch.float64)
            path = odeint(rate, (p.x, p.v.clone(), p.log_density, zero), ends, method=method)
            x, v, log, cost = (s[-1] for s in path)
            (cost.mean() + system.free_energy(x, v, log)).backward()

        return theirs

    timed = _cpu({"ours": ours, "rk4": integrated("rk4"), "euler": integrated("euler")}, 5)
    what = "kinetic step, training iteration, d = 10, width 128, 2,048 particles"
    order = {"rk4": "fourth order in the step, ours is of first", "euler": "of first order, as ours"}
    return [
        _row(what, timed["ours"], f"torchdiffeq {name}, traces by autograd", timed[name], note)
        for name, note in order.items()
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
    note = f"of the forecast alone; relative error {errors[0]:.3f} against {errors[1]:.3f}, one training each"
    return [
        _row(
            "12 frames of 60 trajectories, Burgers, both trained for a minute",
            seconds["ours"],
            "a plain FNO",
            seconds["fno"],
            note,
        )
    ]
