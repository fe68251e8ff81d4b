"""Tables, figures, arms and the sentence on top."""

from __future__ import annotations

from typing import Any

from deepwright.core.results import Arm, Cell, Figure, Table
from deepwright.hardware import ARRAYS, GEMM, SISA, TPU_V4, AreaModel, SystolicArray, simulate
from deepwright.studies._frame import Runs, barred, columns, curve
from deepwright.studies.arrays.claims import (
    BASELINES,
    DRAWN,
    FAIR,
    FUSING,
    SERVED,
    SINGLE,
    SPEED,
    STARVED,
    single_speedups,
)
from deepwright.studies.arrays.models import BASE, LENGTHS, OURS, RIVALS, Models, stops, worst
from deepwright.studies.arrays.trials import ROWS, TOGETHER

LIMITS = (
    "No chip was measured: cycles are those of a model that the literature shares, joules and area of constants that "
    "we chose so that the paper's 93 % less energy x delay and less than 5.5 % more area can be met. What follows "
    "from these is no evidence for them.",
    "Eight slabs were inferred from the paper's 8.52, so a speed-up near 8 doesn't confirm it either.",
    "The real ReDas has 129 shapes, whose list wasn't at hand; ours has 8 shapes and three dataflows.",
    "Attention's own products, softmax, norms and the host aren't counted.",
    "Buffers of 1,152 bytes a cycle are what eight slabs take: pods of 16 x 16 could be built with more.",
    "Whole layers with the shapes of six language models, one after another; the networks of random widths have no "
    "structure but their sizes.",
    "Buffers are as large as a layer needs (16 MiB each) and their reads cost the same in a slab as in a large array.",
)
_SHOWN = (1, 8, 16, 24, 32, 48, 64, 65, 128, 129)


def tables_of(found: Models, networks: Runs, requests: Runs) -> list[Table]:
    """The main table first.

    Args:
        found: language models.
        networks: of random widths.
        requests: of a service.
    """
    return [
        _speed(found),
        _energy(found),
        _rivals(found),
        _few(found),
        _fusing(found),
        _baselines(found),
        _single(),
        _drawn(networks),
        _served(requests),
        _area(),
    ]


def _speed(found: Models) -> Table:
    rows: list[list[Cell]] = []
    for m in found.names:
        speed = found.free[m].speedup(OURS)
        rows.append([m, *(float(speed[LENGTHS.index(M)]) for M in _SHOWN), stops(found.free, m)])
    caption = f"{SPEED} in one piece, fused by height, where nothing but compute binds (as the paper has it)"
    return Table(["model", *(f"{M} rows" for M in _SHOWN), "below 1.1 from"], rows, caption)


def _energy(found: Models) -> Table:
    rows: list[list[Cell]] = []
    for m in found.names:
        ratio = found.free[m].edp(OURS) / found.free[m].edp(BASE)
        energy = found.free[m].joules[OURS] / found.free[m].joules[BASE]
        at = [LENGTHS.index(M) for M in (1, 16, 32, 64)]
        rows.append([m, *(float(1 - ratio[i]) for i in at), float(energy[LENGTHS.index(16)])])
    caption = "Energy x delay less than 128 x 128 in one piece: calibrated to the paper's 0.93, so no evidence for it"
    return Table(["model", *(f"{M} rows" for M in (1, 16, 32, 64)), "energy ratio at 16 rows"], rows, caption)


def _rivals(found: Models) -> Table:
    shown = (12, 16, 32, 48, 64, 65, 129)
    rows: list[list[Cell]] = []
    for r in RIVALS:
        name, speed = worst(found.speedups(found.fair, 16, over=r))
        least = [worst(found.edp_over(found.best, M, r)) for M in shown]
        rows.append([r, speed, name, *(value for _, value in least), least[shown.index(16)][0]])
    caption = (
        f"{FAIR} of 1,152 bytes a cycle: how many times as fast {OURS} is at 16 rows, fused by height, on the worst "
        f"model, and a rival's energy x delay over {OURS}'s, both at their least, on the worst model at each length"
    )
    heads = [f"EDP at {M}" for M in shown]
    return Table(["rival", "times as fast", "worst model", *heads, "worst model at 16"], rows, caption)


