"""One operator model trained on trajectories of several equations, and measured on others."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from deepwright.core.randomness import generator
from deepwright.physics.pde_data import (
    ChannelRegistry,
    PDEBatch,
    line_corpus,
    plane_corpus,
    space_corpus,
    unified,
)
from deepwright.physics.unifluids import (
    FNO,
    LogitNormal,
    NextFrame,
    UNet,
    UniFluids,
    effective_dimension,
    extrapolation,
    forecast_errors,
    interleaved,
    persistence,
    relative_error,
    spread_skill,
    train_next_frame,
    train_unifluids,
)

Forecast = Callable[[PDEBatch], Tensor]
REGISTRY = ChannelRegistry()
LINE = ("advection", "burgers", "reaction-diffusion")
OURS, DIRECT, JIT, BLOCKS = "flow matching", "single pass", "x, v-loss, logit-normal (JiT)", "single pass in blocks"
LONGER, SENSORS, MIXED = "single pass, twice the steps", "flow matching, sensors", "flow matching, PDEBench's fields"
EVERY, HELD_OUT = "all dimensions", "held out"
STEPPERS = ("FNO", "U-Net")
METHODS = (DIRECT, OURS, JIT, *STEPPERS)
RECIPES: dict[str, dict[str, Any]] = {
    DIRECT: {"noise": 0.0},
    LONGER: {"noise": 0.0},
    OURS: {},
    JIT: {"loss": "v", "times": LogitNormal()},
    SENSORS: {},
}
RATES = (1e-3, 3e-3, 1e-2, 3e-2)
ASIDE = 700  # added to a seed: fields on which learning rates are chosen, and nothing else
EPOCHS = {"FNO": 12, "U-Net": 8}
"""Passes over each equation's windows that take all three together about as long as 2000 steps of the transformer."""
KINDS = ("plain", "folded", "windowed")
NFE = (1, 2, 5, 10, 20)
SHARES = (1.0, 0.5, 0.25, 0.125, 0.0625)


def corpus(small: bool, seed: int, shape: str = "plain") -> dict[str, tuple[PDEBatch, PDEBatch]]:
    """The three equations on a line.

    Args:
        small: few trajectories.
        seed: of the fields.
        shape: of initial fields.
    """
    return unified(line_corpus(*((60, 12) if small else (500, 60)), seed=seed, shape=shape), REGISTRY)


