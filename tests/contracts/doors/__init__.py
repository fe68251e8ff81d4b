"""The frame in which every door that resumes is tested (`test_resume_contract.py`).

A door is a public function or method with a file to resume from. To have one tested, write `doors/<room>.py` with a list
`DOORS` of `Door(...)`; it is found by itself. Its `start` must

* do the whole work in the folder that it is given, on fixed seeds, in about 0.1-1 s, and return something that can be
  compared (plain data, tensors, arrays, dataclasses of them);
* take keyword arguments, all with defaults, that change what the work is made from: `changes` says which of them to try,
  and which words the refusal must hold;
* be importable: the kill tests run it in fresh processes by its name, so no lambdas and no fixtures.

    def start(folder, *, x_seed=0, lr=0.1, stop=None):
        return my_door(data(x_seed), lr=lr, on_step=stop, checkpoint=folder / "work.pt").losses

    def stop(*_):
        raise KeyboardInterrupt

    DOORS = [Door("my door", start, file="work.pt", changes={"training data": {"x_seed": 1}, "lr": {"lr": 0.2}},
                  interrupt={"stop": stop})]
"""

from __future__ import annotations

import dataclasses
import importlib
import pkgutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch


@dataclasses.dataclass(frozen=True)
class Door:
    """One way into work that resumes.

    Attributes:
        name: shown by pytest; unique.
        start: (folder, **changed) -> result, the whole work.
        file: the file in the folder that it resumes from; None where each result has a file of its own under a key
            that is computed from all that it is made from. Then a change isn't refused but computed, and two
            processes may work at once.
        changes: words of the refusal -> what to pass to `start` so that it must be refused. Include data, labels,
            options, and the user's functions.
        interrupt: what to pass to `start` so that it raises KeyboardInterrupt in the middle of the work; it must not
            be a part of what the work is made from. Leave it out where there is no such place.
        flips: how many single flipped bits to try.
    """

    name: str
    start: Callable[..., Any]
    file: str | None
    changes: dict[str, dict[str, Any]]
    interrupt: dict[str, Any] | None = None
    flips: int = 5

    def __str__(self) -> str:
        return self.name


def all_doors() -> list[Door]:
    """The doors of all modules in this folder."""
    modules = [importlib.import_module(f"{__name__}.{m.name}") for m in pkgutil.iter_modules(__path__)]
    return [door for module in modules for door in module.DOORS]


def same(a: Any, b: Any) -> bool:
    """Equality bit for bit."""
    if dataclasses.is_dataclass(a):
        return type(a) is type(b) and same(vars(a), vars(b))
    if isinstance(a, torch.Tensor):
        return isinstance(b, torch.Tensor) and a.dtype == b.dtype and torch.equal(a, b)
    if isinstance(a, np.ndarray):
        return isinstance(b, np.ndarray) and a.dtype == b.dtype and a.tobytes() == b.tobytes()
    if isinstance(a, dict):
        return isinstance(b, dict) and list(a) == list(b) and all(same(a[k], b[k]) for k in a)
    if isinstance(a, list | tuple):
        return type(a) is type(b) and len(a) == len(b) and all(map(same, a, b))
    return type(a) is type(b) and repr(a) == repr(b)


def work(name: str, folder: Path, out: Path) -> None:
    """What a process of the kill tests does: the work of a door, and its result (or the error's words) to `out`."""
    torch.set_num_threads(1)
    door = next(d for d in all_doors() if d.name == name)
    out.with_suffix(".begun").touch()
    begin = time.perf_counter()
    try:
        answer = {"result": door.start(folder)}
    except ValueError as error:
        answer = {"error": str(error)}
    torch.save({**answer, "seconds": time.perf_counter() - begin}, out.with_suffix(".part"))
    out.with_suffix(".part").rename(out)
