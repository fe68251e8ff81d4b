"""What is computed at once is what is computed one by one; and what nothing beats."""

from dataclasses import replace

import numpy as np
import pytest

from deepwright.core.errors import InputError
from deepwright.hardware import (
    ARRAYS,
    GEMM,
    HBM,
    MODELS,
    POLICIES,
    SISA,
    TPU_V4,
    AreaModel,
    Conditions,
    EnergyModel,
    SystolicArray,
    Workload,
    compare,
    explore,
    filling,
    llm_gemms,
    narrower,
    read_topology,
    serving,
    simulate,
    sweep,
    write_topology,
)
from deepwright.hardware.arrays.many import totals

LEAKY = EnergyModel(gate_leak=0.2, include_dram=True)


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("limits", [(None, None), (HBM, 1152.0)])
def test_a_sweep_is_its_products_one_by_one(policy, limits):
    given = Conditions(policy, LEAKY, *limits)
    lengths = (1, 17, 65, 200)
    found = sweep("qwen2-0.5b", lengths, conditions=given, include_attention=True)
    for i, M in enumerate(lengths):
        each = compare(llm_gemms("qwen2-0.5b", M, include_attention=True), conditions=given)
        for name, report in each.reports.items():
            assert found.cycles[name][i] == report.cycles
            assert found.joules[name][i] == pytest.approx(report.joules, rel=1e-12)
            assert found.edp(name)[i] == pytest.approx(report.edp, rel=1e-12)


@pytest.mark.parametrize("policy", POLICIES)
def test_what_64_bits_do_not_hold_is_never_wrapped(policy):
    work = [GEMM(10**9 + 7, 10**9 + 9, 10**9 + 21, count=1000), GEMM(3, 5, 7)]
    given = Conditions(policy, bandwidth=1e9 / 3, buffer_bandwidth=0.1)
    for array in ARRAYS.values():
        assert totals([work], array, given).cycles == [
            simulate(work, array, policy, bandwidth=1e9 / 3, buffer_bandwidth=0.1).cycles
        ]
    found = explore(work, slabs=(8,), shapes=[(128, 128)], conditions=given)
    assert found.cycles.tolist() == [simulate(work, SISA, policy, bandwidth=1e9 / 3, buffer_bandwidth=0.1).cycles]


def test_groups_and_remainders_are_swept_product_by_product():
    given = Conditions(concurrent=True, remainder=True)
    work = llm_gemms("qwen2-1.5b", 145)
    expected = simulate(work, SISA, concurrent=True, remainder=True)
    assert totals([work], SISA, given).cycles == [expected.cycles]


def test_speedups_are_the_first_arrays():
    found = sweep("llama-3-8b", (16,))
    assert found.speedup("SISA")[0] == pytest.approx(8.17, abs=0.01)
    assert found.speedup("SISA", "SISA")[0] == 1


@pytest.mark.parametrize("policy", POLICIES)
def test_each_explored_configuration_is_simulated(policy):
    work = llm_gemms("qwen2-0.5b", 40)
    given = Conditions(policy, bandwidth=HBM)
    found = explore(work, 4096, slabs=(1, 2, 3, 6), shapes=[(64, 64), (32, 96), (96, 32), (128, 128)], conditions=given)
    assert set(zip(found.rows.tolist(), found.cols.tolist(), found.slabs.tolist())) == {
        *((64, 64, k) for k in (1, 2)),
        *((32, 96, k) for k in (1, 2)),
        *((96, 32, k) for k in (1, 2, 3, 6)),
    }
    for i in range(len(found)):
        array = SystolicArray(int(found.rows[i]), int(found.cols[i]), slabs=int(found.slabs[i]))
        report = simulate(work, array, policy, bandwidth=HBM)
        assert found.cycles[i] == report.cycles
        assert found.joules[i] == pytest.approx(report.joules, rel=1e-12)
        assert found.area[i] == AreaModel().area(array)