def _few(found: Models) -> Table:
    rows: list[list[Cell]] = []
    for words, of in (("1,152 bytes a cycle", found.best), ("never bind", found.unbound)):
        for r in ("redas-like", "pods 16 x 16"):
            for M in (1, 5, 8, 12, 16):
                name, value = worst(found.edp_over(of, M, r))
                faster = found.speedups(of, M, r, OURS)[name]
                rows.append([r, words, M, value, faster, name])
    caption = f"{STARVED}: rivals over {OURS}, each at its least energy x delay, on the rival's best model"
    return Table(["rival", "buffers", "rows", "energy x delay", "times as fast", "model"], rows, caption)


def _fusing(found: Models) -> Table:
    rows: list[list[Cell]] = []
    for M in LENGTHS[3:15]:
        height = worst(found.speedups(found.free, M))[1]
        apart, least = (worst(found.speedups(of, M))[1] for of in (found.fast, found.unbound))
        pods = worst(found.edp_over(found.free, M, "pods 16 x 128"))[1]
        best = worst(found.edp_over(found.unbound, M, "pods 16 x 128"))[1]
        split = worst(found.speedups(found.remainder, M))[1] if M in (65, 129, 160) else None
        rows.append([M, height, apart, least, split, pods, best])
    caption = (
        f"{FUSING}: speed-ups over one piece of the worst model, by policy, and the energy x delay of eight pods "
        "of 16 x 128 over those of slabs (below 1: never to fuse is better), on the worst model; remainder: full "
        "blocks in one piece, the rest with a fusion of its own"
    )
    heads = [
        "by height",
        "fewest cycles",
        "least energy x delay",
        "remainder",
        "pods over by height",
        "pods over least",
    ]
    return Table(["rows", *heads], rows, caption)


def _baselines(found: Models) -> Table:
    ways: list[tuple[str, Any]] = [
        ("as the paper has it", found.free),
        ("results leave first, both arrays", found.serial),
        ("no pause between tiles, both arrays", found.pipelined),
        ("weights stay in one piece, loaded behind compute", found.preloaded),
        ("16-bit elements, 1.2 TB/s of memory, both arrays", found.memory),
        ("queries, keys and values share the lanes", found.concurrent),
    ]
    rows: list[list[Cell]] = [[words, *found.speedups(of, 16).values(), *_bounds(found, of)] for words, of in ways]
    caption = f"{BASELINES}: speed-up at 16 rows, by model; the last two columns are the worst and the best of them"
    return Table(["condition", *found.names, "worst", "best"], rows, caption)


def _bounds(found: Models, of: Any) -> tuple[float, float]:
    values = found.speedups(of, 16).values()
    return min(values), max(values)


def _single() -> Table:
    rows: list[list[Cell]] = []
    for (K, N), speed in single_speedups().items():
        one, ours = (simulate(GEMM(16, K, N), a) for a in (TPU_V4, SISA))
        rows.append([f"16 x {K} x {N}", one.cycles, ours.cycles, speed, ours.utilisation])
    caption = f"{SINGLE}: the paper's 8.52 lies among them"
    return Table(["M x K x N", "cycles in one piece", f"cycles of {OURS}", "times", "utilisation"], rows, caption)


def _drawn(networks: Runs) -> Table:
    rows: list[list[Cell]] = []
    for M in ROWS:
        for r in RIVALS:
            edp, delay = (networks.cells(f"{r}, {word} at {M}") for word in ("EDP", "delay"))
            rows.append([M, r, *edp, *delay])
    caption = (
        f"{DRAWN}, K and N log-uniform from 64 to 16,384: geometric means of a rival's energy x delay and delay over "
        f"{OURS}'s, each at its least energy x delay with buffers of 1,152 bytes a cycle, over {len(networks)} draws"
    )
    return Table(["rows", "rival", *columns("energy x delay"), *columns("cycles")], rows, caption)


def _served(requests: Runs) -> Table:
    rows: list[list[Cell]] = []
    for n in TOGETHER:
        height, least = (requests.cells(f"{policy}, {n}") for policy in ("by_height", "min_edp"))
        rows.append([n, requests.mean(f"tokens, {n}"), *height, *least])
    caption = (
        f"{SERVED} of qwen2-0.5b whose prompts are lognormal (median 12 tokens, sigma 1): how many times as many "
        f"requests slabs take in the same time, over {len(requests)} draws"
    )
    heads = [*columns("by height"), *columns("least energy x delay")]
    return Table(["prompts together", "mean rows", *heads], rows, caption)


