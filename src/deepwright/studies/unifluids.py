"""One flow-matching operator for several equations against the same network in a single pass, an FNO, and its own recipes."""

from __future__ import annotations

import math
import time
from typing import Any

import torch
from torch import Tensor, nn

from deepwright.core.fit import adamw, fit, one_cycle
from deepwright.core.randomness import local_rng
from deepwright.core.results import Claim, Figure, StudyResult, Table
from deepwright.core.trials import run as run_trials
from deepwright.physics.flow_matching import LogitNormal, Parameterization, effective_dimension, euler_sample, grid
from deepwright.physics.operators import FNO, extrapolation, persistence, train_fno
from deepwright.physics.pde_corpus import line_corpus, plane_corpus, space_corpus, unified
from deepwright.physics.pde_metrics import field_errors
from deepwright.physics.pictures import field_image
from deepwright.physics.unified import ChannelRegistry, PDEBatch
from deepwright.physics.unifluids import UniFluids, train
from deepwright.studies import Settings

REGISTRY = ChannelRegistry()
LINE = ("advection", "burgers", "reaction-diffusion")
# name -> (prediction, loss, time sampler, noise, embedding)
RECIPES: dict[str, tuple[str, str, Any, float, str]] = {
    "single pass": ("x", "x", None, 0.0, "per_channel"),
    "flow matching": ("x", "x", None, 1.0, "per_channel"),
    "x, v-loss, logit-normal (JiT)": ("x", "v", LogitNormal(), 1.0, "per_channel"),
    "v, v-loss": ("v", "v", None, 1.0, "per_channel"),
    "flow matching, padded": ("x", "x", None, 1.0, "pad"),
}
OURS = "flow matching"
NFE = (1, 2, 5, 10, 20)


