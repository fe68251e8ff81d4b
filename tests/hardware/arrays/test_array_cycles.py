"""Cycles: the paper's and SCALE-Sim's numbers, an event-level array, and what holds for every product."""

import random

import numpy as np
import pytest
import torch

from deepwright.hardware import (
    ARRAYS,
    GEMM,
    MODELS,
    SISA,
    TPU_V4,
    SystolicArray,
    functional_gemm,
    llm_gemms,
    redas_like,
    simulate,
)
from deepwright.hardware.arrays.array import divisors
from deepwright.hardware.arrays.simulating import fullest_lane
from deepwright.hardware.arrays.timing import cycles_of, fold, sizes_of

SIZES = ((8, 8, 20), (3, 5, 20), (20, 17, 30))  # M, N, K
SCALE_SIM = {"os": (33, 33, 395), "ws": (89, 74, 503), "is": (89, 80, 467)}  # 3.0.0, on 8 x 8
# speed-up at M = 16, EDP cut at M = 1 and 16, energy ratio, speed-ups at 32, 64, 128, EDP cuts at 32 and 64
TABLE = {
    "qwen2-0.5b": (7.64, 94.7, 92.2, 0.598, 3.93, 2.00, 1.00, 81.2, 55.9),
    "qwen2-1.5b": (7.23, 94.1, 91.5, 0.617, 4.06, 2.06, 1.00, 81.4, 56.7),
    "qwen2-7b": (7.57, 94.1, 91.7, 0.632, 4.08, 2.03, 1.00, 81.2, 55.7),
    "llama-3.2-1b": (8.11, 94.7, 92.3, 0.622, 4.15, 2.05, 1.00, 81.7, 56.4),
    "llama-3.2-3b": (8.24, 94.7, 92.4, 0.629, 4.10, 2.03, 1.00, 81.4, 55.9),
    "llama-3-8b": (8.17, 94.6, 92.3, 0.633, 4.07, 2.02, 1.00, 81.1, 55.6),
}


def drawn(count, seed=0, rows=600):
    rng = random.Random(seed)
    return [GEMM(rng.randint(1, rows), rng.randint(1, 3000), rng.randint(1, 6000)) for _ in range(count)]


@pytest.mark.parametrize("dataflow", SCALE_SIM)
def test_scale_sims_cycles(dataflow):
    found = [simulate(GEMM(M, K, N), SystolicArray(8, 8, dataflow)).cycles for M, N, K in SIZES]
    assert found == [n + 1 for n in SCALE_SIM[dataflow]]  # it prints the last cycle's index


@pytest.mark.parametrize(
    ("K", "N", "whole", "slabs"),
    [(896, 4864, 43700, 5190), (1536, 151936, 2124730, 250022), (896, 151936, 1365050, 154662)],
)
def test_the_papers_products(K, N, whole, slabs):
    assert (simulate(GEMM(16, K, N), TPU_V4).cycles, simulate(GEMM(16, K, N), SISA).cycles) == (whole, slabs)


def test_buffer_bytes_are_those_of_both():
    assert {simulate(GEMM(16, 896, 4864), a).buffer_bytes for a in (TPU_V4, SISA)} == {5_214_208}


def test_a_plain_arrays_buffers_starve_slabs():
    assert simulate(GEMM(16, 896, 4864), SISA, buffer_bandwidth=256).cycles == 20368


@pytest.mark.parametrize("model", TABLE)
def test_whole_models(model):
    found = {}
    for M in (1, 16, 32, 64, 128):
        one, ours = (simulate(llm_gemms(model, M), a) for a in (TPU_V4, SISA))
        found[M] = (one.cycles / ours.cycles, 100 * (1 - ours.edp / one.edp), ours.joules / one.joules)
    speed, first, cut, ratio, *rest = TABLE[model]
    assert found[16][0] == pytest.approx(speed, abs=0.01)
    assert found[1][0] == pytest.approx(speed, abs=0.01)
    assert (found[1][1], found[16][1]) == pytest.approx((first, cut), abs=0.2)
    assert found[16][2] == pytest.approx(ratio, abs=0.001)
    assert [found[M][0] for M in (32, 64, 128)] == pytest.approx(rest[:3], abs=0.01)
    assert [found[M][1] for M in (32, 64)] == pytest.approx(rest[3:], abs=0.2)