def test_nothing_beats_the_front():
    found = explore(llm_gemms("llama-3-8b", 16))
    goals = np.stack([found.cycles.astype(float), found.joules, found.area], 1)
    for i in range(len(found)):
        beaten = ((goals <= goals[i]).all(1) & (goals < goals[i]).any(1)).any()
        assert beaten != (i in found.front)
    assert len(found.table.rows) == len(found.front)


def test_area_is_calibrated_below_the_papers():
    assert AreaModel().overhead(SISA) == pytest.approx(0.05003, abs=1e-5)
    assert AreaModel().overhead(SystolicArray(slabs=16)) == pytest.approx(0.1072, abs=1e-4)
    assert AreaModel().overhead(TPU_V4) == 0


def test_rounds_decide_and_not_tiles():
    layer = GEMM(16, 896, 4864)
    assert [(s.N, s.cycles) for s in narrower(layer, SISA, 2)] == [(4096, 4152), (3072, 3114)]
    assert narrower(layer, TPU_V4, 1)[0].N == 4736
    assert simulate(GEMM(16, 896, 4736), SISA).cycles == simulate(layer, SISA).cycles
    assert narrower(GEMM(16, 896, 100), SISA) == []


def test_rows_that_fill_an_array():
    times, used = filling(GEMM(1, 896, 4864), SISA)
    assert times == 16
    assert used == pytest.approx(0.82, abs=0.01)


def test_small_products_are_filled_relative_to_their_best():
    """A product that never uses a hundredth of the array gains as much from more rows as a large one."""
    assert filling(GEMM(1, 8, 8), TPU_V4)[0] > 1
    for gemm in (GEMM(1, 8, 8), GEMM(1, 1, 1), GEMM(3, 896, 4864)):
        used = {t: simulate(replace(gemm, M=gemm.M * t), TPU_V4).utilisation for t in (2**i for i in range(13))}
        times, found = filling(gemm, TPU_V4)
        assert times == min(t for t, u in used.items() if u >= 0.99 * max(used.values()))
        assert found == used[times]


def test_batching_requests_eats_the_gain():
    gains = [serving("qwen2-0.5b", {"one": TPU_V4, "SISA": SISA}, n, batches=200).speedup("SISA") for n in (1, 4, 16)]
    assert gains[0] > 3
    assert gains[0] > gains[1] > gains[2] >= 1


def test_serving_depends_on_its_seed_alone():
    first, again, other = (serving("qwen2-0.5b", batches=50, seed=s) for s in (1, 1, 2))
    assert first == again
    assert first.cycles != other.cycles


def test_a_comparison_goes_to_text():
    found = compare(llm_gemms("qwen2-0.5b", 16))
    assert found.to_markdown().count("\n") == len(ARRAYS) + 1
    lines = found.to_csv().splitlines()
    assert lines[0].startswith("array,cycles,seconds,speed-up")
    assert float(lines[-1].split(",")[3]) == pytest.approx(7.64, abs=0.01)
    assert found.to_dict()["SISA"]["rows"][0]["mode"] == "independent"


def test_an_edp_is_of_totals():
    work = llm_gemms("qwen2-0.5b", 16)
    one, ours = simulate(work, TPU_V4), simulate(work, SISA)
    assert 1 - ours.edp / one.edp == pytest.approx(0.922, abs=1e-3)
    apart = 1 - sum(r.edp / r.count for r in ours.rows) / sum(r.edp / r.count for r in one.rows)
    assert apart == pytest.approx(0.933, abs=1e-3)


def test_a_table_of_a_report():
    report = simulate(llm_gemms("qwen2-0.5b", 16), SISA, concurrent=True)
    table = report.table()
    assert table.column("product") == ["q + k + v", "o", "gate + up", "down", "lm_head", "all"]
    assert report.wasted(1)[0].name in table.column("product")


@pytest.mark.parametrize("model", MODELS)
def test_decoding_is_one_token(model):
    assert llm_gemms(model, 1, phase="decode") == llm_gemms(model, 1)
    cached = llm_gemms(model, 3, kv_len=9, phase="decode", include_attention=True)
    scores = next(g for g in cached if g.name == "scores")
    assert (scores.M, scores.N, scores.parallel) == (1, 10, 3 * MODELS[model].heads)


