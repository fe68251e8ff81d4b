"""One flow-matching operator for several equations against the same network in a single pass, an FNO, and its own recipes."""

from __future__ import annotations

import math
import time
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from deepwright.core.fit import adamw, fit_drawn, one_cycle
from deepwright.core.randomness import generator, local_rng
from deepwright.core.results import Claim, Figure, StudyResult, Table
from deepwright.core.trials import run as run_trials
from deepwright.physics.pde_data import ChannelRegistry, PDEBatch, line_corpus, plane_corpus, space_corpus, unified
from deepwright.physics.pictures import field_image
from deepwright.physics.unifluids import (
    FNO,
    LogitNormal,
    NextFrame,
    Parameterization,
    UNet,
    UniFluids,
    effective_dimension,
    euler_sample,
    extrapolation,
    flow_times,
    forecast_errors,
    interleaved,
    persistence,
    relative_error,
    spread_skill,
    train_next_frame,
    train_unifluids,
)
from deepwright.studies import Settings

REGISTRY = ChannelRegistry()
LINE = ("advection", "burgers", "reaction-diffusion")
OURS, DIRECT, JIT, BLOCKS = "flow matching", "single pass", "x, v-loss, logit-normal (JiT)", "single pass in blocks"
RECIPES: dict[str, dict[str, Any]] = {
    DIRECT: {"noise": 0.0},
    OURS: {},
    JIT: {"loss": "v", "times": LogitNormal()},
    "v, v-loss": {"prediction": "v", "loss": "v"},
    "flow matching, padded": {"embed": "pad"},
    "flow matching of fields only": {"target": "field"},
    "flow matching, sensors": {},
}
STEPPERS = ("FNO", "U-Net")
NFE = (1, 2, 5, 10, 20)
SHARES = (1.0, 0.5, 0.25, 0.125, 0.0625)


def run(settings: Settings) -> StudyResult:
    """Joint and single training on a line, recipes, numbers of steps, a held-out equation, and all dimensions at once."""
    steps, seeds = (150, 1) if settings.quick else (4000, 3)
    names = [DIRECT, OURS, "flow matching, sensors"] if settings.quick else list(RECIPES)
    names += [f"only {k}" for k in (LINE[:1] if settings.quick else LINE)]
    names += ["held out", "all dimensions", BLOCKS, *STEPPERS]
    grid_: list[dict[str, Any]] = [{"what": n, "steps": steps, "seed": s} for n in names for s in range(seeds)]
    grid_ += [
        {"what": f"narrow {p}", "steps": 100 if settings.quick else 800, "seed": s}
        for p in ("x", "v")
        for s in range(seeds)
    ]
    rows = run_trials(
        trial, grid_, store=settings.store, jobs=settings.jobs, backend=settings.backend, description="unifluids"
    )
    found: dict[str, list[dict[str, Any]]] = {}
    for spec, row in zip(grid_, rows):
        found.setdefault(spec["what"], []).append(row)
    return _result(found, _speeds(3 if settings.quick else 9), steps, seeds)