@pytest.mark.parametrize("drain", ["overlap", "serial", "pipelined"])
def test_an_event_level_array_counts_the_same(drain):
    rng, generator = random.Random(1), torch.Generator().manual_seed(0)
    for _ in range(6):
        rows, cols, slabs = rng.choice([(8, 8, 1), (4, 8, 2), (2, 8, 1), (16, 4, 4), (6, 5, 3)])
        array = SystolicArray(rows, cols, slabs=slabs, drain=drain)
        fused = rng.choice(array.fusions)
        M, K, N = (rng.randint(1, n) for n in (12, 9, 14))
        A = torch.randn(M, K, dtype=torch.float64, generator=generator)
        B = torch.randn(K, N, dtype=torch.float64, generator=generator)
        C, cycles = functional_gemm(A, B, array, fused)
        cut = fold(M, K, N, fused, **sizes_of(array))
        assert torch.allclose(C, A @ B, rtol=0, atol=1e-12)
        assert cycles == cycles_of(cut, cut.tiles)


def test_an_event_level_array_is_exact_in_whole_numbers():
    A, B = torch.arange(12).reshape(3, 4), torch.arange(20).reshape(4, 5)
    assert torch.equal(functional_gemm(A, B, SystolicArray(2, 2))[0], A @ B)


def test_what_holds_for_every_product():
    six = SystolicArray(96, 96, slabs=6)
    for g in drawn(40):
        for array in (SISA, six, SystolicArray(slabs=8, drain="serial"), SystolicArray(slabs=8, drain="pipelined")):
            whole = SystolicArray(array.rows, array.cols, drain=array.drain)
            mono = simulate(g, whole)
            by_policy = {p: simulate(g, array, p) for p in ("by_height", "min_cycles", "min_edp")}
            height, cycles, edp = by_policy.values()
            assert cycles.cycles <= height.cycles <= mono.cycles
            assert edp.edp <= min(height.edp, cycles.edp) * (1 + 1e-12)
            apart = cycles.rows[0]
            assert apart.cycles == min_apart(g, array)
            for report in (mono, *by_policy.values()):
                assert 0 < report.utilisation <= 1
                assert report.powered <= report.cycles * array.pes
                assert report.energy["mac"] == mono.energy["mac"]
                assert 0 < report.rows[0].mapping_efficiency <= 1


def min_apart(g, array):
    """Slabs that never fuse."""
    cut = fold(g.M, g.K, g.N, 1, **sizes_of(array))
    return cycles_of(cut, cut.tiles)


def test_pods_of_slabs_are_slabs_that_never_fuse():
    pods = ARRAYS["pods 16 x 128"]
    assert all(simulate(g, pods).cycles == simulate(g, SISA, "min_cycles").cycles for g in drawn(100))


def test_cycles_never_fall_as_sizes_grow():
    for g in drawn(50, seed=2):
        now = simulate(g, SISA, "min_cycles").cycles
        for M, K, N in ((1, 0, 0), (0, 1, 0), (0, 0, 1), (9, 70, 200)):
            assert simulate(GEMM(g.M + M, g.K + K, g.N + N), SISA, "min_cycles").cycles >= now


@pytest.mark.parametrize("M", [128, 256, 640])
def test_full_blocks_gain_nothing(M):
    for g in drawn(20, seed=3):
        assert simulate(GEMM(M, g.K, g.N), SISA).cycles == simulate(GEMM(M, g.K, g.N), TPU_V4).cycles


def test_a_remainder_pays_for_itself_alone():
    for model in MODELS:
        work = llm_gemms(model, 129)
        plain, split = simulate(work, SISA), simulate(work, SISA, remainder=True)
        assert 1.7 < plain.cycles / split.cycles < 1.8
        assert split.rows[0].mode == "monolithic, then independent"
    for g in drawn(100, seed=4):
        assert simulate(g, SISA, remainder=True).cycles <= simulate(g, SISA).cycles