def run(settings: Settings) -> StudyResult:
    """Joint and single training on a line, recipes, numbers of steps, a held-out equation, and all dimensions at once."""
    steps = 150 if settings.quick else 4000
    names = list(RECIPES)[:2] if settings.quick else list(RECIPES)
    grid_: list[dict[str, Any]] = [{"what": n, "steps": steps, "seed": 0} for n in names]
    grid_ += [{"what": f"only {k}", "steps": steps // 3, "seed": 0} for k in (LINE[:1] if settings.quick else LINE)]
    grid_ += [{"what": w, "steps": steps, "seed": 0} for w in ("held out", "all dimensions", "FNO")]
    grid_ += [
        {"what": f"narrow {p}", "steps": 100 if settings.quick else 800, "seed": s}
        for p in ("x", "v")
        for s in range(1 if settings.quick else 3)
    ]
    rows = run_trials(
        trial, grid_, store=settings.store, jobs=settings.jobs, backend=settings.backend, description="unifluids"
    )
    found: dict[str, list[dict[str, Any]]] = {}
    for spec, row in zip(grid_, rows):
        found.setdefault(spec["what"], []).append(row)
    return _result(found, _speeds(3 if settings.quick else 9), steps)


def trial(what: str, steps: int, seed: int) -> dict[str, Any]:
    """Train and measure one model."""
    torch.set_num_threads(1)
    begin = time.process_time()
    if what.startswith("narrow"):
        return _bottleneck(what.split()[1], steps, seed)
    small = steps < 1000
    data = unified(line_corpus(*((60, 12) if small else (500, 60)), seed=seed), REGISTRY)
    if what == "FNO":
        return _fno(data, small, seed)
    if what == "all dimensions":
        data |= unified(
            plane_corpus(*((12, 4) if small else (200, 20)), seed=seed)
            | space_corpus(*((12, 4) if small else (100, 10)), seed=seed),
            REGISTRY,
        )
    if what == "held out":
        return _held_out(data, steps, seed)
    names = [what[5:]] if what.startswith("only ") else list(data)
    prediction, loss, times, noise, embed = RECIPES.get(what, RECIPES[OURS])
    model = UniFluids(
        REGISTRY, list(data), "tiny", prediction=prediction, loss=loss, times=times, noise=noise, embed=embed, seed=seed
    )
    best, _ = train(model, [data[k][0] for k in names], steps=steps, seed=seed)
    out: dict[str, Any] = {
        "seconds": time.process_time() - begin,
        "parameters": sum(p.numel() for p in model.parameters()),
    }
    out["errors"] = {k: _measured(best, data[k][1]) for k in names}
    if what == OURS:
        out |= {
            "curve": _curve(best, data),
            "ensemble": _ensemble(best, data["burgers"][1]),
            "finer": _finer(best, small, seed),
        }
        out["dimension"] = list(
            effective_dimension(
                torch.cat([best.patch[1](data[k][0].u).flatten(1, 2).flatten(0, 1) for k in LINE])[::7].flatten(1)
            )
        )
        test = data["burgers"][1]
        out["picture"] = [
            test.u[0, 0, :, :, 0, 0],
            best.predict(test)[0, 0, :, :, 0, 0],
            best.sample(test, steps=10)[0, 0, 0, :, :, 0, 0],
        ]
    if what == "all dimensions":
        test = data["navier-stokes"][1]
        out["picture"] = [test.u[0, 0, -1, :, :, 0], best.predict(test)[0, 0, -1, :, :, 0]]
    return out


def relative(u: Tensor, data: PDEBatch) -> float:
    """Mean relative L2 error over the target frames of each trajectory."""
    e, y = ((v[:, :, data.context :]).flatten(1).norm(dim=1) for v in (u - data.u, data.u))
    return float((e / y).mean())


def _measured(model: UniFluids, data: PDEBatch) -> dict[str, float]:
    one, ten = model.predict(data), model.sample(data, steps=10)[0]
    e = field_errors(*(v[:, :, data.context :].permute(0, 2, 3, 4, 5, 1) for v in (one, data.u)))
    return {
        "1": relative(one, data), "10": relative(ten, data), "persistence": relative(persistence(data), data), "extrapolation": relative(extrapolation(data), data),
        "nrmse": e.nrmse, "low": e.frmse[0], "middle": e.frmse[1], "high": e.frmse[2], "mass": e.crmse, "spectrum": _spectrum_gap(one, data),
    }  # fmt: skip


def _spectrum_gap(u: Tensor, data: PDEBatch) -> float:
    """Mean |log energy ratio| over the wave numbers of the first axis of space that hold 99.99 % of the energy."""
    a, b = (torch.fft.rfft(v[:, :, data.context :], dim=3).abs().square().mean((0, 1, 2, 4, 5)) for v in (u, data.u))
    kept = b.cumsum(0) < 0.9999 * b.sum()
    kept[0] = True
    return float((a[kept].clamp_min(1e-20) / b[kept].clamp_min(1e-20)).log().abs().mean())


def _curve(model: UniFluids, data: dict[str, tuple[PDEBatch, PDEBatch]]) -> list[dict[str, Any]]:
    rows = []
    for n in NFE:
        begin = time.process_time()
        errors = {k: relative(model.sample(data[k][1], steps=n)[0], data[k][1]) for k in LINE}
        heun = {k: relative(model.sample(data[k][1], steps=n, solver="heun")[0], data[k][1]) for k in LINE}
        rows.append({"steps": n, "errors": errors, "heun": heun, "seconds": time.process_time() - begin})
    return rows


def _ensemble(model: UniFluids, data: PDEBatch, members: int = 8) -> dict[str, float]:
    """Error of an ensemble's mean, its spread, and their ratio (1: the spread says how wrong it is)."""
    all_ = model.sample(data, steps=10, members=members)
    mean, spread = all_.mean(0), all_.std(0)
    target = slice(data.context, None)
    error = (mean - data.u)[:, :, target].square().mean().sqrt()
    spread_ = spread[:, :, target].square().mean().sqrt()
    return {"mean": relative(mean, data), "ratio": float(spread_ / error)}


def _finer(model: UniFluids, small: bool, seed: int) -> dict[str, float]:
    """The same model on twice as many points."""
    data = unified(line_corpus(*((4, 12) if small else (4, 60)), points=128, seed=seed + 50), REGISTRY)
    coarse = unified(line_corpus(*((4, 12) if small else (4, 60)), points=64, seed=seed + 50), REGISTRY)
    return {
        k: relative(model.predict(data[k][1]), data[k][1])
        / max(relative(model.predict(coarse[k][1]), coarse[k][1]), 1e-9)
        for k in LINE
    }


def _held_out(data: dict[str, tuple[PDEBatch, PDEBatch]], steps: int, seed: int) -> dict[str, Any]:
    """Advection and Burgers in training, reaction-diffusion never seen; then fine-tuned on few trajectories."""
    model = UniFluids(REGISTRY, ["advection", "burgers", "reaction-diffusion"], "tiny", seed=seed)
    best, _ = train(model, [data[k][0] for k in LINE[:2]], steps=2 * steps // 3, seed=seed)
    few, test = (
        data["reaction-diffusion"][0].rows(torch.arange(min(50, len(data["reaction-diffusion"][0])))),
        data["reaction-diffusion"][1],
    )
    unknown = PDEBatch(
        test.u, test.channels, test.spacing, test.extent, test.params[:, :0], "unknown", test.bc, test.dim, test.context
    )
    zero = relative(best.predict(unknown), test)
    tuned = UniFluids(REGISTRY, model.pdes, "tiny", seed=seed)
    tuned.load_state_dict(best.state_dict())
    tuned.fit_units([data[k][0] for k in LINE[:2]] + [few])
    tuned, _ = train(tuned, [few], steps=max(20, steps // 10), rate=1e-3, seed=seed + 1, fresh_units=False)
    scratch = UniFluids(REGISTRY, model.pdes, "tiny", seed=seed)
    scratch, _ = train(scratch, [few], steps=max(20, steps // 10), rate=1e-3, seed=seed + 1)
    return {
        "zero-shot": zero,
        "fine-tuned": relative(tuned.predict(test), test),
        "scratch": relative(scratch.predict(test), test),
        "persistence": relative(persistence(test), test),
    }


def _fno(data: dict[str, tuple[PDEBatch, PDEBatch]], small: bool, seed: int) -> dict[str, Any]:
    """One operator an equation, frame by frame."""
    out: dict[str, Any] = {"errors": {}, "seconds": {}}
    for k in LINE:
        model = FNO(1, 4, 1, seed=seed)
        begin = time.process_time()
        train_fno(model, data[k][0], epochs=1 if small else 12, seed=seed)
        out["seconds"][k] = time.process_time() - begin
        begin = time.process_time()
        with torch.no_grad():
            out["errors"][k] = {"1": relative(model.eval().rollout(data[k][1]), data[k][1])}
        out["errors"][k]["rollout seconds"] = time.process_time() - begin
    return out


class _Residual(nn.Module):
    """Two residual blocks of a narrow width on (z, condition, t)."""

    def __init__(self, size: int, condition: int, width: int) -> None:
        super().__init__()
        self.into = nn.Linear(size + condition + 1, width)
        self.blocks = nn.ModuleList(
            nn.Sequential(nn.LayerNorm(width), nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))
            for _ in range(2)
        )
        self.out = nn.Linear(width, size)

    def forward(self, z: Tensor, c: Tensor, t: Tensor) -> Tensor:
        """(B, size)."""
        h = self.into(torch.cat([z, c, t], 1))
        for block in self.blocks:
            h = h + block(h)
        return self.out(h)


def _bottleneck(kind: str, steps: int, seed: int) -> dict[str, Any]:
    """Four numbers decide a field of 512 values; a network of width 64 can pass them on, but not 512 values of noise."""
    rng = torch.Generator().manual_seed(seed)

    def fields(n: int) -> tuple[Tensor, Tensor]:
        c = torch.rand(n, 4, generator=rng) * 2 - 1
        t, x = torch.arange(16) / 16, torch.arange(32) / 32
        speed, decay = 0.5 + 0.5 * c[:, 2:3, None], 1 + c[:, 3:4, None]
        phase = 2 * math.pi * (x[None, None] - speed * t[None, :, None])
        u = torch.exp(-decay * t[None, :, None]) * (
            c[:, 0, None, None] * torch.sin(phase) + c[:, 1, None, None] * torch.cos(2 * phase)
        )
        return c, u.reshape(n, -1)

    (c, x), (ct, xt) = fields(2000), fields(200)
    scale = x.std()
    x, xt = x / scale, xt / scale
    how = Parameterization(kind, "v")
    with local_rng(seed):
        net = _Residual(512, 4, 64)

    def step(model: nn.Module, rows: Tensor, _: Tensor) -> Tensor:
        own = torch.Generator().manual_seed(int(rows[0]) + 7919 * seed)
        pick = torch.randint(len(x), (128,), generator=own)
        t = LogitNormal()(128, own)[:, None]
        noise = torch.randn(128, 512, generator=own)
        z = t * x[pick] + (1 - t) * noise
        return how.error(model(z, c[pick], t), x[pick], noise, z, t).square().mean()

    numbers = torch.arange(2 * steps)
    fit(
        net,
        (numbers, numbers),
        epochs=1,
        batch_size=2,
        step=step,
        optimizer=adamw(4e-3, 0.0),
        scheduler=one_cycle(4e-3),
        seed=seed,
        description="bottleneck",
    )
    net.eval()

    def velocity(z: Tensor, t: Tensor) -> Tensor:
        out = net(z, ct, t.expand(len(z), 1))
        return how.convert(out, z, t, "v")

    with torch.no_grad():
        found = euler_sample(velocity, torch.randn(200, 512, generator=rng), grid(10))
    return {"error": float(((found - xt).square().mean(1).sqrt() / xt.square().mean(1).sqrt().clamp_min(0.1)).mean())}


def _speeds(repeats: int) -> dict[str, float]:
    """CPU milliseconds on one thread: a training step of 32 trajectories of 16 tokens, forecasts of 32."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        data = unified(line_corpus(32, 2), REGISTRY)["advection"][0]
        models = {
            "flow": UniFluids(REGISTRY, list(LINE), "nano"),
            "pass": UniFluids(REGISTRY, list(LINE), "nano", noise=0.0),
        }
        for m in models.values():
            m.fit_units([data])
        ways = {
            "training step": lambda: models["flow"].loss(data, torch.Generator().manual_seed(0)).backward(),
            "single pass": lambda: models["pass"].predict(data),
            "flow matching, 1 step": lambda: models["flow"].sample(data, steps=1),
            "flow matching, 10 steps": lambda: models["flow"].sample(data, steps=10),
        }
        found = {}
        for name, way in ways.items():
            times = []
            for _ in range(repeats + 1):
                begin = time.process_time()
                way()
                times.append(1e3 * (time.process_time() - begin))
            found[name] = sorted(times[1:])[repeats // 2]
        return found
    finally:
        torch.set_num_threads(threads)


def _result(found: dict[str, list[dict[str, Any]]], speeds: dict[str, float], steps: int) -> StudyResult:
    def error(what: str, k: str, key: str = "1") -> float:
        return found[what][0]["errors"][k][key]

    ours = found[OURS][0]
    points = [ours["curve"][0]["errors"][k] for k in LINE]
    best = [min(r["errors"][k] for r in ours["curve"]) for k in LINE]
    x_toy, v_toy = ([r["error"] for r in found[f"narrow {p}"]] for p in ("x", "v"))
    held = found["held out"][0]
    claims = [
        *(Claim.at_most(f"{k}: relative L2 error in one step", error(OURS, k), limit) for k, limit in zip(LINE, (0.15, 0.35, 0.04))),
        Claim.at_most("... over a single-pass regression of the same make, worst equation", max(error(OURS, k) / error("single pass", k) for k in LINE), 2.0),
        Claim.at_most("one step is the best point forecast: its error over the best number of steps, worst equation", max(p / b for p, b in zip(points, best)), 1.05),
        Claim.at_most("joint over single training with as many steps an equation, worst equation",
                      max(error(OURS, k) / error(f"only {k}", k) for k in LINE if f"only {k}" in found), 1.5),
        Claim.at_most("twice as many points as in training: error over that on 64, worst equation", max(ours["finer"].values()), 3.0),
        Claim.at_most("an equation never seen: zero-shot error over persistence's", held["zero-shot"] / held["persistence"], 1.0),
        Claim.at_most("... fine-tuned on 50 trajectories: error over training from scratch on them", held["fine-tuned"] / held["scratch"], 0.8),
        Claim.at_most("narrow network, four numbers in 512: x-prediction's error at 10 steps", x_toy, 0.12),
        Claim.at_least("... v-prediction's", v_toy, 0.6),
        Claim.at_most("all dimensions at once: error over persistence's, worst equation",
                      max(e["1"] / e["persistence"] for e in found["all dimensions"][0]["errors"].values()), 1.0),
        Claim.at_most("milliseconds of a training step (nano, 32 x 16 tokens, one thread)", speeds["training step"], 60.0),
        Claim.at_most("time of a one-step forecast over the single pass", speeds["flow matching, 1 step"] / speeds["single pass"], 1.2),
    ]  # fmt: skip
    jit = "x, v-loss, logit-normal (JiT)"
    if jit in found:
        claims.append(
            Claim.at_least(
                "advection: the JiT recipe's error in one step over ours",
                error(jit, "advection") / error(OURS, "advection"),
                5.0,
            )
        )
    rows: list[list[Any]] = []
    for name in (*RECIPES, *(f"only {k}" for k in LINE), "FNO", "all dimensions"):
        if name in found:
            e = found[name][0]["errors"]
            seconds = found[name][0]["seconds"]
            rows.append(
                [
                    name,
                    *(e[k]["1"] if k in e else None for k in LINE),
                    *(e[k].get("10") if k in e else None for k in LINE),
                    sum(seconds.values()) if isinstance(seconds, dict) else seconds,
                ]
            )
    rows += [[n, *(error(OURS, k, n) for k in LINE), None, None, None, None] for n in ("persistence", "extrapolation")]
    table = Table(
        ["training", *LINE, *(f"{k}, 10 steps" for k in LINE), "CPU seconds"], rows,
        f"relative L2 error over 12 forecast frames of 60 test trajectories, one step of the sampler (FNO: frame by frame); width 64, 3 layers, {steps} steps of 32 (single equations a third each), one seed",
    )  # fmt: skip
    curve = Table(
        ["steps", *LINE, *(f"{k}, Heun" for k in LINE), "CPU seconds"],
        [[r["steps"], *(r["errors"][k] for k in LINE), *(r["heun"][k] for k in LINE), r["seconds"]] for r in ours["curve"]],
        f"steps of the sampler; an ensemble of 8 errs by {ours['ensemble']['mean']:.3g} on Burgers in the mean, spread over error {ours['ensemble']['ratio']:.2f}",
    )  # fmt: skip
    every = found["all dimensions"][0]["errors"]
    dims = Table(
        ["equation", "one step", "persistence", "extrapolation", "nRMSE", "low modes", "middle", "high", "mass", "log spectrum"],
        [[k, *(e[c] for c in ("1", "persistence", "extrapolation", "nrmse", "low", "middle", "high", "mass", "spectrum"))] for k, e in every.items()],
        "one model for equations of one, two and three dimensions",
    )  # fmt: skip
    new = Table(
        ["reaction-diffusion, never trained on", "error"],
        [[k, v] for k, v in held.items()],
        "zero-shot without name and parameters; 50 trajectories for the others",
    )
    frames = [f.numpy().T for f in ours["picture"]]
    flow = [f.numpy() for f in found["all dimensions"][0]["picture"]]
    figures = [
        Figure("line", "More steps buy samples, not accuracy", [{"name": k, "x": list(NFE), "y": [r["errors"][k] for r in ours["curve"]]} for k in LINE], "steps of the sampler", "relative L2 error", log_x=True, log_y=True),
        Figure("bar", "One-step error by recipe", [{"name": n, "x": list(LINE), "y": [error(n, k) for k in LINE]} for n in RECIPES if n in found], "equation", "relative L2 error", log_y=True),
        Figure("images", "Burgers, frame against place; vorticity at the last frame", [
            *(field_image(f, n, extent=(0, 1, 0, 0.75), axes=("x", "t")) for f, n in zip(frames, ("truth", "one step", "ten steps"))),
            *(field_image(f, n) for f, n in zip(flow, ("vorticity, truth", "vorticity, one model for all"))),
        ]),
    ]  # fmt: skip
    mine, direct = (" / ".join(f"{error(n, k):.3f}" for k in LINE) for n in (OURS, "single pass"))
    summary = (
        f"One step of the sampler forecasts advection / Burgers / reaction-diffusion with relative errors {mine}; the same network as a "
        f"single-pass regression reaches {direct}: for a deterministic operator generation costs accuracy, and buys an ensemble. "
        "Ten steps are worse than one as a point forecast."
    )
    settings = {
        "steps": steps,
        "milliseconds": speeds,
        "components for 99 % of patches": ours["dimension"][0],
        "patch values": ours["dimension"][2],
    }
    return StudyResult("unifluids", claims, table, figures, [curve, dims, new], summary=summary, settings=settings)
