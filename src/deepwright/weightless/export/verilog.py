"""A network as a Verilog module: tables, a balanced tree of adders for each class, a tree of comparators."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from deepwright.core.errors import InputError
from deepwright.core.files import write_atomic, write_text
from deepwright.weightless.export.bench import bench_text
from deepwright.weightless.export.c import refuse_large
from deepwright.weightless.export.compilers import ran_verilog, simulator
from deepwright.weightless.export.netlist import Netlist
from deepwright.weightless.export.plain import ExportMismatch, Plain, golden, identifier

_HEAD = """\
// A weightless network: {luts} tables a class, {inputs} bits to a table, {classes} classes. Verilog-2001.
// y is the class with the most votes, the first on a tie, {latency} clock cycle(s) after its x; one x a cycle.
// valid is 1 once y belongs to an x; registers begin as their initial values say (FPGAs), there is no reset.
module {name}(
    input clk,
    input [{top_x}:0] x,
    output reg [{top_y}:0] y,
    output reg valid
);
"""


def write_verilog(network: Plain, path: Path | str, pipeline: int, name: str, verify: bool, samples: Any) -> Path:
    """Write the module, and its testbench beside it as `<stem>_tb.v`, once it has been held against the network.

    Args:
        network: to write.
        path: of the module.
        pipeline: registers after the classes only (0), after the votes too (1), after the tables too (2).
        name: of the module.
        verify: simulate 1000 vectors by Icarus where it is installed, else by the evaluator here; read tables back.
        samples: Boolean features for half of the vectors, or None.

    Raises:
        ExportMismatch: votes, classes, `valid` or tables differ.
    """
    identifier(name)
    if isinstance(pipeline, bool) or pipeline not in (0, 1, 2):
        raise InputError("pipeline", given=repr(pipeline), expected="0, 1 or 2")
    refuse_large(network.tables.size // 4)
    path = Path(path)
    bits = golden(network, samples)
    votes = network.votes(bits)
    module, bench = module_text(network, pipeline, name), bench_text(network, pipeline, name, bits, votes)
    if verify:
        with tempfile.TemporaryDirectory() as folder:
            files = Path(folder) / "module.v", Path(folder) / "bench.v"
            for file, text in zip(files, (module, bench), strict=True):
                write_text(file, text)
            _check(network, pipeline, files, bits, votes)
    write_atomic(path.with_name(f"{path.stem}_tb.v"), lambda stream: stream.write(bench.encode("ascii")))
    return write_atomic(path, lambda stream: stream.write(module.encode("ascii")))


def module_text(network: Plain, pipeline: int, name: str) -> str:
    """The module.

    Args:
        network: to write.
        pipeline: see `write_verilog`.
        name: of the module.
    """
    head = _HEAD.format(
        luts=network.luts,
        inputs=network.inputs,
        classes=network.classes,
        latency=pipeline + 1,
        name=name,
        top_x=network.features - 1,
        top_y=class_bits(network) - 1,
    )
    lines = _addresses(network) + _tables(network)
    for c in range(network.classes):
        lines += _counted(network, c, pipeline)
    lines += _compared(network) + _filled(pipeline)
    return head + "".join(f"    {line}\n" for line in lines) + "endmodule\n"


def class_bits(network: Plain) -> int:
    """Bits of y.

    Args:
        network: whose classes it names.
    """
    return (network.classes - 1).bit_length()


def _addresses(network: Plain) -> list[str]:
    lines = []
    for j, row in enumerate(network.mapping.tolist()):
        parts = ", ".join(f"x[{i}]" if i < network.features else "1'b0" for i in row)
        lines.append(f"wire [{network.inputs - 1}:0] a_{j} = {{{parts}}};")
    return lines


def _tables(network: Plain) -> list[str]:
    """A constant and a wire for each table and class; address 0 is the lowest bit."""
    size = network.size
    packed = np.packbits(network.tables.transpose(0, 2, 1)[:, :, ::-1], axis=2)  # highest address first
    digits = -(-size // 4)
    lines = []
    for j in range(network.luts):
        for c in range(network.classes):
            text = packed[j, c].tobytes().hex()[:digits]
            if size < 4:  # two entries stand in the two high bits of the digit
                text = f"{int(text, 16) >> (4 - size):x}"
            lines.append(f"localparam [{size - 1}:0] T_{j}_{c} = {size}'h{text};")
            lines.append(f"wire t_{j}_{c} = T_{j}_{c}[a_{j}];")
    return lines


def _counted(network: Plain, c: int, pipeline: int) -> list[str]:
    """A balanced tree of adders over one class's tables, each node as wide as its count needs."""
    lines, level = [], 0
    for j in range(network.luts if pipeline == 2 else 0):
        lines += [f"reg u_{j}_{c};", f"always @(posedge clk) u_{j}_{c} <= t_{j}_{c};"]
    nodes = [(f"{'u' if pipeline == 2 else 't'}_{j}_{c}", 1) for j in range(network.luts)]
    while len(nodes) > 1:
        level += 1
        above = []
        for i in range(0, len(nodes) - 1, 2):
            name, count = f"s_{c}_{level}_{i // 2}", nodes[i][1] + nodes[i + 1][1]
            lines.append(f"wire [{count.bit_length() - 1}:0] {name} = {nodes[i][0]} + {nodes[i + 1][0]};")
            above.append((name, count))
        nodes = above + nodes[len(above) * 2 :]
    width = network.most - 1
    if pipeline == 0:
        return [*lines, f"wire [{width}:0] v_{c} = {nodes[0][0]};"]
    return [*lines, f"reg [{width}:0] v_{c};", f"always @(posedge clk) v_{c} <= {nodes[0][0]};"]