def _area() -> Table:
    area = AreaModel()
    rows: list[list[Cell]] = [
        [k, area.overhead(SystolicArray(slabs=k)), simulate(GEMM(16, 896, 4864), SystolicArray(slabs=k)).cycles]
        for k in (1, 2, 4, 8, 16, 32)
    ]
    return Table(
        ["slabs", "more area", "cycles of 16 x 896 x 4864"],
        rows,
        "Slabs and area: calibrated to the paper's less than 0.055 at eight slabs, linear in their number",
    )


def figures_of(found: Models, requests: Runs) -> list[Figure]:
    """Speed-up and energy x delay by length, and what batching does.

    Args:
        found: language models.
        requests: of a service.
    """
    shown = "llama-3-8b" if "llama-3-8b" in found.names else found.names[0]
    fair, best = found.fair[shown], found.best[shown]
    note = f"{shown}; no intervals, as nothing is sampled"
    speed = [curve(name, LENGTHS, fair.speedup(name).tolist()) for name in ARRAYS if name != BASE]
    speed.append(curve("SISA, least energy x delay", LENGTHS, best.speedup(OURS).tolist(), dashed=True))
    edp = [curve(n, LENGTHS, (best.edp(n) / best.edp(OURS)).tolist()) for n in RIVALS if n != "monolithic WS"]
    served = [
        barred(words, list(TOGETHER), [requests.interval(f"{policy}, {n}") for n in TOGETHER])
        for words, policy in ((OURS, "by_height"), ("SISA, least energy x delay", "min_edp"))
    ]
    words = "times as fast as 128 x 128 in one piece"
    return [
        Figure(
            "line", "Speed-up by rows, all with the same buffers", speed, "rows (tokens)", words, True, True, note=note
        ),
        Figure(
            "line",
            "Energy x delay over SISA's, each at its least",
            edp,
            "rows (tokens)",
            "over SISA's (below 1: the rival is better)",
            True,
            True,
            note=note,
        ),
        Figure("line", "A service that batches prompts", served, "prompts together", words, True, note=_note(requests)),
    ]


def _note(requests: Runs) -> str:
    return f"{len(requests)} draw(s) of prompts; bands are 95 % intervals, which one draw doesn't have"


def arms() -> list[Arm]:
    """Each array with the best of what it can choose, product by product, by the same rule."""
    budget = "16,384 PEs, 1,152 bytes a cycle of buffers"
    rule = "least energy x delay, product by product, over all that it can do; for speed-ups SISA fuses by height"
    return [Arm(name, rule, "the product itself", budget) for name in ARRAYS]


def summary_of(found: Models, requests: Runs) -> str:
    """The sentence on top.

    Args:
        found: language models.
        requests: of a service.
    """
    speed = found.speedups(found.free, 16)
    memory, pipelined = (worst(found.speedups(of, 16))[1] for of in (found.memory, found.pipelined))
    name, least = worst(speed)
    redas = worst(found.edp_over(found.best, 1, "redas-like"))[1]
    unbound = worst(found.edp_over(found.unbound, 1, "redas-like"))[1]
    height = worst(found.edp_over(found.free, 129, "pods 16 x 128"))[1]
    return (
        f"At 16 rows eight slabs run whole language models {least:.2f} ({name}) to {max(speed.values()):.2f} times as "
        f"fast as 128 x 128 in one piece, not 8.52, and so do pods of 16 x 128 that never fuse; "
        f"{pipelined:.2f} times where no array pauses between tiles, and "
        f"{memory:.2f} times with 16-bit elements and 1.2 TB/s of memory, on the worst model. With one row an array "
        f"that turns into one long row has {redas:.2f} of their energy x delay, and {unbound:.2f} where buffers never "
        f"bind. Fusing by height, the paper's way, can "
        f"cost: at 129 rows pods that never fuse have {height:.2f} of its energy x delay. In a service of short "
        f"prompts slabs take {requests.mean('by_height, 1'):.1f} times as many requests, one at a time, and "
        f"{requests.mean('by_height, 4'):.2f} times as many with four together."
    )