def tuning_trial(method: str, lr: float, steps: int, seed: int) -> dict[str, float]:
    """A method's mean error over the equations after a quarter of the training, on fields that nothing else uses.

    Args:
        method: of `METHODS`.
        lr: the cycle's peak.
        steps: of the whole training.
        seed: of everything.
    """
    torch.set_num_threads(1)
    seed = seed + ASIDE
    data = corpus(steps < 1000, seed)
    if method in STEPPERS:
        found = _stepper(method, data, lr, steps // 4, seed)["errors"]
        errors = [found[k]["1"] for k in LINE]
    else:
        model = UniFluids(REGISTRY, list(LINE), "tiny", **RECIPES[method], seed=seed)
        best, _ = train_unifluids(model, [data[k][0] for k in LINE], steps=steps // 4, lr=lr, seed=seed)
        errors = [relative_error(best.predict(data[k][1]), data[k][1]) for k in LINE]
    return {"validation": sum(errors) / len(errors), **dict(zip(LINE, errors))}


def trial(what: str, lr: float, steps: int, seed: int) -> dict[str, Any]:
    """Train and measure one model.

    Args:
        what: the arm.
        lr: the cycle's peak.
        steps: of a joint training on a line; others take a share of them.
        seed: of everything.
    """
    torch.set_num_threads(1)
    small = steps < 1000
    data = corpus(small, seed, "pdebench" if what == MIXED else "plain")
    if what in STEPPERS:
        return _stepper(what, data, lr, steps, seed)
    if what == BLOCKS:
        return _blocks(data, lr, steps, seed)
    if what == EVERY:
        data |= unified(
            plane_corpus(*((12, 4) if small else (200, 20)), seed=seed)
            | space_corpus(*((12, 4) if small else (100, 10)), seed=seed),
            REGISTRY,
        )
    if what == HELD_OUT:
        return _held_out(data, lr, steps, seed)
    names = [what[5:]] if what.startswith("only ") else list(data)
    model = UniFluids(REGISTRY, list(data), "tiny", **RECIPES.get(what, {}), seed=seed)
    sensors = (0.05, 1.0) if what == SENSORS else None
    count = {LONGER: 2 * steps, EVERY: steps // 2}.get(what, steps if len(names) > 1 else steps // 3)
    begin = time.process_time()
    best, _ = train_unifluids(model, [data[k][0] for k in names], steps=count, lr=lr, seed=seed, sensors=sensors)
    out: dict[str, Any] = {"seconds": time.process_time() - begin, "steps": count}
    out["errors"] = {k: _measured(best, data[k][1]) for k in names}
    if sensors:
        out["sensors"] = [_sensors(best, data, share, seed) for share in SHARES]
    if what in (OURS, DIRECT, MIXED):
        out["kinds"] = {kind: _kind(best.predict, kind, small, seed) for kind in KINDS}
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
    if what == EVERY:
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


def _kind(forecast: Forecast, kind: str, small: bool, seed: int, names: tuple[str, ...] = LINE) -> dict[str, float]:
    """Errors where all initial fields are of one kind; reaction-diffusion starts at |u|, so plain ones are folded."""
    data = unified(line_corpus(*((4, 12) if small else (4, 60)), seed=seed + 70, shape=kind), REGISTRY)
    return {k: relative_error(forecast(data[k][1]), data[k][1]) for k in names}


def _sensors(model: UniFluids, data: dict[str, tuple[PDEBatch, PDEBatch]], share: float, seed: int) -> dict[str, Any]:
    """The context known at some places only: errors of one step and of interpolating first, spread of ten steps."""
    out: dict[str, Any] = {"share": share}
    for k in LINE:
        some = data[k][1].with_sensors(share, generator(seed, "sensors", k))
        members = model.sample(some, steps=10, members=8)
        filled = replace(some, u=_interpolated(some), seen=None)
        out[k] = {
            "error": relative_error(model.predict(some), some),
            "ratio": spread_skill(members, some)[1],
            "interpolated": relative_error(model.predict(filled), some),
            "spread": float(members.std(0)[:, :, some.context :].mean() / some.u.std()),
        }
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
    """Errors on twice as many points, whole and as two interleaved grids, over that on as many as in training."""
    sizes = (4, 12) if small else (4, 60)
    fine, coarse = (unified(line_corpus(*sizes, points=n, seed=seed + 50), REGISTRY) for n in (128, 64))
    found = {}
    for k in LINE:
        base = max(relative_error(model.predict(coarse[k][1]), coarse[k][1]), 1e-9)
        ways = (model.predict(fine[k][1]), interleaved(model.predict, fine[k][1], 2))
        found[k] = [relative_error(u, fine[k][1]) / base for u in ways]
    return found


def _held_out(data: dict[str, tuple[PDEBatch, PDEBatch]], lr: float, steps: int, seed: int) -> dict[str, Any]:
    """Advection and Burgers in training, reaction-diffusion never seen; then fine-tuned on few trajectories."""
    model = UniFluids(REGISTRY, ["advection", "burgers", "reaction-diffusion"], "tiny", seed=seed)
    best, _ = train_unifluids(model, [data[k][0] for k in LINE[:2]], steps=2 * steps // 3, lr=lr, seed=seed)
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
    scratch, _ = train_unifluids(scratch, [few], steps=max(20, steps // 10), lr=lr, seed=seed + 1)
    return {
        "zero-shot": zero,
        "fine-tuned": relative_error(tuned.predict(test), test),
        "scratch": relative_error(scratch.predict(test), test),
        "persistence": relative_error(persistence(test), test),
    }


def _stepper(what: str, data: dict[str, tuple[PDEBatch, PDEBatch]], lr: float, steps: int, seed: int) -> dict[str, Any]:
    """One operator an equation, frame by frame; all three together take about the time of one joint training."""
    small = steps < 250
    epochs = 1 if small else max(1, round(EPOCHS[what] * steps / 2000))
    out: dict[str, Any] = {"errors": {}, "kinds": {kind: {} for kind in KINDS}, "seconds": 0.0}
    for k in LINE:
        model: NextFrame = FNO(1, 4, 1, seed=seed) if what == "FNO" else UNet(1, 4, 1, 8, seed=seed)
        begin = time.process_time()
        train_next_frame(model, data[k][0], epochs=epochs, lr=lr, push=what == "U-Net", seed=seed)
        out["seconds"] += time.process_time() - begin
        forecast = model.eval().rollout
        out["errors"][k] = {"1": relative_error(forecast(data[k][1]), data[k][1])}
        for kind in KINDS:
            out["kinds"][kind] |= _kind(forecast, kind, small, seed, (k,))
    return out


def _blocks(data: dict[str, tuple[PDEBatch, PDEBatch]], lr: float, steps: int, seed: int) -> dict[str, Any]:
    """The single pass in blocks of four frames, each from the last four: the transformer as an autoregressive model."""
    window, sets = 8, []
    for k in LINE:
        train_set = data[k][0]
        starts = range(0, train_set.u.shape[2] - window + 1, 2)
        u = torch.cat([train_set.u[:, :, s : s + window] for s in starts])
        sets.append(replace(train_set, u=u, params=train_set.params.repeat(len(starts), 1)))
    model = UniFluids(REGISTRY, list(LINE), "tiny", noise=0.0, seed=seed)
    begin = time.process_time()
    best, _ = train_unifluids(model, sets, steps=steps, lr=lr, seed=seed)
    out: dict[str, Any] = {"seconds": time.process_time() - begin, "errors": {}}
    for k in LINE:
        test = data[k][1]
        rest = best.rollout(replace(test, u=test.u[:, :, :window].contiguous()), 3)
        out["errors"][k] = {"1": relative_error(torch.cat([test.u[:, :, :4], rest], 2), test)}
    return out