def test_scale_sims_files_go_there_and_back(tmp_path):
    work = [GEMM(16, 896, 4864, 2, name="gate"), GEMM(16, 64, 16, parallel=3, name="heads, scores")]
    path = write_topology(work, tmp_path / "net.csv")
    assert path.read_text().splitlines()[:2] == ["Layer, M, N, K,", "gate, 16, 4864, 896,"]
    back = read_topology(path)
    assert [(g.M, g.K, g.N, g.copies) for g in back] == [(g.M, g.K, g.N, g.copies) for g in work]


@pytest.mark.parametrize("header", ["Layer, M, N, K,", "name,m,n,k", "\ufefflayer , M , N , K ,"])
def test_the_header_says_what_the_columns_are(header, tmp_path):
    path = tmp_path / "net.csv"
    path.write_text(f"{header}\nconv1, 10, 20, 30,\n", encoding="utf-8")
    assert read_topology(path) == [GEMM(10, 30, 20, name="conv1")]
    path.write_text("Layer, K, M, N,\nconv1, 10, 20, 30,\n", encoding="utf-8")
    assert read_topology(path) == [GEMM(M=20, K=10, N=30, name="conv1")]


def test_one_product_and_names_of_blanks_are_written(tmp_path):
    assert read_topology(write_topology(GEMM(1, 2, 3), tmp_path / "one.csv")) == [GEMM(1, 2, 3, name="product 0")]
    assert read_topology(write_topology([GEMM(4, 2, 3, name="  ")], tmp_path / "two.csv"))[0].M == 4


WIDTHS = {1: 0.10, 2: 0.21 + 0.38, 4: 1.31 + 0.38}  # pJ of a product and a sum at 7 nm


@pytest.mark.parametrize("element", WIDTHS)
def test_joules_are_of_the_elements_width(element):
    """Multiplications of int8, bfloat16 and float32 as published, elements' power in proportion."""
    work = Workload([GEMM(16, 896, 640)], bytes_per_element=element)
    report, narrow = simulate(work, SISA), simulate(work, SISA, bytes_per_element=1)
    assert report.energy["mac"] == pytest.approx(WIDTHS[element] * 1e-12 * report.macs)
    assert report.energy["pe"] == pytest.approx(narrow.energy["pe"] * WIDTHS[element] / 0.10)
    assert compare(work, {"SISA": SISA}).reports["SISA"].energy == report.energy
    assert totals([work], SISA, Conditions()).joules[0] == pytest.approx(report.joules)
    explored = explore(work, shapes=[(128, 128)], slabs=[8])
    assert explored.joules[0] == pytest.approx(report.joules)


def test_joules_of_other_widths_are_asked_for():
    work = Workload([GEMM(16, 896, 640)], bytes_per_element=8)
    for call in (lambda: simulate(work, SISA), lambda: compare(work), lambda: explore(work)):
        with pytest.raises(InputError, match="energy"):
            call()
    own = EnergyModel(mac=7e-12, pe=1e-12, element=8)
    assert simulate(work, SISA, energy=own).energy["mac"] == pytest.approx(7e-12 * work.macs)
    assert EnergyModel(mac=0.59e-12, element=2).at(1).mac == pytest.approx(0.10e-12)


@pytest.mark.parametrize(("element", "multiply", "add"), [(1, 0.07, 0.03), (2, 0.21, 0.38), (4, 1.31, 0.38)])
def test_a_multiply_accumulate_is_its_product_and_a_sum_of_32_bits(element, multiply, add):
    """Published for 7 nm: int8 and int32, bfloat16 and float32, float32 and float32."""
    found = EnergyModel().at(element)
    assert found.mac == pytest.approx((multiply + add) * 1e-12, rel=1e-12)
    assert found.pe / found.mac == pytest.approx(0.15)
    assert found.buffer == pytest.approx(8.5e-12 / 8, rel=0.003)  # a 64-bit word of 32 KB
