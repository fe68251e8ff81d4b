"""A network per phase against one network for both, on flows whose solutions are known."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from deepwright.core.results import Claim, Figure, StudyResult, Table
from deepwright.core.statistics import mean_interval
from deepwright.core.trials import run as run_trials
from deepwright.physics.pictures import field_image
from deepwright.physics.two_phase import (
    Flow,
    PointCounts,
    Slabs,
    Smeared,
    TwoPhasePINN,
    core_flow,
    droplet,
    general,
    layers,
    one_network,
    static_ball,
    static_droplet,
)
from deepwright.studies import Settings

# the same number of parameters for everybody: two networks of 2 x 16 have 774, one of 2 x 24 has 771
WAYS = (
    "a network per phase",
    "one network",
    "one network, smeared interface",
    "one network, |phi| as input",
    "a network per phase, stream function",
)
OURS = WAYS[0]
MORE = ("three fluids", "core flow", "ball", "unknown", "slabs", "whole")
NOISE = 0.01
SPREADS = {
    "half inside": PointCounts(240, 80, 80, 120, 16),
    "default": PointCounts(220, 120, 120, 160, 16),
    "30 % moved to the edges": PointCounts(154, 164, 164, 204, 16),
    "most at the edges": PointCounts(90, 210, 210, 240, 16),
}


def run(settings: Settings) -> StudyResult:
    """Droplets, contrasts, point distributions, a free interface."""
    seeds, steps = (1, 40) if settings.quick else (3, 160)
    grid: list[dict[str, Any]] = [
        {"what": w, "seed": s, "steps": steps} for w in WAYS[: 2 if settings.quick else None] for s in range(seeds)
    ]
    grid += [{"what": "general", "seed": s, "steps": steps} for s in range(seeds)]
    grid += [
        {"what": f"contrast {c:g}", "seed": 0, "steps": steps}
        for c in ((1.0, 100.0) if settings.quick else (0.01, 0.1, 1.0, 100.0, 1000.0))
    ]
    grid += [
        {"what": f"points {k}", "seed": s, "steps": steps}
        for k in (list(SPREADS)[:1] if settings.quick else SPREADS)
        for s in range(seeds)
    ]
    grid += [{"what": "free", "seed": s, "steps": steps // 2} for s in range(seeds)]
    grid += [{"what": "static", "seed": s, "steps": 60} for s in range(seeds)]
    grid += [{"what": w, "seed": s, "steps": steps // 2} for w in MORE for s in range(seeds)]
    rows = run_trials(
        trial, grid, store=settings.store, jobs=settings.jobs, backend=settings.backend, description="two-phase-pinn"
    )
    found: dict[str, list[dict[str, Any]]] = {}
    for spec, row in zip(grid, rows):
        found.setdefault(spec["what"], []).append(row)
    return _result(found, _gradient_times(3 if settings.quick else 7), seeds, steps)


def _solver(what: str, seed: int) -> TwoPhasePINN:
    if what == "one network":
        return one_network(droplet(), (24, 24), seed)
    if what == "one network, smeared interface":
        return Smeared(droplet(), (24, 24), 0.5, seed=seed)
    if what == "one network, |phi| as input":
        return one_network(droplet(), (24, 24), seed, distance=True)
    if what == "general":
        return TwoPhasePINN(general(), (16, 16), seed=seed)
    if what == "static":
        return TwoPhasePINN(static_droplet(), (16, 16), seed=seed)
    if what == "free":
        return TwoPhasePINN(droplet(free=64), (16, 16), seed=seed)
    if what.startswith("contrast "):
        return TwoPhasePINN(droplet(mu=(float(what[9:]), 1.0)), (16, 16), seed=seed)
    counts = SPREADS[what[7:]] if what.startswith("points ") else None
    return TwoPhasePINN(droplet(), (16, 16), stream="stream" in what, counts=counts, seed=seed)


def _further(what: str, seed: int, steps: int) -> dict[str, Any]:
    """Three fluids, flows around an axis, unknown properties from noisy data, and a longer time in slabs."""
    begin = time.process_time()
    if what in ("slabs", "whole"):
        problem = droplet(center=(-0.3, -0.1), end=1.2)
        found = Slabs(problem, 0.4 if what == "slabs" else 1.2, (16, 16), seed=seed)
        found.fit([("lm", steps if what == "slabs" else 3 * steps)])
        return found.errors() | {"seconds": time.process_time() - begin}
    if what == "unknown":
        return _unknown(seed, steps)
    make: dict[str, Any] = {"three fluids": layers, "core flow": core_flow, "ball": static_ball}
    solver = TwoPhasePINN(make[what](), (16, 16), seed=seed)
    solver.fit([("lm", steps)])
    out: dict[str, Any] = {"seconds": time.process_time() - begin} | solver.errors()
    z = solver.space.sample(4000)
    u, phase = solver.predict(z), solver.problem.interface.phase(z)
    return out | {"jump": float(u[phase == 0, 2].mean() - u[phase == 1, 2].mean())}


def _unknown(seed: int, steps: int) -> dict[str, Any]:
    """Outer viscosity and surface tension of a droplet from 80 places with noise of 1 %, first guesses off by a factor of two."""
    problem = droplet((2.0, 1.0))
    draw = torch.Generator().manual_seed(seed)
    z = TwoPhasePINN(problem, (4,)).space.sample(80, generator=draw)
    assert problem.exact is not None
    truth = torch.where((problem.interface.phase(z) == 0)[:, None], problem.exact(0, z), problem.exact(1, z))
    noisy = truth + NOISE * torch.randn(truth.shape, generator=draw, dtype=torch.float64)
    measured = replace(problem, observations=(z, noisy[:, :2]), pressures=(z, noisy[:, 2]))
    solver = TwoPhasePINN(measured, (16, 16), unknown={"mu1": 2.0, "gamma": 0.5}, seed=seed)
    solver.fit([("lm", steps)])
    found = solver.estimates(NOISE)
    return {
        "estimates": found,
        "worst": max(abs(v - 1) for v, _ in found.values()),
        "deviations": max(abs(v - 1) / s for v, s in found.values()),
    }


def trial(what: str, seed: int, steps: int) -> dict[str, Any]:
    """Levenberg-Marquardt for the same number of steps."""
    if what in MORE:
        return _further(what, seed, steps)
    solver = _solver(what, seed)
    begin = time.process_time()
    out: dict[str, Any] = {}
    if what == "free":
        tracked = solver.fit_free(first=[("lm", steps)], later=[("lm", steps // 2)], sweeps=8, tolerance=5e-4)
        assert tracked.interface is not None
        centre = tracked.interface.path[-1].mean(0)
        out |= {
            "moves": tracked.moves, "converged": tracked.converged,
            "centre error": float((centre - torch.tensor([0.1, 0.1])).norm()),
            "area error": abs(tracked.interface.area(0.5) / (np.pi * 0.25) - 1),
        }  # fmt: skip
    else:
        solver.fit([("lm", steps)])
    assert solver.training is not None
    out |= {
        "seconds": time.process_time() - begin, "parameters": solver.least_squares().size, "loss": solver.training.loss,
        "curve": [(r["seconds"], r["loss"]) for r in solver.training.history[:: max(1, steps // 40)]],
    }  # fmt: skip
    if what == "static":
        z = solver.space.sample(4000)
        phase = solver.problem.interface.phase(z)
        u = solver.predict(z)
        return out | {
            "spurious": float(u[:, :2].norm(dim=1).max()),
            "jump": float(u[phase == 0, 2].mean() - u[phase == 1, 2].mean()),
        }  # fmt: skip
    out |= solver.errors()
    out["indicator"] = solver.error_indicator()
    out["picture"] = _picture(solver) if seed == 0 and what in (OURS, "one network") else None
    return out


def _picture(solver: TwoPhasePINN, n: int = 110) -> dict[str, torch.Tensor]:
    """Speed relative to the droplet and pressure at the end, with the truth."""
    axis = torch.linspace(-1, 1, n, dtype=torch.float64)
    z = torch.cat([torch.cartesian_prod(axis, axis), torch.full((n * n, 1), 0.5, dtype=torch.float64)], 1)
    guess, exact = solver.predict(z), solver.problem.exact
    assert exact is not None
    inside = (solver.problem.interface.phase(z) == 0)[:, None]
    truth = torch.where(inside, exact(0, z), exact(1, z))
    shift = (guess - truth)[:, 2].mean()
    return {
        "p": (guess[:, 2] - shift).reshape(n, n),
        "p exact": truth[:, 2].reshape(n, n),
        "gap": (guess - truth)[:, :2].norm(dim=1).reshape(n, n),
    }


def _gradient_times(repeats: int) -> dict[str, float]:
    """CPU milliseconds of a gradient of the whole functional, by jets and by nested gradients, one thread."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        found: dict[str, float] = {}
        counts = PointCounts(2000, 800, 800, 600, 16)
        for engine in ("jets", "nested gradients"):
            solver = TwoPhasePINN(droplet(), (32, 32, 32), counts=counts)
            if engine != "jets":
                solver.model.flow = _nested(solver)  # type: ignore[method-assign]
            squares = solver.least_squares()
            times = []
            for _ in range(repeats + 1):
                begin = time.process_time()
                squares.loss().backward()
                times.append(1e3 * (time.process_time() - begin))
            found[engine] = sorted(times[1:])[repeats // 2]
        return found
    finally:
        torch.set_num_threads(threads)


def _nested(solver: TwoPhasePINN) -> Any:
    """The same flow by nested reverse mode, with no derivative more than the equations ask for."""

    def slope(values: torch.Tensor, z: torch.Tensor) -> torch.Tensor:
        return torch.autograd.grad(values.sum(), z, create_graph=True)[0]

    @torch.enable_grad()
    def flow(phase: int, z: torch.Tensor, second: bool = True) -> Flow:
        own = z.clone().requires_grad_(True)
        out = solver.model.nets[phase](own)
        grads = torch.stack([slope(out[:, c], own) for c in range(3)], 1)
        laplacian = torch.zeros_like(out[:, :2])
        if second:
            rows = [sum(slope(grads[:, c, j], own)[:, j] for j in range(2)) for c in range(2)]
            laplacian = torch.stack(rows, 1)  # type: ignore[arg-type]
        return Flow(out[:, :2], grads[:, :2, :2], grads[:, :2, 2], laplacian, out[:, 2], grads[:, 2, :2])

    return flow


def _result(found: dict[str, list[dict[str, Any]]], times: dict[str, float], seeds: int, steps: int) -> StudyResult:
    def values(what: str, key: str) -> list[float]:
        return [r[key] for r in found[what]]

    def over(other: str, key: str) -> float:
        return min(a / b for a, b in zip(values(other, key), values(OURS, key)))

    claims = [
        Claim.at_most("droplet, viscosities 10 : 1: relative L2 error of the velocity (worst seed)", max(values(OURS, "u")), 3e-3),
        Claim.at_most("... of the pressure (worst seed)", max(values(OURS, "p")), 5e-2),
        Claim.at_least("one network's velocity error over it, same parameters and steps (worst seed)", over("one network", "u"), 10.0),
        Claim.at_least("... pressure error", over("one network", "p"), 10.0),
        Claim.at_most("general stress jump: relative L2 error of the velocity", values("general", "u"), 1e-2),
        Claim.at_most("viscosities 100 : 1: relative L2 error of the velocity", values("contrast 100", "u"), 1e-1),
        Claim.at_most("free interface from a frozen guess: sweeps", [float(len(r["moves"])) for r in found["free"]], 6.0),
        Claim.at_most("... error of the droplet's centre at the end", values("free", "centre error"), 1e-3),
        Claim.at_most("static droplet: largest spurious speed, in gamma / mu", values("static", "spurious"), 1e-3),
        Claim.at_most("... pressure jump against Laplace's, relative", [abs(r["jump"] / 2 - 1) for r in found["static"]], 0.01),
        Claim.at_most("three fluids in rings: relative L2 error of the velocity", values("three fluids", "u"), 1e-2),
        Claim.at_most("core flow in a pipe, axisymmetric: relative L2 error of the velocity", values("core flow", "u"), 3e-3),
        Claim.at_most("ball at rest, axisymmetric: pressure jump against 2 gamma / R, relative", [abs(r["jump"] / 4 - 1) for r in found["ball"]], 0.01),
        Claim.at_most("viscosity and tension from noisy data: largest relative error", values("unknown", "worst"), 0.05),
        Claim.at_most("... in the deviations that the fit itself states (worst seed)", max(values("unknown", "deviations")), 3.0),
        Claim.at_least("gradient of the functional: nested gradients' time over jets'", times["nested gradients"] / times["jets"], 1.3),
    ]  # fmt: skip
    if "points 30 % moved to the edges" in found:
        claims.append(Claim.at_most("30 % of the interior points moved to interface, edge and start: velocity error over the default's",
                                    [a / b for a, b in zip(values("points 30 % moved to the edges", "u"), values("points default", "u"))], 1.0))  # fmt: skip
    rows: list[list[Any]] = []
    for what, trials in found.items():
        if what in ("static", *MORE):
            continue
        u, p = (mean_interval([r[k] for r in trials]) for k in ("u", "p"))
        rows.append([what, len(trials), trials[0]["parameters"], u.value, max(r["u"] for r in trials), p.value, max(r["p"] for r in trials),
                     sum(r["seconds"] for r in trials) / len(trials)])  # fmt: skip
    table = Table(
        ["what", "seeds", "parameters", "velocity error", "worst", "pressure error", "worst ", "CPU seconds"], rows,
        f"relative L2 errors over space and time (the pressure's mean removed); Levenberg-Marquardt, {steps} steps, float64, one thread",
    )  # fmt: skip
    blocks = Table(
        ["what", *found[OURS][0]["indicator"]],
        [[w, *(sum(r["indicator"].get(k, float("nan")) for r in found[w]) / len(found[w]) for k in found[OURS][0]["indicator"])] for w in (OURS, "general", *(k for k in found if k.startswith("points")))],
        "L2 norm of each block's residual on four times as many fresh points",
    )  # fmt: skip

    def mean(what: str, key: str) -> float | None:
        return sum(values(what, key)) / seeds if key in found[what][0] else None

    more = Table(
        ["what", "velocity error", "pressure error", "CPU seconds"],
        [[w, mean(w, "u"), mean(w, "p"), mean(w, "seconds")] for w in MORE if w != "unknown"],
        f"as above, {steps // 2} steps of Levenberg-Marquardt (a velocity of 0 has no relative error); a droplet up to t = 1.2 in three slabs, and as a whole in as many steps together",
    )
    fitted = [(k, r["estimates"][k]) for r in found["unknown"] for k in r["estimates"]]
    unknown = Table(
        ["property (truth: 1)", "fitted", "its deviation"], [[k, *pair] for k, pair in fitted],
        f"from velocity and pressure at 80 places with noise of {NOISE:g}; deviations by J^T J, one row a seed and property",
    )  # fmt: skip
    ours = found[OURS][0]["picture"]
    other = found["one network"][0]["picture"]
    angle = np.linspace(0, 2 * np.pi, 100)
    circle = np.stack([0.1 + 0.5 * np.cos(angle), 0.1 + 0.5 * np.sin(angle)], 1)
    pictures = [
        ("pressure at the end, exact", ours["p exact"]), ("a network per phase", ours["p"]), ("one network", other["p"]),
        ("velocity error, a network per phase", ours["gap"]), ("velocity error, one network", other["gap"]),
    ]  # fmt: skip
    figures = [
        Figure("line", "Loss against CPU time (first seed)", [{"name": w, "x": [a for a, _ in c], "y": [b for _, b in c]} for w in WAYS if w in found and (c := found[w][0]["curve"])], "CPU seconds", "loss", log_y=True),
        Figure("images", "Droplet", [field_image(v.numpy(), name, extent=(-1, 1, -1, 1), overlay=[circle]) for name, v in pictures]),
    ]  # fmt: skip
    contrasts = sorted((float(w[9:]), found[w][0]) for w in found if w.startswith("contrast"))
    if len(contrasts) > 2:
        line = sorted(
            [*((c, r["u"], r["p"]) for c, r in contrasts), (10.0, values(OURS, "u")[0], values(OURS, "p")[0])]
        )
        figures.insert(1, Figure("line", "Error by viscosity contrast", [{"name": k, "x": [r[0] for r in line], "y": [r[i] for r in line]} for k, i in (("velocity", 1), ("pressure", 2))], "mu inside / outside", "relative L2 error", log_x=True, log_y=True))  # fmt: skip
    summary = (
        f"With {found[OURS][0]['parameters']} parameters and {steps} steps a network per phase errs by {sum(values(OURS, 'u')) / seeds:.1e} in velocity and "
        f"{sum(values(OURS, 'p')) / seeds:.1e} in pressure; one network by {sum(values('one network', 'u')) / seeds:.1e} and {sum(values('one network', 'p')) / seeds:.1e}. "
        f"A free interface started frozen settles in {sum(len(r['moves']) for r in found['free']) / seeds:.1f} sweeps, its centre off by {sum(values('free', 'centre error')) / seeds:.1e}."
    )
    return StudyResult(
        "two-phase-pinn",
        claims,
        table,
        figures,
        [blocks, more, unknown],
        summary=summary,
        settings={"seeds": seeds, "steps": steps, "gradient ms": times},
    )
