"""Bad input is refused by name."""

import math

import numpy as np
import pytest
import torch

from deepwright.core.errors import InputError
from deepwright.hardware import (
    GEMM,
    SISA,
    AreaModel,
    Conditions,
    EnergyModel,
    LanguageModel,
    ReshapingArray,
    SystolicArray,
    at_batch,
    compare,
    explore,
    filling,
    functional_gemm,
    llm_gemms,
    narrower,
    read_topology,
    serving,
    simulate,
    sweep,
    write_topology,
)

pytestmark = pytest.mark.usefixtures("unchecked")
BAD = (0, -1, 16.0, True, math.nan, "8", None)


@pytest.mark.parametrize("word", ["M", "K", "N", "count", "parallel"])
@pytest.mark.parametrize("value", BAD)
def test_sizes_of_a_product(word, value):
    with pytest.raises(InputError, match=word):
        GEMM(**{**{"M": 1, "K": 1, "N": 1}, word: value})


@pytest.mark.parametrize("word", ["rows", "cols", "slabs", "copies"])
@pytest.mark.parametrize("value", BAD)
def test_sizes_of_an_array(word, value):
    with pytest.raises(InputError, match=word):
        SystolicArray(**{word: value})


def test_whole_numbers_of_numpy_are_taken_and_do_not_wrap():
    g = GEMM(np.int32(2**30), np.int32(2**30), np.int64(4))
    assert (type(g.M), g.macs) == (int, 2**62)


@pytest.mark.parametrize(
    "words",
    [
        {"slabs": 7},
        {"slabs": 8, "copies": 2},
        {"slabs": 8, "dataflow": "ws"},
        {"slabs": 8, "dataflow": "is"},
        {"dataflow": "rs"},
        {"drain": "never"},
        {"drain": "serial", "dataflow": "ws"},
        {"clock_hz": 0},
        {"clock_hz": -1.0},
        {"clock_hz": math.nan},
        {"clock_hz": math.inf},
        {"weight_buffer": -1},
        {"activation_buffer": 1.5},
    ],
)
def test_arrays_that_cannot_be(words):
    with pytest.raises(InputError):
        SystolicArray(**words)


def test_any_divisor_is_a_number_of_slabs():
    assert SystolicArray(96, 96, slabs=6).fusions == (1, 2, 3, 6)


@pytest.mark.parametrize(
    "words",
    [
        {"policy": "fastest"},
        {"bandwidth": 0},
        {"bandwidth": -1.0},
        {"bandwidth": math.nan},
        {"buffer_bandwidth": 0.0},
        {"buffer_bandwidth": math.nan},
        {"bytes_per_element": 0},
        {"bytes_per_element": 0.5},
        {"bytes_per_element": True},
        {"remainder": True, "policy": "min_cycles"},
        {"concurrent": 1},
    ],
)
def test_conditions_that_cannot_be(words):
    with pytest.raises(InputError):
        Conditions(**words)


@pytest.mark.parametrize("word", ["mac", "pe", "buffer", "dram", "gate_leak"])
@pytest.mark.parametrize("value", [-1e-12, math.nan, math.inf])
def test_constants_of_energy(word, value):
    with pytest.raises(InputError, match=word):
        EnergyModel(**{word: value})


@pytest.mark.parametrize("words", [{"include_dram": "no"}, {"include_dram": 1}, {"element": 0}, {"element": 2.0}])
def test_words_and_widths_of_energy(words):
    with pytest.raises(InputError, match=next(iter(words))):
        EnergyModel(**words)


@pytest.mark.parametrize("call", [AreaModel, EnergyModel])
def test_models_of_what_a_cell_takes(call):
    with pytest.raises(InputError):
        call(-1.0)


@pytest.mark.parametrize("gemms", [[], ()])
def test_nothing_costs_nothing(gemms):
    for call in (lambda: simulate(gemms, SISA), lambda: compare(gemms), lambda: explore(gemms)):
        with pytest.raises(InputError, match="at least one"):
            call()


def test_a_group_has_one_M_and_one_count():
    for other in (GEMM(2, 3, 4, group="g"), GEMM(1, 3, 4, count=2, group="g")):
        with pytest.raises(InputError, match="group 'g'"):
            simulate([GEMM(1, 3, 4, group="g"), other], SISA, concurrent=True)
        assert simulate([GEMM(1, 3, 4, group="g"), other], SISA).cycles > 0


