"""A network that goes on learning on its device: states in static RAM, one step of training a call."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from deepwright.core.files import write_atomic
from deepwright.core.randomness import derive_seed
from deepwright.weightless.export import c_texts as texts
from deepwright.weightless.export.c import checksum, compare, numbers, read_constants, refuse_large, shared_values
from deepwright.weightless.export.compilers import compiler, ran_c
from deepwright.weightless.export.plain import ExportMismatch, Plain, golden, identifier
from deepwright.weightless.mapping import addresses

_TAPS = 0x80200003
FIRST = 0xACE1


def write_learning(
    network: Plain, states: np.ndarray, top: int, path: Path | str, name: str, verify: bool, samples: Any
) -> Path:
    """Write the header, once votes, classes and states after 1000 steps have been held against the rule here.

    Args:
        network: its tables are [states >= (top + 1) / 2].
        states: (luts, 2^n, classes), uint8 or uint16.
        top: the largest state.
        path: of the header.
        name: prefix of all its names.
        verify: compile and run it where there is a compiler; read its states back in any case.
        samples: Boolean features for half of the vectors, or None.

    Raises:
        ExportMismatch: votes, classes or states differ.
    """
    identifier(name)
    refuse_large(states.size)
    values = shared_values(network, name) | {
        "state": f"uint{8 * states.dtype.itemsize}_t",
        "middle": str((top + 1) // 2),
        "top": str(top),
        "constants": numbers(states),
        "bytes": str(states.nbytes),
        "crc": f"0x{checksum(states):08X}",
    }
    text = texts.fill(texts.DECLARED, values) + texts.fill(texts.LEARNING, values)
    if verify:
        if not np.array_equal(read_constants(text, f"{name}_states"), states.ravel()):
            raise ExportMismatch("the states in the header aren't the network's")
        if compiler() is not None:
            _check_steps(text, name, network, states, top, samples)
    return write_atomic(path, lambda stream: stream.write(text.encode("ascii")))


def learned(
    network: Plain, states: np.ndarray, top: int, bits: np.ndarray, labels: np.ndarray, lfsr: int
) -> tuple[np.ndarray, int]:
    """States and register after the header's `update` for each sample, one after the other.

    Args:
        network: its mapping.
        states: (luts, 2^n, classes) at the beginning.
        top: the largest state.
        bits: (samples, features) of 0 and 1.
        labels: (samples,), places among the classes.
        lfsr: the register at the beginning.
    """
    states, own = states.astype(np.int64), np.arange(len(states))
    register = lfsr or 1
    for row, label in zip(addresses(bits, network.mapping), labels.tolist(), strict=True):
        rival = int((states[own, row] > top // 2).sum(axis=0).argmax())
        if rival == label or not 0 <= label < states.shape[2]:
            continue
        drawn = []
        for _ in range(2 * len(states)):
            drawn.append(bool(register & 1))
            register = (register >> 1) ^ (_TAPS if register & 1 else 0)
        up, down = np.array(drawn[0::2]), np.array(drawn[1::2])
        states[own[up], row[up], label] = np.minimum(states[own[up], row[up], label] + 1, top)
        states[own[down], row[down], rival] = np.maximum(states[own[down], row[down], rival] - 1, 0)
    return states, register


def _check_steps(text: str, name: str, network: Plain, states: np.ndarray, top: int, samples: Any) -> None:
    bits = golden(network, samples)
    steps = max(20, min(len(bits), 200_000 // network.luts))
    rng = np.random.default_rng(derive_seed("weightless steps", seed=0))
    labels = rng.integers(-1, network.classes + 1, steps).astype(np.int32)  # two of them are none
    stream = np.concatenate([labels[:, None].view(np.uint8), bits[-steps:]], axis=1)
    body = texts.fill(texts.RUN_LEARNING, {"n": name, "N": name.upper()})
    out = ran_c(text, body, [bits, stream])
    compare(out, network.votes(bits), checksum(states))
    end = 4 + len(bits) * (2 * network.classes + 4)
    expected, register = learned(network, states, top, bits[-steps:], labels, FIRST)
    found = np.frombuffer(out[end + 4 :], dtype=states.dtype)
    if int(np.frombuffer(out[end : end + 4], dtype=np.uint32)[0]) != register:
        raise ExportMismatch("the header's random draws aren't those of the rule")
    if not np.array_equal(found, expected.ravel()):
        raise ExportMismatch(f"states differ after {steps} steps of the header's update")
