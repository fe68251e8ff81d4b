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
class Trained:
    """How a heuristic is trained: see `PlanOptions`."""

    seconds: float = 40.0
    method: str = "lhbl"
    width: int = 128
    blocks: int = 2


@dataclass(frozen=True)
class PlanOptions:
    """Which problem is planned in, with what, and where the files go.

    Attributes:
        domain: a name of `pathfinding.DOMAINS` with its sizes, a Python file with `domain = ...` (it is run), or one.
        heuristic: a folder of an earlier plan (or its .safetensors file) instead of training one here.
        seconds: of training, by the clock, in all: a call that goes on from an interrupted one trains for what is left.
            40 where not given; like the next three, refused beside `heuristic`, which isn't trained.
        method: one of `METHODS`; "lhbl" where not given.
        width: of the network, 128 where not given.
        blocks: of the network, 2 where not given.
        k_max: longest walk of training, and length of the walks that instances are; by domain where not given.
        instances: how many are solved: where not given 100 walks, or all of the file.
        file: .npz with `states` (n, ...), and `goals` where they aren't the domain's own, instead of walks.
        batch_size: nodes expanded at once.
        weight: of the path's cost for all heuristics; chosen on validation instances where not given.
        max_nodes: of a search, which then gives up.
        corners: of cube3, a file of the table of its corners (84 MiB), made where there is none: one more bound.
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
    seconds: float | None = None
    method: str | None = None
    width: int | None = None
    blocks: int | None = None
    k_max: int | None = None
    instances: int | None = None
    file: Path | str | None = None
    batch_size: int = 10
    weight: float | None = None
    max_nodes: int = 200_000
    corners: Path | str | None = None
    seed: int = 0
    device: str | None = None
    out: Path | str = Path("plan")
    fresh: bool = False

    def __post_init__(self) -> None:
        self._require_used()
        training = self.training
        require_positive(seconds=training.seconds)
        require_choice("method", training.method, METHODS)
        require_whole(1, width=training.width, blocks=training.blocks, batch_size=self.batch_size)
        require_whole(1, max_nodes=self.max_nodes, **said(k_max=self.k_max, instances=self.instances))
        require_whole(0, seed=self.seed)
        if self.weight is not None:
            require_within(0.0, 1.0, weight=self.weight)
        resolve(self.device or "cpu", "device")
        name = self.domain.name if isinstance(self.domain, Domain) else str(self.domain)
        if self.corners is not None and name != "cube3":
            raise InputError("corners", given=f"{self.corners} for {name}", expected="the domain cube3, or no corners")

    def _require_used(self) -> None:
        """Refuse words of a training that isn't done."""
        given = said(seconds=self.seconds, method=self.method, width=self.width, blocks=self.blocks)
        if self.heuristic is not None and given:
            name = next(iter(given))
            raise InputError(
                name,
                given=f"{given[name]!r} beside heuristic, which isn't trained again",
                expected="one of the two",
                hint=f"leave out {name} to search with {self.heuristic}, or heuristic to train one",
            )

    @property
    def training(self) -> Trained:
        """What is trained, and for how long."""
        return Trained(**said(seconds=self.seconds, method=self.method, width=self.width, blocks=self.blocks))

    @property
    def reach(self) -> int:
        """Steps of the longest walks."""
        if self.k_max is not None:
            return self.k_max
        return _REACH.get(self.domain.name if isinstance(self.domain, Domain) else str(self.domain), 50)

    @property
    def walks(self) -> int:
        """How many walks are instances, where there is no file."""
        return 100 if self.instances is None else self.instances


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