def _compared(network: Plain) -> list[str]:
    """A tree of comparators; the right side, of higher classes, wins only where it is larger."""
    wide, place = network.most - 1, class_bits(network)
    nodes = [(f"v_{c}", f"{place}'d{c}") for c in range(network.classes)]
    lines, level = [], 0
    while len(nodes) > 1:
        level += 1
        above = []
        for i in range(0, len(nodes) - 1, 2):
            (votes, index), (more, other), at = nodes[i], nodes[i + 1], f"{level}_{i // 2}"
            lines.append(f"wire g_{at} = {more} > {votes};")
            lines.append(f"wire [{wide}:0] m_{at} = g_{at} ? {more} : {votes};")
            lines.append(f"wire [{place - 1}:0] k_{at} = g_{at} ? {other} : {index};")
            above.append((f"m_{at}", f"k_{at}"))
        nodes = above + nodes[len(above) * 2 :]
    return [*lines, f"always @(posedge clk) y <= {nodes[0][1]};"]


def _filled(pipeline: int) -> list[str]:
    """A one that follows the first x."""
    lines, before = [], "1'b1"
    for i in range(pipeline):
        lines += [f"reg f_{i} = 1'b0;", f"always @(posedge clk) f_{i} <= {before};"]
        before = f"f_{i}"
    return [*lines, "initial valid = 1'b0;", f"always @(posedge clk) valid <= {before};"]


def _check(network: Plain, pipeline: int, files: tuple[Path, Path], bits: np.ndarray, votes: np.ndarray) -> None:
    netlist = Netlist(files[0].read_text(encoding="ascii"))
    for c in range(network.classes):
        for j in range(network.luts):
            if not np.array_equal(netlist.constant(f"T_{j}_{c}"), network.tables[j, :, c]):
                raise ExportMismatch(f"table {j} of class {c} in the module isn't the network's")
    if simulator() is not None:
        said = ran_verilog(*files).strip().splitlines()
        if not said or said[-1] != f"PASS {len(bits)}":
            raise ExportMismatch(f"Icarus says: {said[-8:]}")
        return
    fed = np.concatenate([bits, np.repeat(bits[-1:], pipeline + 1, axis=0)])
    values = netlist.run(fed)
    said_votes = np.stack([values[f"v_{c}"] for c in range(network.classes)], axis=1)[pipeline : pipeline + len(bits)]
    if not np.array_equal(said_votes, votes):
        raise ExportMismatch(f"votes differ for {(said_votes != votes).any(axis=1).sum()} of {len(bits)} vectors")
    if not np.array_equal(values["valid"], np.arange(len(fed)) > pipeline):
        raise ExportMismatch("valid isn't 1 from the first y on")
    if not np.array_equal(values["y"][pipeline + 1 :], votes.argmax(axis=1)):
        raise ExportMismatch("classes differ")
