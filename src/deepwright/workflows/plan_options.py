"""What `deepwright plan` is asked for: which domain, which heuristic, how it is searched."""

from __future__ import annotations

import runpy
from dataclasses import KW_ONLY, dataclass
from pathlib import Path

from deepwright.core.devices import resolve
from deepwright.core.errors import InputError
from deepwright.core.requirements import require_positive, require_whole, require_within
from deepwright.core.user_code import users_code
from deepwright.pathfinding import DOMAINS, Domain, named_domain
from deepwright.workflows.options import require_choice, said

METHODS = ("davi", "lhbl", "supervised")
_REACH = {"npuzzle.3": 100, "cube2": 20, "cube3": 30}


@dataclass(frozen=True)
class PlanOptions:
    """Which problem is planned in, with what, and where the files go.

    Attributes:
        domain: a name of `pathfinding.DOMAINS` with its sizes, a Python file with `domain = ...` (it is run), or one.
        heuristic: a folder of an earlier plan (or its .safetensors file) instead of training one here.
        seconds: of training, by the clock; a call that goes on from an interrupted one trains for as long again.
        method: one of `METHODS`.
        width: of the network.
        blocks: of the network.
        k_max: longest walk of training, and length of the walks that instances are; by domain where not given.
        instances: how many are solved.
        file: .npz with `states` (n, ...), and `goals` where they aren't the domain's own, instead of walks.
        batch_size: nodes expanded at once.
        weight: of the path's cost for all heuristics; chosen on validation instances where not given.
        max_nodes: of a search, which then gives up.
        seed: of training and instances.
        device: where the network and the search work.
        out: folder of `plan.html`, `plan.json`, `heuristic.safetensors`, `instances.npz`, `path.gif`, and of what an
            interrupted training goes on from.
        fresh: forget what an interrupted training left.

    Raises:
        InputError: words or numbers out of their range.
    """

    domain: str | Path | Domain = "npuzzle.3"
    _: KW_ONLY
    heuristic: Path | str | None = None
    seconds: float = 40.0
    method: str = "lhbl"
    width: int = 128
    blocks: int = 2
    k_max: int | None = None
    instances: int = 100
    file: Path | str | None = None
    batch_size: int = 10
    weight: float | None = None
    max_nodes: int = 200_000
    seed: int = 0
    device: str | None = None
    out: Path | str = Path("plan")
    fresh: bool = False

    def __post_init__(self) -> None:
        require_positive(seconds=self.seconds)
        require_choice("method", self.method, METHODS)
        require_whole(1, width=self.width, blocks=self.blocks, instances=self.instances, batch_size=self.batch_size)
        require_whole(1, max_nodes=self.max_nodes, **said(k_max=self.k_max))
        require_whole(0, seed=self.seed)
        if self.weight is not None:
            require_within(0.0, 1.0, weight=self.weight)
        resolve(self.device or "cpu", "device")

    @property
    def reach(self) -> int:
        """Steps of the longest walks."""
        if self.k_max is not None:
            return self.k_max
        return _REACH.get(str(self.domain), 50)


def domains() -> dict[str, str]:
    """Name of each bundled domain -> what it is."""
    return dict(DOMAINS)


def domain_of(given: str | Path | Domain) -> Domain:
    """A domain by name, of a Python file, or as it is.

    Args:
        given: see `PlanOptions.domain`.

    Raises:
        InputError: no such name or file; a file without a domain, or one that fails (its error is told).
    """
    if isinstance(given, Domain):
        return given
    name = str(given)
    if not name.endswith(".py"):
        return named_domain(name)
    if not Path(name).is_file():
        raise InputError("domain", given=f"{name} does not exist", expected="a Python file with `domain = ...`")
    with users_code(f"cannot run {name}", "a file that makes a domain"):
        made = runpy.run_path(name).get("domain")
    if not isinstance(made, Domain):
        raise InputError(name, given=f"domain is {type(made).__name__}", expected="domain = (a pathfinding.Domain)")
    return made
