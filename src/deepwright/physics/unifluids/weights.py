"""Files of trained models: weights with the channels, equations and settings that they belong to, under a checksum."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch import Tensor

from deepwright.core.errors import InputError
from deepwright.core.files import load_state, save_state

Made = dict[str, Any]  # what a model is made from: registry, pdes, settings


def write(path: Path | str, made: Made, weights: dict[str, Tensor]) -> Path:
    """Write a model.

    Args:
        path: the file.
        made: what the model is made from.
        weights: its state.
    """
    return save_state(path, {**made, "weights": weights})


def read(path: Path | str) -> tuple[Made, dict[str, Tensor]]:
    """What the model of a file is made from, and its weights.

    Args:
        path: a file of `write`.

    Raises:
        InputError: a file that isn't one, or is damaged.
    """
    state = load_state(path)
    if not (isinstance(state, dict) and {"registry", "pdes", "settings", "weights"} <= set(state)):
        given = ", ".join(map(str, state)) if isinstance(state, dict) else type(state).__name__
        raise InputError(f"{path}", given=given, expected="a file written by UniFluids.save")
    return {k: state[k] for k in ("registry", "pdes", "settings")}, state["weights"]


def read_for(path: Path | str, made: Made) -> dict[str, Tensor]:
    """Weights of a file, for a model that is made alike.

    Args:
        path: a file of `write`.
        made: what the model is made from.

    Raises:
        InputError: another model's.
    """
    found, weights = read(path)
    other = [k for k, v in made.items() if found[k] != v]
    if other:
        expected = ", ".join(f"{k} {made[k]}" for k in other)
        hint = "UniFluids.read makes the model that a file needs"
        raise InputError(f"{path}", given="another " + ", ".join(other), expected=expected, hint=hint)
    return weights


def options(settings: dict[str, Any]) -> dict[str, Any]:
    """Settings of a file as arguments of `UniFluids`.

    Args:
        settings: as `UniFluids.settings`.
    """
    size = settings["size"] if isinstance(settings["size"], str) else tuple(settings["size"])
    return {**settings, "size": size, "patch": {int(d): tuple(p) for d, p in settings["patch"].items()}}
