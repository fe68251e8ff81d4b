"""Calls of the room of hardware."""

import tempfile
from pathlib import Path

import torch
from torch import nn

from deepwright.hardware import (
    ARRAYS,
    GEMM,
    SISA,
    SystolicArray,
    at_batch,
    compare,
    explore,
    filling,
    functional_gemm,
    gemms_from_module,
    llm_gemms,
    narrower,
    read_topology,
    redas_like,
    serving,
    simulate,
    sweep,
    write_topology,
)
from entries import Entry, image_classifier, normal


def extraction(device, dtype=torch.float32):
    model, x, _ = image_classifier(device, dtype)
    work = gemms_from_module(model, x)
    larger = at_batch(work, gemms_from_module(model, x[:1]), 36)
    attention = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True).to(device, dtype)
    more = gemms_from_module(attention, normal(2, 3, 8).to(device, dtype))
    steps = gemms_from_module(nn.RNN(4, 5).to(device, dtype), normal(3, 2, 4))  # brought to the module
    # a device without a fused kernel of attention shows its two products under the module's name alone
    return [
        [(g.M, g.K, g.N, g.copies, g.name.partition(",")[0]) for g in found] for found in (work, larger, more, steps)
    ]


def event_by_event(device, dtype=torch.float32):
    A, B = normal(5, 4, dtype=dtype).to(device), normal(4, 6, seed=1, dtype=dtype).to(device)
    return functional_gemm(A, B, SystolicArray(4, 3, slabs=2))


def costs(device):
    work = llm_gemms("qwen2-0.5b", 16)
    report = simulate(work, SISA, concurrent=True)
    swept = sweep("qwen2-0.5b", (1, 16))
    served = serving("qwen2-0.5b", {"SISA": SISA}, batches=5)
    found = explore(work, 4096, (1, 8))
    with tempfile.TemporaryDirectory() as folder:
        back = len(read_topology(write_topology([GEMM(1, 2, 3, 4, name="a")], Path(folder) / "a.csv")))
    sides = {name: r.cycles for name, r in compare(work, {"like": redas_like(), **ARRAYS}).reports.items()}
    rounds = [step.cycles for step in narrower(work[0], SISA)]
    return report.cycles, swept.cycles, served.cycles, found.cycles, back, sides, rounds, filling(work[0], SISA)


ENTRIES = [
    Entry("gemms_from_module", extraction),
    Entry("functional_gemm", event_by_event, dtypes=(torch.float64,)),
    Entry("simulate, compare, sweep, explore, serving, narrower, filling, topologies", costs),
]
