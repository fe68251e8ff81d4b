"""What a pruning search found: a front of networks, with held-out figures beside the ones it was searched on."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from deepwright.compress.search.objectives import Accuracy
from deepwright.compress.search.preparing import Preparation
from deepwright.compress.search.requirements import require_pair
from deepwright.compress.search.space import COSTS, Space
from deepwright.compress.search.units import UnitSpace
from deepwright.compress.surgery import ShrinkResult
from deepwright.core.errors import InputError
from deepwright.core.files import load_state, save_state
from deepwright.core.pareto import hypervolume, knee, nondominated
from deepwright.core.requirements import require_whole, require_within
from deepwright.core.results import Figure, Table
from deepwright.core.resume import digest
from deepwright.core.statistics import Interval, mcnemar, wilson


@dataclass(frozen=True)
class Picked:
    """One network of the front.

    Attributes:
        model: smaller (units, and proved) or sparse (weights); with what the search's preparation gave it.
        surgery: the proof and the index map, for units, of the cut as it was before any preparation.
        index: its place in the front.
        validation_error: what the search saw.
        held_out: error on fresh data, with its 95 % interval; the picked point was chosen for its luck too.
        costs: shares of the dense network's costs. Of a sparse network: the share of weights that aren't zero, and
            beside it params, MACs and bytes, which zeros leave as they were, and the bytes of a file of sparse rows.
        against_dense: exact McNemar p-value that it is equally often right as the dense network on the fresh data.
    """

    model: nn.Module
    surgery: ShrinkResult | None
    index: int
    validation_error: float
    held_out: Interval
    costs: dict[str, float]
    against_dense: float


@dataclass
class ParetoResult:
    """A front, sorted by cost.

    Attributes:
        space: of the network.
        objectives: their names, "error" first.
        F: (n, k) values on the validation data.
        packed: (n, bytes) masks, bit-packed.
        phase: which phase found each point.
        history: (evaluations, hypervolume, phase) after each generation.
        log: what the search decided on its way.
        evaluations: in all.
        preparation: what each network got before it was judged, and gets when it is picked.
    """

    space: Space = field(repr=False)
    objectives: tuple[str, ...]
    F: np.ndarray
    packed: np.ndarray = field(repr=False)
    phase: np.ndarray
    history: list[tuple[float, float, int]] = field(repr=False)
    log: list[str]
    evaluations: float
    preparation: Preparation | None = field(default=None, repr=False)

    def __len__(self) -> int:
        return len(self.F)

    @property
    def masks(self) -> np.ndarray:
        """(n, D) bool."""
        return np.unpackbits(self.packed, axis=1, count=self.space.size).astype(bool)

    def front(self) -> np.ndarray:
        """Indices of the points that nothing dominates, by cost."""
        inside = np.flatnonzero(nondominated(self.F))
        return inside[np.argsort(self.F[inside, 1], kind="stable")]

    def knee(self) -> int:
        """The point farthest from the chord between the extremes of (error, cost)."""
        self._require_points()
        front = self.front()
        return int(front[knee(self.F[front, :2])])

    def hypervolume(self) -> float:
        """In (error, cost), reference (1, 1)."""
        return hypervolume(self.F[:, :2], (1.0, 1.0))

    def cheapest(self, max_error_increase: float) -> int:
        """The cheapest point whose validation error is at most so far above the best.

        Args:
            max_error_increase: how far.
        """
        self._require_points()
        require_within(0, 1, max_error_increase=max_error_increase)
        good = np.flatnonzero(self.F[:, 0] <= self.F[:, 0].min() + max_error_increase + 1e-12)
        return int(good[np.argmin(self.F[good, 1])])

    def pick(
        self, held_out: tuple[Tensor, Tensor], *, max_error_increase: float = 0.01, index: int | None = None
    ) -> Picked:
        """A network of the front, measured on data that the search didn't see.

        Args:
            held_out: fresh (inputs, labels).
            max_error_increase: the cheapest point within so much of the best validation error.
            index: this point instead.

        Raises:
            InputError: an index outside the front, held-out data that is empty.
            SurgeryError: a unit-wise point that doesn't equal its masked original.
        """
        self._require_points()
        require_pair("held_out", held_out)
        if index is not None:
            require_whole(0, index=index)
        chosen = self.cheapest(max_error_increase) if index is None else index
        if not 0 <= chosen < len(self):
            raise InputError("index", given=chosen, expected=f"0..{len(self) - 1}")
        mask = self.masks[chosen]
        fresh = Accuracy(*held_out)
        surgery = self.space.proved(mask) if isinstance(self.space, UnitSpace) else None
        if self.preparation is not None:
            model = self.preparation.whole(self.space, mask)
        else:
            model = surgery.model if surgery is not None else self.space.build(mask)
        dense = fresh.wrong(self.space, np.ones((1, self.space.size), bool))[0]
        both = fresh.wrong_of(self.space, model), dense
        names = self.objectives[1:]
        return Picked(
            model=model,
            surgery=surgery,
            index=chosen,
            validation_error=float(self.F[chosen, 0]),
            held_out=wilson(int(both[0].sum()), len(fresh)),
            costs=self.space.account(mask, dict(zip(names, self.F[chosen, 1:].tolist()))),
            against_dense=mcnemar(torch.from_numpy(~both[0]), torch.from_numpy(~both[1])),
        )

    def _require_points(self) -> None:
        if len(self) == 0:
            raise InputError("the front", given="no point", expected="a search that has told at least one candidate")

    def evaluate(self, x: Tensor, y: Tensor) -> Table:
        """Every point on fresh data: validation error, held-out error with its interval, costs.

        Args:
            x: inputs (N, ...).
            y: their labels (N,).
        """
        fresh = Accuracy(x, y)
        if self.preparation is None:
            wrong = fresh.wrong(self.space, self.masks).sum(1)
        else:
            each = (self.preparation.whole(self.space, m) for m in self.masks)
            wrong = np.array([fresh.wrong_of(self.space, model).sum() for model in each])
        rows: list[Any] = []
        for i, errors in enumerate(wrong.tolist()):
            interval = wilson(errors, len(fresh))
            rows.append([i, *self.F[i].tolist(), interval.value, interval.low, interval.high, int(self.phase[i])])
        columns = ["point", "validation error", *self._costs(), "held-out error", "low", "high", "phase"]
        return Table(columns, rows, f"{len(rows)} points, {len(fresh)} held-out samples, 95 % intervals")

    def _costs(self) -> list[str]:
        """The objectives but for the error; zeros in a tensor aren't fewer parameters, whatever was asked for."""
        sparse = not isinstance(self.space, UnitSpace)
        return [f"nonzero weights ({n})" if sparse and n in COSTS else n for n in self.objectives[1:]]

    def sensitivity(self) -> Table:
        """Share of its bits that each layer keeps over the front: which are never given up."""
        masks = self.masks
        kept = np.stack([np.bincount(self.space.layer[m], minlength=len(self.space.names)) for m in masks])
        share = kept / self.space.layer_sizes
        rows: list[Any] = [
            [name, int(size), float(s.min()), float(np.median(s)), float(s.max())]
            for name, size, s in zip(self.space.names, self.space.layer_sizes, share.T)
        ]
        return Table(["layer", "bits", "least kept", "median kept", "most kept"], rows, f"over {len(masks)} points")

    def plot(self) -> Figure:
        """The front, by the phase that found each point."""
        series = [
            {"name": f"phase {p}", "x": self.F[self.phase == p, 1].tolist(), "y": self.F[self.phase == p, 0].tolist()}
            for p in np.unique(self.phase)
        ]
        return Figure("scatter", "The front", series, f"{self._costs()[0]} (share)", "validation error")

    def to_pandas(self) -> Any:
        """One row a point."""
        import pandas

        frame = pandas.DataFrame(self.F, columns=["error", *self._costs()])
        frame["phase"] = self.phase
        return frame

    def save(self, path: Path | str) -> Path:
        """Write the front; `load` needs the same network's space.

        Args:
            path: the file.
        """
        state = {
            "objectives": list(self.objectives),
            "F": torch.from_numpy(self.F.copy()),
            "packed": torch.from_numpy(self.packed.copy()),
            "phase": torch.from_numpy(self.phase.copy()),
            "history": [list(h) for h in self.history],
            "log": self.log,
            "evaluations": self.evaluations,
            "size": self.space.size,
            "layers": [[name, int(size)] for name, size in zip(self.space.names, self.space.layer_sizes)],
            "network": str(digest(self.space.network, "the network")),
            "preparation": _name(self.preparation),
        }
        return save_state(path, state)

    @classmethod
    def load(cls, path: Path | str, space: Space, preparation: Preparation | None = None) -> ParetoResult:
        """Read a front back.

        Args:
            path: the file.
            space: of the network that it was made over.
            preparation: that its networks were judged with; the file doesn't hold the training data.

        Raises:
            InputError: it was made over another network, or with another preparation.
        """
        state = load_state(path)
        if not isinstance(state, dict) or not {"size", "layers", "network", "packed"} <= set(state):
            raise InputError(f"front {path}", given="another file", expected="one that ParetoResult.save wrote")
        layers = [[name, int(size)] for name, size in zip(space.names, space.layer_sizes)]
        if state["size"] == space.size and state["layers"] == layers:
            if state["network"] != str(digest(space.network, "the network")):
                expected = "this network, with the weights that it had then"
                raise InputError(f"front {path}", given="a front of other weights", expected=expected)
        else:
            raise InputError(
                f"front {path}",
                given=f"{state['size']} bits in other layers",
                expected=f"{space.size}, in the layers of this network",
            )
        if state.get("preparation") != _name(preparation):
            given = "judged with another preparation" if preparation else "of networks that were prepared"
            raise InputError(f"front {path}", given=given, expected="the preparation that `fit` was given, no other")
        history = [(float(a), float(b), int(c)) for a, b, c in state["history"]]
        return cls(
            space=space,
            objectives=tuple(state["objectives"]),
            F=state["F"].numpy(),
            packed=state["packed"].numpy(),
            phase=state["phase"].numpy(),
            history=history,
            log=state["log"],
            evaluations=state["evaluations"],
            preparation=preparation,
        )


def _name(preparation: Preparation | None) -> str | None:
    return None if preparation is None else str(digest(preparation, "the preparation"))
