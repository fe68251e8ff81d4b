"""Instances and results that deepxube wrote, as arrays."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from deepwright.core.errors import InputError
from deepwright.pathfinding.domains.cubes import RubiksCube
from deepwright.pathfinding.domains.domain import Domain, DomainError
from deepwright.pathfinding.domains.levels import AGENT, BOX, WALL
from deepwright.pathfinding.domains.lightsout import LightsOut
from deepwright.pathfinding.domains.npuzzle import NPuzzle
from deepwright.pathfinding.domains.others import GridWorld
from deepwright.pathfinding.domains.sokoban import Sokoban

_ARRAYS = {"_reconstruct", "ndarray", "dtype", "scalar", "_frombuffer"}
_ARRAY_HOMES = {"numpy", *(f"numpy.{core}.{part}" for core in ("core", "_core") for part in ("multiarray", "numeric"))}


@dataclass(frozen=True)
class Imported:
    """What a file of deepxube held.

    Attributes:
        domain: of what kind and size the states are.
        states: (B, *state_shape).
        goals: (B, ...).
        actions: of each path, None where none was found; None where the file holds instances alone.
        costs: of each path.
    """

    domain: Domain
    states: Tensor
    goals: Tensor
    actions: list[list[int] | None] | None
    costs: list[float] | None


def read_deepxube(path: str | Path, allow_pickle: bool = False) -> Imported:
    """Instances (`problem_inst`) or results (`solve`) of deepxube's cube3, npuzzle, lightsout, grid and sokoban.

    Such files are pickles, which can run whatever their author likes. They are read with nothing but plain holders in
    place of deepxube's classes and NumPy's arrays; whatever else a file names is refused. Paths aren't replayed here:
    `validate_path` does that.

    Args:
        path: of the file.
        allow_pickle: that it may be read.

    Raises:
        InputError: without `allow_pickle=True`; a file that names other classes, or that isn't one of these.
        DomainError: states of another domain.
    """
    if allow_pickle is not True:
        raise InputError(
            str(path), given="a pickle", expected="allow_pickle=True", hint="only for files whose author you trust"
        )
    try:
        with open(path, "rb") as file:
            held = _Plain(file).load()
    except InputError:
        raise
    except (
        pickle.UnpicklingError,
        EOFError,
        AttributeError,
        IndexError,
        TypeError,
        ValueError,
        KeyError,
        MemoryError,
    ) as error:
        raise InputError(
            str(path), given=f"{type(error).__name__}: {error}"[:200], expected="a pickle of deepxube"
        ) from None
    if not isinstance(held, dict) or not isinstance(held.get("states"), list) or not held["states"]:
        raise InputError(str(path), given=type(held).__name__, expected="a dict with states and goals")
    kind = type(held["states"][0]).__name__
    if kind not in _READERS:
        raise DomainError(str(path), given=f"states of the kind {kind}", expected=", ".join(_READERS))
    try:
        domain, states, goals = _READERS[kind](held["states"], held["goals"])
        actions = (
            [None if not a else [int(one.action) for one in a] for a in held["actions"]] if "actions" in held else None
        )
    except (AttributeError, KeyError, TypeError, ValueError, IndexError) as error:
        raise InputError(
            str(path), given=f"{type(error).__name__}: {error}"[:200], expected=f"states as {kind}"
        ) from None
    if actions is not None and "solved" in held:
        solved = held["solved"]
        actions = [(a or []) if s else None for a, s in zip(actions, solved)]
    domain.require_states(states)
    costs = [float(c) for c in held["path_costs"]] if "path_costs" in held else None
    return Imported(domain, states, goals, actions, costs)


class _Holder:
    """The attributes of an object of deepxube, without its class."""

    def __setstate__(self, state: Any) -> None:
        for part in state if isinstance(state, tuple) else (state,):
            if isinstance(part, dict):
                self.__dict__.update(part)


class _Plain(pickle.Unpickler):
    """Knows arrays and holders, and nothing that acts."""

    def find_class(self, module: str, name: str) -> Any:
        """See `pickle.Unpickler.find_class`.

        Args:
            module: of the class.
            name: of the class.
        """
        if module in _ARRAY_HOMES and name in _ARRAYS:
            return super().find_class(module, name)
        if module.split(".")[0] in ("deepxube", "domains") and name.isidentifier():
            return type(name, (_Holder,), {})
        raise InputError("a pickle", given=f"it names {module}.{name}"[:120], expected="states of deepxube alone")


def _stack(objects: list[Any], name: str, dtype: torch.dtype) -> Tensor:
    arrays = [np.asarray(getattr(one, name)) for one in objects]
    if any(a.dtype.kind not in "iub" for a in arrays):
        raise ValueError(f"{name} of {arrays[0].dtype}")
    return torch.from_numpy(np.stack(arrays).astype(np.int64)).to(dtype)


def _side(cells: int) -> int:
    return round(cells**0.5)


def _boards(states: list[Any], goals: list[Any]) -> tuple[Domain, Tensor, Tensor]:
    tiles, wanted = (_stack(x, "tiles", torch.uint8) for x in (states, goals))
    return NPuzzle(_side(tiles.shape[1]), strict_actions=False), tiles, wanted


def _lights(states: list[Any], goals: list[Any]) -> tuple[Domain, Tensor, Tensor]:
    tiles, wanted = (_stack(x, "tiles", torch.uint8) for x in (states, goals))
    return LightsOut(_side(tiles.shape[1])), tiles, wanted


def _cubes(states: list[Any], goals: list[Any]) -> tuple[Domain, Tensor, Tensor]:
    return RubiksCube(3), _stack(states, "colors", torch.uint8), _stack(goals, "colors", torch.uint8)


def _maps(states: list[Any], goals: list[Any]) -> tuple[Domain, Tensor, Tensor]:
    """As large as they need to be: the files don't say it."""
    at, to = (torch.stack([_stack(x, f"robot_{axis}", torch.int16) for axis in "xy"], 1) for x in (states, goals))
    side = int(torch.cat([at, to]).max()) + 1
    return GridWorld(torch.zeros(side, side, dtype=torch.bool)), at, to


def _rooms(states: list[Any], goals: list[Any]) -> tuple[Domain, Tensor, Tensor]:
    walls, boxes = (_stack(states, name, torch.uint8) for name in ("walls", "boxes"))
    agent, wanted = _stack(states, "agent", torch.long), _stack(goals, "boxes", torch.uint8)
    rows, columns = walls.shape[1:]
    cells = ((walls > 0) * WALL + (boxes > 0) * BOX).to(torch.uint8).flatten(1)
    cells.scatter_(1, agent[:, :1] * columns + agent[:, 1:], AGENT)
    return Sokoban(rows, columns, boxes=1), cells, (wanted > 0).to(torch.uint8).flatten(1)


_Reader = Callable[[list[Any], list[Any]], tuple[Domain, Tensor, Tensor]]
_READERS: dict[str, _Reader] = {
    "NPState": _boards,
    "LOState": _lights,
    "Cube3State": _cubes,
    "GridState": _maps,
    "SkState": _rooms,
}