QKV = {"llama-3.2-1b": (8760, 6570), "qwen2-1.5b": (6712, 3356), "llama-3-8b": (25428, 25428)}


@pytest.mark.parametrize("model", QKV)
def test_queries_keys_and_values_share_lanes(model):
    one = [GEMM(g.M, g.K, g.N, name=g.name, group=g.group) for g in llm_gemms(model, 16)[:3]]
    assert (simulate(one, SISA).cycles, simulate(one, SISA, concurrent=True).cycles) == QKV[model]


def test_sharing_lanes_never_costs():
    rng = random.Random(5)
    for _ in range(100):
        M, count = rng.randint(1, 200), rng.randint(1, 4)
        unit = [
            GEMM(M, rng.randint(1, 2000), rng.randint(1, 2000), count, rng.randint(1, 9), group="g") for _ in range(3)
        ]
        apart, shared = simulate(unit, SISA), simulate(unit, SISA, concurrent=True)
        assert shared.cycles <= apart.cycles
        assert shared.macs == apart.macs
        assert shared.powered == apart.powered


def test_the_fullest_lane_is_that_of_a_plain_queue():
    rng = random.Random(6)
    for _ in range(200):
        lanes = rng.randint(1, 9)
        runs = [(rng.randint(0, 40), rng.randint(1, 50)) for _ in range(rng.randint(1, 5))]
        loads = [0] * lanes
        for tiles, each in runs:
            for _ in range(tiles):
                loads[loads.index(min(loads))] += each
        assert fullest_lane(runs, lanes) == max(loads)


def test_lanes_and_divisors_are_counted_at_any_size():
    """A queue of 10^18 tiles, and the divisors of 2^40, at once: neither is walked one by one."""
    assert fullest_lane([(1, 10**18 - 1), (10**18, 1)], 3) == 10**18 - 1
    assert fullest_lane([(1, 10**18 - 1), (10**18, 3)], 2) == 10**18 - 1 + 3 * 333_333_333_333_333_334
    assert divisors(2**40) == tuple(2**i for i in range(41))
    for n in range(1, 200):
        assert divisors(n) == tuple(d for d in range(1, n + 1) if n % d == 0)


def test_copies_side_by_side_are_not_layers():
    heads = GEMM(16, 64, 16, count=2, parallel=8)
    assert simulate(heads, SISA, concurrent=True).cycles * 8 == simulate(heads, SISA).cycles


def test_a_form_that_changes_is_its_best_form():
    for g in drawn(8, seed=7):
        array = redas_like()
        assert simulate(g, array).cycles == min(simulate(g, form).cycles for form in array.forms)


def test_numbers_that_64_bits_do_not_hold():
    g = GEMM(10**9, 10**9, 10**9, count=10**6)
    assert simulate(g, TPU_V4).cycles == 10**6 * (10**9 // 128 + 1 - (10**9 % 128 == 0)) ** 2 * (10**9 + 254)


@pytest.mark.parametrize("bandwidth", [1.2e12, 1e9 / 3])
def test_memory_cycles_round_up_exactly(bandwidth):
    from fractions import Fraction

    g = GEMM(16, 897, 4863)
    row = simulate(g, TPU_V4, bandwidth=bandwidth).rows[0]
    exact = Fraction(row.dram_bytes) * Fraction(TPU_V4.clock_hz) / Fraction(bandwidth)
    assert row.memory_cycles == -(-exact.numerator // exact.denominator)
    assert row.bound == ("memory" if row.memory_cycles > row.compute_cycles else "compute")


def test_infinite_bandwidth_never_binds():
    g = GEMM(1, 896, 4864)
    assert simulate(g, SISA, bandwidth=np.inf, buffer_bandwidth=np.inf).cycles == simulate(g, SISA).cycles


def test_with_two_bytes_and_memory_the_gain_is_about_five():
    expected = (5.16, 4.89, 4.67, 4.85, 4.74, 4.66)
    found = []
    for model in MODELS:
        work = llm_gemms(model, 16)
        one, ours = (simulate(work, a, bandwidth=1.2e12, bytes_per_element=2).cycles for a in (TPU_V4, SISA))
        found.append(one / ours)
    assert found == pytest.approx(expected, abs=0.01)
