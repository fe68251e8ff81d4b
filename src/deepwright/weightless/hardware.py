"""What a network takes on an FPGA: an estimate by counting, no vendor tool was run.

By the textbook of the Xilinx 7 series a table of 6 bits is one LUT6, and a block RAM has 36 864 bits and gives words of
72 bits from 512 addresses. Placement, routing and what a synthesiser merges beyond equal tables aren't in it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from deepwright.core.errors import unknown_name
from deepwright.weightless.export.plain import Plain
from deepwright.weightless.inputs import integer

_BLOCK, _WORD, _DEPTH = 36_864, 72, 512
PARTS = {
    "xc7": (0, 0, 0),
    "xc7a35t": (20_800, 41_600, 50),
    "xc7a100t": (63_400, 126_800, 135),
    "xc7z020": (53_200, 106_400, 140),
    "xc7k325t": (203_800, 407_600, 445),
    "xc7vx485t": (303_600, 607_200, 1030),
}
LABEL = "estimate, no vendor tool was run"


@dataclass(frozen=True)
class Training:
    """What training on the chip takes, with all states in block RAM.

    Attributes:
        capacity_blocks: as many as the bits of all states fill: a lower bound, whatever the speed.
        parallel_blocks: one sample a cycle, for which every table's word of all classes is read at once.
        multiplexed: (cycles a sample, blocks), tables sharing memories; the first is `parallel_blocks`.
        latency: cycles from a sample to its update: read, compare, count, argmax, write.
    """

    capacity_blocks: int
    parallel_blocks: int
    multiplexed: tuple[tuple[int, int], ...]
    latency: int


@dataclass(frozen=True)
class Resources:
    """Counts for one network. An estimate, no vendor tool was run.

    Attributes:
        device: family or part.
        tables: tables of all classes that are neither constant nor twice there.
        constant: tables whose entries are all equal; they take nothing.
        duplicate: tables that another one equals, with the same inputs; they take nothing.
        table_luts: LUT6 of the tables.
        muxes: F7 and F8 multiplexers, which have places of their own.
        count_luts: LUT6 of the adders that count votes: bits - ones(bits) full adders for each class.
        argmax_luts: LUT6 of the comparators and of what they select.
        registers: flip-flops, with the pipeline that was asked for.
        levels: LUTs on the longest way from x to y.
        latency: clock cycles from x to y.
        training: what training on the chip takes.
        parts: LUT6, flip-flops and block RAMs that the device has; zeros for a family.
    """

    device: str
    tables: int
    constant: int
    duplicate: int
    table_luts: int
    muxes: int
    count_luts: int
    argmax_luts: int
    registers: int
    levels: int
    latency: int
    training: Training
    parts: tuple[int, int, int]

    @property
    def luts(self) -> int:
        """LUT6 in all."""
        return self.table_luts + self.count_luts + self.argmax_luts

    @property
    def shares(self) -> dict[str, float]:
        """Shares of the LUT6 in each stage: relative energy at equal activity, no more."""
        stages = {"tables": self.table_luts, "count": self.count_luts, "argmax": self.argmax_luts}
        return {name: value / self.luts for name, value in stages.items()}

    @property
    def fits(self) -> bool | None:
        """Whether LUT6 and flip-flops are there for inference; None for a family."""
        return self.luts <= self.parts[0] and self.registers <= self.parts[1] if self.parts[0] else None

    def __str__(self) -> str:
        room = {True: "it fits", False: "it doesn't fit", None: "a family: nothing to fit into"}[self.fits]
        several = ", ".join(f"{cycles} cycles: {blocks}" for cycles, blocks in self.training.multiplexed)
        return (
            f"{self.device} ({LABEL}; {room})\n"
            f"inference: {self.luts} LUT6 = {self.table_luts} tables + {self.count_luts} count + {self.argmax_luts} "
            f"argmax; {self.muxes} F7/F8, {self.registers} flip-flops; {self.levels} levels, {self.latency} cycles\n"
            f"tables: {self.tables} counted, {self.constant} constant, {self.duplicate} twice there\n"
            f"training: {self.training.parallel_blocks} BRAM36 at one sample a cycle (their bits alone fill "
            f"{self.training.capacity_blocks}); {several}; latency {self.training.latency} cycles"
        )


def resources(network: Plain, device: str, pipeline: int, state_bits: int) -> Resources:
    """Count.

    Args:
        network: its tables and mapping.
        device: `xc7`, or one of its parts.
        pipeline: as of the Verilog export, 0, 1 or 2.
        state_bits: of an automaton, for training.
    """
    if device not in PARTS:
        raise unknown_name("device", str(device), PARTS)
    integer(pipeline, "pipeline", 0, 2)
    integer(state_bits, "state_bits", 1, 16)
    flat = network.tables.transpose(0, 2, 1)  # (luts, classes, entries)
    fixed = (flat == flat[:, :, :1]).all(axis=2)
    tables = _distinct(network, flat, fixed)
    varying = (~fixed).sum(axis=0)
    wide, place = network.most, (network.classes - 1).bit_length()
    adders = sum(int(v) - int(v).bit_count() for v in varying.tolist())
    one, muxes, deep = table_cost(network.inputs)
    return Resources(
        device=device,
        tables=tables,
        constant=int(fixed.sum()),
        duplicate=int((~fixed).sum()) - tables,
        table_luts=tables * one,
        muxes=tables * muxes,
        count_luts=adders,
        argmax_luts=(network.classes - 1) * (-(-wide // 2) + -(-(wide + place) // 2)),
        registers=place + 1 + (pipeline > 0) * (network.classes * wide + pipeline) + (pipeline > 1) * tables,
        levels=deep + count_depth(int(varying.max())) + 2 * place,
        latency=pipeline + 1,
        training=training(network.luts, network.inputs, network.classes, state_bits),
        parts=PARTS[device],
    )


def table_cost(inputs: int) -> tuple[int, int, int]:
    """LUT6, F7/F8 multiplexers and levels of one table.

    Args:
        inputs: bits that it reads; four LUT6 and their multiplexers make a table of 8, and beyond that LUT6 select one
            of four.
    """
    if inputs <= 6:
        return 1, 0, 1
    leaves, muxes = 1 << (inputs - 6), (1 << (inputs - 6)) - max(1, 1 << max(0, inputs - 8))
    selecting, level, width = 0, 1, max(1, 1 << max(0, inputs - 8))
    while width > 1:
        width = -(-width // 4)
        selecting, level = selecting + width, level + 1
    return leaves + selecting, muxes, level


def count_depth(bits: int) -> int:
    """Levels of compressors, three bits to two, over so many bits.

    Args:
        bits: to count.
    """
    return max(0, math.ceil(math.log(bits, 1.5))) if bits > 1 else 0


def training(luts: int, inputs: int, classes: int, state_bits: int = 8) -> Training:
    """Block RAM and cycles of training on the chip.

    Args:
        luts: tables of each class.
        inputs: bits to a table.
        classes: how many.
        state_bits: of an automaton.
    """
    words, size = -(-state_bits * classes // _WORD), 1 << inputs
    found: list[tuple[int, int]] = []
    for cycles in [1 << k for k in range(luts.bit_length()) if 1 << k < luts] + [luts]:
        blocks = -(-luts // cycles) * words * -(-cycles * size // _DEPTH)
        if not found or blocks < found[-1][1]:
            found.append((cycles, blocks))
    latency = 2 + count_depth(luts) + (classes - 1).bit_length() + 2
    return Training(-(-luts * size * classes * state_bits // _BLOCK), found[0][1], tuple(found), latency)


def _distinct(network: Plain, flat: np.ndarray, fixed: np.ndarray) -> int:
    """How many tables differ in their inputs or entries, constants left out."""
    entries = np.packbits(flat, axis=2)
    inputs = np.ascontiguousarray(network.mapping.astype("<i4")).view(np.uint8).reshape(network.luts, 1, -1)
    rows = np.concatenate([np.broadcast_to(inputs, (*fixed.shape, inputs.shape[2])), entries], axis=2)[~fixed]
    return len(np.unique(rows, axis=0)) if len(rows) else 0