@pytest.mark.parametrize(
    "call",
    [
        lambda: llm_gemms("gpt-9", 1),
        lambda: llm_gemms("qwen2-0.5b", 0),
        lambda: llm_gemms("qwen2-0.5b", 1, kv_len=-1),
        lambda: llm_gemms("qwen2-0.5b", 1, phase="later"),
        lambda: LanguageModel(8, 8, 3, 2, 4, 9, 1),
        lambda: sweep("qwen2-0.5b", []),
        lambda: sweep("qwen2-0.5b", [1], {}),
        lambda: serving("qwen2-0.5b", together=0),
        lambda: serving("qwen2-0.5b", sigma=0.0),
        lambda: explore([GEMM(1, 1, 1)], pe_budget=0),
        lambda: explore([GEMM(1, 1, 1)], slabs=[3]),
        lambda: explore([GEMM(1, 1, 1)], shapes=[(999, 999)]),
        lambda: explore([GEMM(1, 1, 1)], shapes=[(0, 9)]),
        lambda: explore([GEMM(1, 1, 1)], conditions=Conditions(concurrent=True)),
        lambda: explore([GEMM(1, 1, 1)], array=SystolicArray(dataflow="ws")),
        lambda: narrower(GEMM(1, 1, 1), SISA, 0),
        lambda: narrower([GEMM(1, 1, 1)], SISA),
        lambda: filling("gate", SISA),
        lambda: at_batch([GEMM(1, 1, 1)], [GEMM(1, 1, 1)], 2),
        lambda: sweep("qwen2-0.5b", 16),
        lambda: sweep("qwen2-0.5b", [16], conditions=None),
        lambda: sweep("qwen2-0.5b", [16]).speedup("nothing"),
        lambda: explore([GEMM(1, 1, 1)], slabs=8),
        lambda: explore([GEMM(1, 1, 1)], shapes=[8]),
        lambda: explore([GEMM(1, 1, 1)], conditions=None),
        lambda: AreaModel().area("SISA"),
        lambda: GEMM(2**62 + 1, 1, 1),
        lambda: SystolicArray(clock_hz=1e300),
        lambda: Conditions(bandwidth=1e-300),
        lambda: functional_gemm([[1]], [[1]], SystolicArray(4, 4)),
        lambda: functional_gemm(torch.ones(2, 3), torch.ones(3, 3), SystolicArray(4, 4), 1.0),
        lambda: ReshapingArray(()),
        lambda: ReshapingArray((SystolicArray(), SystolicArray(64, 64))),
        lambda: ReshapingArray((SISA,)),
        lambda: functional_gemm(torch.ones(2, 3), torch.ones(2, 3), SystolicArray(4, 4)),
        lambda: functional_gemm(torch.ones(2, 3), torch.ones(3, 3), SystolicArray()),
        lambda: functional_gemm(torch.ones(2, 3), torch.ones(3, 3).double(), SystolicArray(4, 4)),
        lambda: functional_gemm(torch.ones(2, 3), torch.ones(3, 3), SystolicArray(4, 4), 2),
        lambda: functional_gemm(torch.ones(0, 3), torch.ones(3, 3), SystolicArray(4, 4)),
    ],
)
def test_what_cannot_be_done(call):
    with pytest.raises(InputError):
        call()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Layer, M, N, K,\n",
        "Layer, M, N, K,\na, 1, 2,\n",
        "Layer, M, N, K,\na, 1, -2, 3,\n",
        "a, 1, 2, 3,\nb, 1, 2, 3,\n",
    ],
)
def test_files_of_something_else(text, tmp_path):
    path = tmp_path / "net.csv"
    path.write_text(text)
    with pytest.raises(InputError):
        read_topology(path)
    with pytest.raises(InputError):
        read_topology(tmp_path / "missing.csv")


def test_a_folder_that_is_a_file(tmp_path):
    (tmp_path / "none").write_text("")
    with pytest.raises(InputError, match="cannot write"):
        write_topology([GEMM(1, 2, 3)], tmp_path / "none" / "net.csv")


def test_the_largest_sizes_cost_finite_numbers():
    for call in (GEMM(2**62, 2**62, 2**62, 2**62, 2**62), GEMM(2**62, 1, 1)):
        report = simulate(call, SISA, bandwidth=np.float32(1.0), buffer_bandwidth=1e-15)
        assert all(math.isfinite(n) for n in (report.seconds, report.joules, report.edp, report.utilisation))


def test_energy_of_nothing_has_no_ratio():
    found = compare([GEMM(1, 1, 1)], conditions=Conditions(energy=EnergyModel(0, 0, 0, 0)))
    assert set(found.table.column("EDP ratio")) == {None}


def test_files_that_would_be_read_as_something_else(tmp_path):
    with pytest.raises(InputError, match="name"):
        write_topology([GEMM(1, 2, 3, name="a,b")], tmp_path / "net.csv")
    with pytest.raises(InputError, match="at most"):
        write_topology([GEMM(1, 2, 3, count=10**6)], tmp_path / "net.csv")


def test_names_that_a_file_would_merge_are_refused(tmp_path):
    for names in (("a, b", "a b"), ("", "product 0"), ("a", " a")):
        with pytest.raises(InputError, match="tell apart"):
            write_topology([GEMM(1, 2, 3, name=name) for name in names], tmp_path / "net.csv")


def test_a_gated_element_takes_no_more_than_a_powered_one():
    with pytest.raises(InputError, match="gate_leak"):
        EnergyModel(gate_leak=2.0)