def trial(what: str, steps: int, seed: int) -> dict[str, Any]:
    """Train and measure one model."""
    torch.set_num_threads(1)
    begin = time.process_time()
    if what.startswith("narrow"):
        return _bottleneck(what.split()[1], steps, seed)
    small = steps < 1000
    data = unified(line_corpus(*((60, 12) if small else (500, 60)), seed=seed), REGISTRY)
    if what in STEPPERS:
        return _stepper(what, data, small, seed)
    if what == BLOCKS:
        return _blocks(data, steps, seed)
    if what == "all dimensions":
        data |= unified(
            plane_corpus(*((12, 4) if small else (200, 20)), seed=seed)
            | space_corpus(*((12, 4) if small else (100, 10)), seed=seed),
            REGISTRY,
        )
    if what == "held out":
        return _held_out(data, steps, seed)
    names = [what[5:]] if what.startswith("only ") else list(data)
    model = UniFluids(REGISTRY, list(data), "tiny", **RECIPES.get(what, {}), seed=seed)
    sensors = (0.05, 1.0) if what.endswith("sensors") else None
    best, _ = train_unifluids(
        model, [data[k][0] for k in names], steps=steps if len(names) > 1 else steps // 3, seed=seed, sensors=sensors
    )
    out: dict[str, Any] = {
        "seconds": time.process_time() - begin,
        "parameters": sum(p.numel() for p in model.parameters()),
    }
    out["errors"] = {k: _measured(best, data[k][1]) for k in names}
    if sensors:
        out["sensors"] = [_sensors(best, data, share, seed) for share in SHARES]
    if what == OURS:
        out |= {
            "curve": _curve(best, data),
            "ensemble": list(spread_skill(best.sample(data["burgers"][1], steps=10, members=8), data["burgers"][1])),
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


def _measured(model: UniFluids, data: PDEBatch) -> dict[str, float]:
    one, ten = model.predict(data), model.sample(data, steps=10)[0]
    simple = {"persistence": persistence(data), "extrapolation": extrapolation(data)}
    found = {"1": relative_error(one, data), "10": relative_error(ten, data)} | forecast_errors(one, data)
    return found | {k: relative_error(u, data) for k, u in simple.items()}


def _curve(model: UniFluids, data: dict[str, tuple[PDEBatch, PDEBatch]]) -> list[dict[str, Any]]:
    rows = []
    for n in NFE:
        begin = time.process_time()
        errors = {k: relative_error(model.sample(data[k][1], steps=n)[0], data[k][1]) for k in LINE}
        heun = {k: relative_error(model.sample(data[k][1], steps=n, solver="heun")[0], data[k][1]) for k in LINE}
        rows.append({"steps": n, "errors": errors, "heun": heun, "seconds": time.process_time() - begin})
    return rows


def _sensors(model: UniFluids, data: dict[str, tuple[PDEBatch, PDEBatch]], share: float, seed: int) -> dict[str, Any]:
    """The context known at some places only: errors of one step, spread of ten, and of interpolating between the sensors first."""
    out: dict[str, Any] = {"share": share}
    for k in LINE:
        some = data[k][1].with_sensors(share, generator(seed, "sensors", k))
        members = model.sample(some, steps=10, members=8)
        filled = replace(some, u=_interpolated(some), seen=None)
        out[k] = {
            "error": relative_error(model.predict(some), some), "ratio": spread_skill(members, some)[1],
            "interpolated": relative_error(model.predict(filled), some),
            "spread": float(members.std(0)[:, :, some.context :].mean() / some.u.std()),
        }  # fmt: skip
    return out


def _interpolated(data: PDEBatch) -> Tensor:
    """The context's frames between sensors on a ring, linearly."""
    u, n = data.u.clone(), data.u.shape[3]
    places = np.arange(n)
    assert data.seen is not None
    for row, seen in enumerate(data.seen[:, :, 0, 0].numpy()):
        for frame in range(data.context):
            known = u[row, 0, frame, :, 0, 0].numpy()[seen]
            u[row, 0, frame, :, 0, 0] = torch.from_numpy(np.interp(places, places[seen], known, period=n)).float()
    return u


def _finer(model: UniFluids, small: bool, seed: int) -> dict[str, list[float]]:
    """The same model on twice as many points, as they are and as two interleaved grids; over its error on as many as in training."""
    sizes = (4, 12) if small else (4, 60)
    fine, coarse = (unified(line_corpus(*sizes, points=n, seed=seed + 50), REGISTRY) for n in (128, 64))
    found = {}
    for k in LINE:
        base = max(relative_error(model.predict(coarse[k][1]), coarse[k][1]), 1e-9)
        ways = (model.predict(fine[k][1]), interleaved(model.predict, fine[k][1], 2))
        found[k] = [relative_error(u, fine[k][1]) / base for u in ways]
    return found


def _held_out(data: dict[str, tuple[PDEBatch, PDEBatch]], steps: int, seed: int) -> dict[str, Any]:
    """Advection and Burgers in training, reaction-diffusion never seen; then fine-tuned on few trajectories."""
    model = UniFluids(REGISTRY, ["advection", "burgers", "reaction-diffusion"], "tiny", seed=seed)
    best, _ = train_unifluids(model, [data[k][0] for k in LINE[:2]], steps=2 * steps // 3, seed=seed)
    few, test = (
        data["reaction-diffusion"][0].rows(torch.arange(min(50, len(data["reaction-diffusion"][0])))),
        data["reaction-diffusion"][1],
    )
    unknown = PDEBatch(
        test.u, test.channels, test.spacing, test.extent, test.params[:, :0], "unknown", test.bc, test.dim, test.context
    )
    zero = relative_error(best.predict(unknown), test)
    tuned = UniFluids(REGISTRY, model.pdes, "tiny", seed=seed)
    tuned.load_state_dict(best.state_dict())
    tuned.fit_units([data[k][0] for k in LINE[:2]] + [few])
    tuned, _ = train_unifluids(tuned, [few], steps=max(20, steps // 10), lr=1e-3, seed=seed + 1, fresh_units=False)
    scratch = UniFluids(REGISTRY, model.pdes, "tiny", seed=seed)
    scratch, _ = train_unifluids(scratch, [few], steps=max(20, steps // 10), lr=1e-3, seed=seed + 1)
    return {
        "zero-shot": zero,
        "fine-tuned": relative_error(tuned.predict(test), test),
        "scratch": relative_error(scratch.predict(test), test),
        "persistence": relative_error(persistence(test), test),
    }


def _stepper(what: str, data: dict[str, tuple[PDEBatch, PDEBatch]], small: bool, seed: int) -> dict[str, Any]:
    """One operator an equation, frame by frame; epochs give all three together about the time of one joint training."""
    out: dict[str, Any] = {"errors": {}, "seconds": {}}
    for k in LINE:
        begin = time.process_time()
        if what == "FNO":
            model: NextFrame = FNO(1, 4, 1, seed=seed)
            train_next_frame(model, data[k][0], epochs=1 if small else 24, seed=seed)
        else:
            model = UNet(1, 4, 1, 8, seed=seed)
            train_next_frame(model, data[k][0], epochs=1 if small else 16, push=True, seed=seed)
        out["seconds"][k] = time.process_time() - begin
        begin = time.process_time()
        out["errors"][k] = {"1": relative_error(model.eval().rollout(data[k][1]), data[k][1])}
        out["errors"][k]["rollout seconds"] = time.process_time() - begin
    return out


def _blocks(data: dict[str, tuple[PDEBatch, PDEBatch]], steps: int, seed: int) -> dict[str, Any]:
    """The single pass in blocks of four frames, each from the last four: the same transformer as an autoregressive model."""
    begin, window = time.process_time(), 8
    sets = []
    for k in LINE:
        train_set = data[k][0]
        starts = range(0, train_set.u.shape[2] - window + 1, 2)
        u = torch.cat([train_set.u[:, :, s : s + window] for s in starts])
        sets.append(replace(train_set, u=u, params=train_set.params.repeat(len(starts), 1)))
    model = UniFluids(REGISTRY, list(LINE), "tiny", noise=0.0, seed=seed)
    best, _ = train_unifluids(model, sets, steps=steps, seed=seed)
    out: dict[str, Any] = {"seconds": time.process_time() - begin, "errors": {}}
    for k in LINE:
        test = data[k][1]
        begin = time.process_time()
        rest = best.rollout(replace(test, u=test.u[:, :, :window].contiguous()), 3)
        out["errors"][k] = {
            "1": relative_error(torch.cat([test.u[:, :, :4], rest], 2), test),
            "rollout seconds": time.process_time() - begin,
        }
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

    class Objective(nn.Module):
        """One batch's loss."""

        def __init__(self) -> None:
            super().__init__()
            self.net = net

        def forward(self, numbers: Tensor) -> Tensor:
            own = torch.Generator().manual_seed(int(numbers[0]) + 7919 * seed)
            pick = torch.randint(len(x), (128,), generator=own)
            t = LogitNormal()(128, own)[:, None]
            noise = torch.randn(128, 512, generator=own)
            z = t * x[pick] + (1 - t) * noise
            return how.error(self.net(z, c[pick], t), x[pick], noise, z, t).square().mean()

    fit_drawn(
        Objective(), steps, optimizer=adamw(4e-3, 0.0), scheduler=one_cycle(4e-3), seed=seed, description="bottleneck"
    )
    net.eval()

    def velocity(z: Tensor, t: Tensor) -> Tensor:
        out = net(z, ct, t.expand(len(z), 1))
        return how.convert(out, z, t, "v")

    with torch.no_grad():
        found = euler_sample(velocity, torch.randn(200, 512, generator=rng), flow_times(10))
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


def _result(found: dict[str, list[dict[str, Any]]], speeds: dict[str, float], steps: int, seeds: int) -> StudyResult:
    def errors(what: str, k: str, key: str = "1") -> list[float]:
        return [r["errors"][k][key] for r in found[what]]

    def error(what: str, k: str, key: str = "1") -> float:
        return sum(errors(what, k, key)) / seeds

    def worst(over: str, under: str) -> list[float]:
        """Of each seed, the largest quotient over the equations."""
        ratios = [[a / b for a, b in zip(errors(over, k), errors(under, k))] for k in LINE]
        return [max(column) for column in zip(*ratios)]

    def curve_of(k: str, key: str = "errors") -> list[float]:
        return [sum(r["curve"][i][key][k] for r in found[OURS]) / seeds for i in range(len(NFE))]

    held, sensing = found["held out"], found["flow matching, sensors"]
    x_toy, v_toy = ([r["error"] for r in found[f"narrow {p}"]] for p in ("x", "v"))
    every = list(found["all dimensions"][0]["errors"])
    claims = [
        *(Claim.at_most(f"{k}: relative L2 error in one step", errors(OURS, k), limit) for k, limit in zip(LINE, (0.15, 0.35, 0.04))),
        Claim.at_most("... over a single-pass regression of the same make, worst equation", worst(OURS, DIRECT), 2.0),
        Claim.at_most("one step is the best point forecast: its error over the best number of steps, worst equation", max(curve_of(k)[0] / min(curve_of(k)) for k in LINE), 1.05),
        Claim.at_most("joint over single training with as many steps an equation, worst equation",
                      max(error(OURS, k) / error(f"only {k}", k) for k in LINE if f"only {k}" in found), 1.5),
        Claim.at_most("twice as many points as in training: error over that on 64, worst equation", [max(v[0] for v in r["finer"].values()) for r in found[OURS]], 3.0),
        Claim.at_most("... forecast as two interleaved grids", [max(v[1] for v in r["finer"].values()) for r in found[OURS]], 3.0),
        Claim.at_most("an equation never seen: zero-shot error over persistence's", [h["zero-shot"] / h["persistence"] for h in held], 1.0),
        Claim.at_most("... fine-tuned on 50 trajectories: error over training from scratch on them", [h["fine-tuned"] / h["scratch"] for h in held], 0.8),
        Claim.at_most("narrow network, four numbers in 512: x-prediction's error at 10 steps", x_toy, 0.12),
        Claim.at_least("... v-prediction's", v_toy, 0.6),
        Claim.at_most("all dimensions at once: error over the better one of persistence and extrapolation, worst equation",
                      [max(e["1"] / min(e["persistence"], e["extrapolation"]) for e in r["errors"].values()) for r in found["all dimensions"]], 1.0),
        Claim.at_most("context at a quarter of the places: error over interpolating between them first, worst equation",
                      [max(r["sensors"][2][k]["error"] / r["sensors"][2][k]["interpolated"] for k in LINE) for r in sensing], 1.0),
        Claim.at_least("... spread of the ensemble at a sixteenth over that at all places, smallest over equations",
                       [min(r["sensors"][-1][k]["spread"] / r["sensors"][0][k]["spread"] for k in LINE) for r in sensing], 1.5),
        Claim.at_most("milliseconds of a training step (nano, 32 x 16 tokens, one thread)", speeds["training step"], 60.0),
        Claim.at_most("time of a one-step forecast over the single pass", speeds["flow matching, 1 step"] / speeds["single pass"], 1.2),
    ]  # fmt: skip
    if JIT in found:
        ratios = [a / b for a, b in zip(errors(JIT, "advection"), errors(OURS, "advection"))]
        claims.append(Claim.at_least("advection: the JiT recipe's error in one step over ours", ratios, 5.0))
    rows: list[list[Any]] = []
    for name in (*RECIPES, BLOCKS, *STEPPERS, *(f"only {k}" for k in LINE), "all dimensions"):
        if name in found:
            known = [k if k in found[name][0]["errors"] else None for k in LINE]
            ten = "10" if name not in (BLOCKS, *STEPPERS) else None
            seconds = [
                r["seconds"] if isinstance(r["seconds"], float) else sum(r["seconds"].values()) for r in found[name]
            ]
            rows.append(
                [
                    name,
                    *(k and error(name, k) for k in known),
                    *(k and ten and error(name, k, ten) for k in known),
                    sum(seconds) / seeds,
                ]
            )
    rows += [[n, *(error(OURS, k, n) for k in LINE), None, None, None, None] for n in ("persistence", "extrapolation")]
    table = Table(
        ["training", *LINE, *(f"{k}, 10 steps" for k in LINE), "CPU seconds"], rows,
        f"relative L2 error over 12 forecast frames of 60 test trajectories, one step of the sampler (in blocks of four frames; FNO and U-Net: frame by frame, one network an equation); width 64, 3 layers, {steps} steps of 32 (single equations a third each), mean of {seeds} seeds",
    )  # fmt: skip
    ensemble = [sum(r["ensemble"][i] for r in found[OURS]) / seeds for i in range(2)]
    curve = Table(
        ["steps", *LINE, *(f"{k}, Heun" for k in LINE), "CPU seconds"],
        [[n, *(curve_of(k)[i] for k in LINE), *(curve_of(k, "heun")[i] for k in LINE), found[OURS][0]["curve"][i]["seconds"]] for i, n in enumerate(NFE)],
        f"steps of the sampler; an ensemble of 8 errs by {ensemble[0]:.3g} on Burgers in the mean, spread over error {ensemble[1]:.2f}",
    )  # fmt: skip
    columns = ("1", "persistence", "extrapolation", "nrmse", "low", "middle", "high", "mass", "spectrum")
    dims = Table(
        ["equation", "one step", "persistence", "extrapolation", "nRMSE", "low modes", "middle", "high", "mass", "log spectrum"],
        [[k, *(error("all dimensions", k, c) for c in columns)] for k in every],
        "one model for equations of one, two and three dimensions",
    )  # fmt: skip
    few = Table(
        ["share of places", *LINE, *(f"{k}, interpolated first" for k in LINE), *(f"{k}, spread over error" for k in LINE)],
        [[share, *(sum(r["sensors"][i][k][c] for r in sensing) / seeds for c in ("error", "interpolated", "ratio") for k in LINE)] for i, share in enumerate(SHARES)],
        "context frames known at random places only, by one model for all shares; ensembles of 8 in ten steps",
    )  # fmt: skip
    new = Table(
        ["reaction-diffusion, never trained on", "error"],
        [[k, sum(h[k] for h in held) / seeds] for k in held[0]],
        "zero-shot without name and parameters; 50 trajectories for the others",
    )
    frames = [f.numpy().T for f in found[OURS][0]["picture"]]
    flow = [f.numpy() for f in found["all dimensions"][0]["picture"]]
    compared = [n for n in (*RECIPES, BLOCKS, *STEPPERS) if n in found]
    figures = [
        Figure("line", "More steps buy samples, not accuracy", [{"name": k, "x": list(NFE), "y": curve_of(k)} for k in LINE], "steps of the sampler", "relative L2 error", log_x=True, log_y=True),
        Figure("bar", "One-step error by recipe", [{"name": n, "x": list(LINE), "y": [error(n, k) for k in LINE]} for n in compared], "equation", "relative L2 error", log_y=True),
        Figure("line", "Sensors instead of whole frames", [{"name": f"{k}{', interpolated first' if c == 'interpolated' else ''}", "x": list(SHARES), "y": [sum(r["sensors"][i][k][c] for r in sensing) / seeds for i in range(len(SHARES))], "dashed": c == "interpolated"} for k in LINE for c in ("error", "interpolated")], "share of places", "relative L2 error", log_x=True, log_y=True),
        Figure("images", "Burgers, frame against place; vorticity at the last frame", [
            *(field_image(f, n, extent=(0, 1, 0, 0.75), axes=("x", "t")) for f, n in zip(frames, ("truth", "one step", "ten steps"))),
            *(field_image(f, n) for f, n in zip(flow, ("vorticity, truth", "vorticity, one model for all"))),
        ]),
    ]  # fmt: skip
    mine, direct = (" / ".join(f"{error(n, k):.3f}" for k in LINE) for n in (OURS, DIRECT))
    summary = (
        f"One step of the sampler forecasts advection / Burgers / reaction-diffusion with relative errors {mine}; the same network as a "
        f"single-pass regression reaches {direct}: for a deterministic operator generation costs accuracy, and buys an ensemble. "
        "Ten steps are worse than one as a point forecast."
    )
    first = found[OURS][0]["dimension"]
    settings = {
        "steps": steps, "seeds": seeds, "milliseconds": speeds, "components for 99 % of patches": first[0], "patch values": first[2],
    }  # fmt: skip
    return StudyResult("unifluids", claims, table, figures, [curve, dims, few, new], summary=summary, settings=settings)
