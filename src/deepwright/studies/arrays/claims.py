"""What the paper, or we, say of slabs; each claim can fail."""

from __future__ import annotations

from deepwright.core.results import Claim
from deepwright.hardware import GEMM, SISA, TPU_V4, simulate
from deepwright.studies._frame import Runs
from deepwright.studies.arrays.models import LENGTHS, OURS, RIVALS, Models, worst
from deepwright.studies.arrays.trials import ROWS

SPEED = "Speed-up over 128 x 128"
SINGLE = "Single products at 16 rows"
FAIR = "With the same buffers"
STARVED = "At few rows"
FUSING = "What fusing by height costs"
BASELINES = "Other baselines and conditions"
DRAWN = "Networks of random widths"
SERVED = "A service"
APART = "pods 16 x 128"
_WHY = {
    APART: "Slabs that are fused pad rows, where these pods don't.",
    "pods 16 x 16": "Narrow products fill 16 columns better than 128.",
    "redas-like": "A form as narrow as a product, or as high, leaves fewer elements idle.",
}
_FORM = "a closed form in whole numbers: no sample"
SINGLES = ((896, 4864), (1536, 151936), (896, 151936))
_PAPER = 8.52


def single_speedups() -> dict[tuple[int, int], float]:
    """Of the products that come nearest to the paper's headline, by (K, N)."""
    return {(K, N): simulate(GEMM(16, K, N), TPU_V4).cycles / simulate(GEMM(16, K, N), SISA).cycles for K, N in SINGLES}


def claims_of(found: Models, networks: Runs, requests: Runs, events: Runs) -> list[Claim]:
    """Every claim.

    Args:
        found: language models.
        networks: of random widths.
        requests: of a service.
        events: arrays event by event.
    """
    speed = found.speedups(found.free, 16)
    least, most = worst(speed)[1], max(speed.values())
    count = len(found.names)
    all_models = f"the worst of {count} models"
    pipelined, preloaded = (worst(found.speedups(of, 16))[1] for of in (found.pipelined, found.preloaded))
    memory = worst(found.speedups(found.memory, 16))[1]
    fair = {r: worst(found.speedups(found.fair, 16, over=r))[1] for r in RIVALS if r != APART}
    lengths = [M for M in LENGTHS if M >= 12]
    edp = {  # up to 16 rows slabs that aren't fused are these pods
        M: min(worst(found.edp_over(found.best, M, r))[1] for r in RIVALS if r != APART or M > 16) for M in LENGTHS
    }
    by_height = min(worst(found.edp_over(found.free, M, APART))[1] for M in LENGTHS if M > 16)
    few = min(edp[M] for M in LENGTHS if M <= 8)
    return [
        Claim.at_least(f"up to {_PAPER}x on a whole model at 16 rows (paper)", most, _PAPER, basis=_FORM).because(
            "The exact set of products and the drain behind it aren't published; single products reach it, and none "
            "of these whole models does.",
            SINGLE,
        ),
        Claim.at_least(f"{all_models} is at least 7.2 times as fast at 16 rows", least, 7.2, basis=_FORM).because(
            "Keys and values are too narrow to fill eight slabs.", SPEED
        ),
        Claim.at_least(
            f"{all_models} is at least 7.2 times as fast at 16 rows where no array pauses between tiles",
            pipelined,
            7.2,
            basis=_FORM,
        ).because("A part of the gain is the pause of the array in one piece between tiles.", BASELINES),
        Claim.at_least(
            f"{all_models} is at least 7.2 times as fast at 16 rows as an array that loads weights behind compute",
            preloaded,
            7.2,
            basis=_FORM,
        ).because("A part of the gain is the pause of the array in one piece between tiles.", BASELINES),
        Claim.at_least(
            f"{all_models} is at least 5 times as fast at 16 rows with 16-bit elements and 1.2 TB/s of memory",
            memory,
            5.0,
            basis=_FORM,
        ).because("Weights come no faster than the memory gives them, on either array.", BASELINES),
        Claim.at_least(
            f"with the same buffers no rival is faster at 16 rows, on {all_models}",
            min(fair.values()),
            1.0,
            basis=_FORM,
        ).because("A rival's tiles fit these products better.", FAIR),
        Claim.at_least(
            f"same buffers, each at its best: no rival has less energy x delay from 12 rows on, on {all_models}",
            min(edp[M] for M in lengths),
            1.0,
            basis=_FORM,
        ).because("At 64 rows the changing array is ahead on two models, by less than a hundredth.", FAIR),
        Claim.at_least(
            f"same buffers, each at its best: no rival has less energy x delay up to 8 rows, on {all_models}",
            few,
            1.0,
            basis=_FORM,
        ).because(
            "An array that turns into one long row has no idle rows, where 16-row slabs have; with buffers that never "
            "bind it is further ahead.",
            STARVED,
        ),
        Claim.at_least(
            f"fusing by height has no more energy x delay than pods that never fuse, from 24 rows on, on {all_models}",
            by_height,
            1.0,
            basis=_FORM,
        ).because("Rows are padded to the next fused height: 48 run as 64, 65 as 128, 129 as 256.", FUSING),
        *_drawn(networks),
        *_served(requests),
        Claim.at_most(
            "cycles of an event-level array and of the closed form differ by", events.values("cycles"), 0.0, every=True
        ),
        Claim.at_most(
            "results of the event-level array differ from the product by", events.values("error"), 1e-12, every=True
        ),
    ]


def _drawn(networks: Runs) -> list[Claim]:
    found = []
    for M in ROWS:
        for rival, why in _WHY.items():
            if rival == APART and M <= 16:  # slabs that don't fuse are these pods
                continue
            values = networks.values(f"{rival}, EDP at {M}")
            text = f"networks of random widths at {M} rows: energy x delay of {rival} over {OURS}'s, at least"
            found.append(Claim.at_least(text, values, 1.0).because(why, DRAWN))
    return found


def _served(requests: Runs) -> list[Claim]:
    alone, four = requests.values("by_height, 1"), requests.values("by_height, 4")
    best = requests.values("min_edp, 16")
    return [
        Claim.at_least("a service of single prompts: requests in the same time, times", alone, 3.0).because(
            "Long prompts fill the array in one piece.", SERVED
        ),
        Claim.at_least("four prompts together: requests in the same time, times", four, 1.5).because(
            "Together they have more than 64 rows, and run in one piece.", SERVED
        ),
        Claim.at_least("sixteen prompts together, least energy x delay: requests, times", best, 1.05).because(
            "Full blocks of 128 rows gain nothing.", SERVED
        ),
    ]
