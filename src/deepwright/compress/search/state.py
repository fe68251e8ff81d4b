"""A search on disk: everything that decides how it goes on, without pickles."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from deepwright.core.errors import InputError
from deepwright.core.files import load_state, save_state

if TYPE_CHECKING:
    from deepwright.compress.search.pruner import EvolutionaryPruner

_PACKED = ("population", "archive")
_ARRAYS = ("fitness", "thresholds", "archive_fitness", "archive_phase", "lower", "upper")
_PLAIN = ("phase", "generation", "evaluations", "log", "infeasible", "_number")


class StateMismatchError(InputError):
    """Saved state of another search."""


def save_search(search: EvolutionaryPruner, path: Path, identity: dict[str, str]) -> None:
    """Write the state after a generation."""
    state: dict[str, Any] = {"identity": identity, "rng": json.dumps(search.rng.bit_generator.state)}
    for name in _PACKED:
        state[name] = torch.from_numpy(np.packbits(getattr(search, name), axis=1))
    for name in _ARRAYS:
        state[name] = torch.from_numpy(np.ascontiguousarray(getattr(search, name)))
    for name in _PLAIN:
        state[name] = getattr(search, name)
    state["history"] = [list(h) for h in search.history]
    state["operator_wins"] = [list(w) for w in search.operator_wins]
    wrong = search.mistakes.rows
    keys = sorted(wrong)
    state["wrong_keys"] = _bytes(keys)
    state["wrong"] = torch.from_numpy(np.stack([wrong[k] for k in keys]) if keys else np.zeros((0, 0), np.uint8))
    state["seen"] = _bytes(sorted(search._seen))
    save_state(path, state)


def load_search(search: EvolutionaryPruner, path: Path, identity: dict[str, str]) -> None:
    """Go on from a saved state.

    Raises:
        StateMismatchError: it belongs to another search (what differs is named).
    """
    state = load_state(path)
    other = [k for k, v in identity.items() if state["identity"].get(k) != v]
    if other:
        raise StateMismatchError(
            f"state in {path}", given="another " + ", ".join(other), expected="the same search",
            hint="use another state_dir, or the settings that it was started with",
        )  # fmt: skip
    d = search.space.size
    for name in _PACKED:
        setattr(search, name, np.unpackbits(state[name].numpy(), axis=1, count=d).astype(bool))
    for name in _ARRAYS:
        setattr(search, name, state[name].numpy().copy())
    for name in _PLAIN:
        setattr(search, name, state[name])
    search.history = [(float(a), float(b), int(c)) for a, b, c in state["history"]]
    search.operator_wins = [(int(a), int(b)) for a, b in state["operator_wins"]]
    search.rng.bit_generator.state = json.loads(state["rng"])
    width = -(-d // 8)
    search.mistakes.rows = dict(zip(_pieces(state["wrong_keys"], width), state["wrong"].numpy()))
    search._seen = set(_pieces(state["seen"], width))


def _bytes(keys: list[bytes]) -> torch.Tensor:
    return torch.from_numpy(np.frombuffer(b"".join(keys), np.uint8).copy())


def _pieces(flat: torch.Tensor, width: int) -> list[bytes]:
    data = flat.numpy().tobytes()
    return [data[i : i + width] for i in range(0, len(data), width)]
