"""Modules of Verilog: evaluated from the written file; with Icarus too where it is installed."""

import numpy as np
import pytest

from deepwright.core.errors import InputError
from deepwright.weightless import BinaryWNN
from deepwright.weightless.export import ExportMismatch, verilog
from deepwright.weightless.export.compilers import simulator
from deepwright.weightless.export.netlist import Netlist
from deepwright.weightless.mapping import random_mapping

BITS = np.random.default_rng(2).integers(0, 2, (50, 11)).astype(np.uint8)


def network(count=5, luts=13, inputs=4):
    tables = np.random.default_rng(1).integers(0, 2, (luts, 1 << inputs, count))
    return BinaryWNN(tables, random_mapping(11, inputs, luts, 0), 11, np.arange(count), engine="numpy")


@pytest.fixture
def no_simulator(monkeypatch):
    monkeypatch.setattr(verilog, "simulator", lambda: None)


@pytest.mark.parametrize("pipeline", [0, 1, 2])
@pytest.mark.parametrize(("count", "luts", "inputs"), [(2, 12, 1), (5, 13, 4), (9, 8, 6)])
def test_the_written_file_says_what_python_says_cycles_later(tmp_path, no_simulator, pipeline, count, luts, inputs):
    net = network(count, luts, inputs)
    netlist = Netlist(net.export_verilog(tmp_path / "a.v", pipeline=pipeline).read_text())
    values = netlist.run(np.concatenate([BITS, BITS[:3]]))
    assert np.array_equal(values["y"][pipeline + 1 : pipeline + 51], net.votes(BITS).argmax(axis=1))
    assert values["valid"].tolist() == [0] * (pipeline + 1) + [1] * (52 - pipeline)
    assert "module wnn_tb" in (tmp_path / "a_tb.v").read_text()


@pytest.mark.skipif(simulator() is None, reason="no Icarus Verilog")
@pytest.mark.parametrize("pipeline", [0, 1, 2])
def test_icarus_passes_the_testbench(tmp_path, pipeline):
    assert network().export_verilog(tmp_path / "a.v", pipeline=pipeline).exists()


def test_equal_votes_are_the_lowest_class(tmp_path, no_simulator):
    net = BinaryWNN(np.ones((3, 2, 6)), np.array([[0], [1], [2]]), 3, np.arange(6), engine="numpy")
    netlist = Netlist(net.export_verilog(tmp_path / "a.v", pipeline=0).read_text())
    assert (netlist.run(np.zeros((4, 3), dtype=np.uint8))["y"] == 0).all()


DAMAGE = [
    ("localparam [15:0] T_0_0 = 16'h", "localparam [15:0] T_0_0 = 16'hf", "fit its width"),
    (" = t_0_1 + t_1_1;", " = t_0_1 + t_0_1;", "votes differ"),
    (" > v_0;", " > v_2;", "no value|classes differ"),
    ("valid <= f_0", "valid <= 1'b1", "valid"),
    ("wire [3:0] a_1 ", "wire [2:0] a_1 ", "votes differ"),
    ("endmodule", "assign y = 0;\nendmodule", "isn't understood"),
    ("v_1 <= s_1_4_0", "v_1 <= s_1_3_0", "votes differ"),
]


@pytest.mark.parametrize(("old", "new", "said"), DAMAGE)
def test_a_damaged_module_is_found(tmp_path, no_simulator, monkeypatch, old, new, said):
    written = verilog.module_text

    def damaged(*given):
        text = written(*given)
        assert old in text
        return text.replace(old, new, 1)

    monkeypatch.setattr(verilog, "module_text", damaged)
    with pytest.raises(ExportMismatch, match=said):
        network().export_verilog(tmp_path / "a.v")
    assert not list(tmp_path.iterdir())


def test_a_flipped_constant_that_no_vector_reaches_is_found(tmp_path, no_simulator, monkeypatch):
    written, net = verilog.module_text, network()
    net.tables[0, 3, 0] = 0
    digits = np.packbits(net.tables[0, ::-1, 0]).tobytes().hex()
    other = f"{int(digits, 16) ^ 8:04x}"
    monkeypatch.setattr(verilog, "module_text", lambda *given: written(*given).replace(digits, other, 1))
    with pytest.raises(ExportMismatch, match="table 0 of class 0"):
        net.export_verilog(tmp_path / "a.v")


@pytest.mark.parametrize("pipeline", [3, -1, True])
def test_other_pipelines_are_refused(tmp_path, pipeline):
    with pytest.raises(InputError, match="pipeline"):
        network().export_verilog(tmp_path / "a.v", pipeline=pipeline)
