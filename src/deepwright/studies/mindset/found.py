"""What ran, read by experiment, network and layer: each read-out is judged where held-out pictures are read."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from deepwright.core.results import Arm
from deepwright.studies._frame import Runs, mean
from deepwright.studies.mindset.trials import LAYERS

LEAST_R2 = 0.5


@dataclass(frozen=True)
class Found:
    """Everything that ran.

    Attributes:
        decoded: (experiment, network) -> trials of read-outs.
        judged: (experiment, network) -> trials of similarities.
        sheet: pictures of each experiment.
    """

    decoded: dict[tuple[str, str], Runs]
    judged: dict[tuple[str, str], Runs]
    sheet: dict[str, Any]

    def r2(self, name: str, kind: str, layer: str) -> list[float]:
        """R2 on held-out pictures, one a seed.

        Args:
            name: of the experiment.
            kind: of the network.
            layer: of it, or a trivial observer.
        """
        found = [row["r2"].get(layer) for row in self.decoded[name, kind]]
        return [math.nan if value is None else value for value in found]

    def layer(self, name: str, kind: str) -> str:
        """The layer whose read-out is judged: the deepest that tells the quantity (mean R2 of 0.5); else the best read.

        Args:
            name: of the experiment.
            kind: of the network.
        """
        told = {layer: mean(self.r2(name, kind, layer)) for layer in LAYERS}
        readable = [layer for layer, r2 in told.items() if r2 >= LEAST_R2]
        return readable[-1] if readable else max(told, key=told.__getitem__)

    def bias(self, name: str, kind: str, layer: str) -> list[float]:
        """The effect, one a seed; none where the read-out can't measure (mean R2 below 0.5).

        Args:
            name: of the experiment.
            kind: of the network.
            layer: of it, or a trivial observer.
        """
        readable = mean(self.r2(name, kind, layer)) >= LEAST_R2
        rows = self.decoded[name, kind]
        return [row["effect"].get(layer, math.nan) if readable else math.nan for row in rows]

    def judgement(self, name: str, kind: str, layer: str, what: str = "effect") -> list[float]:
        """(a - b) / (a + b) of an item's distances, means over items, one a seed.

        Args:
            name: of the experiment.
            kind: of the network.
            layer: of it, or "pixels".
            what: "effect", or "controlled" for that at an equal change of pixels.
        """
        found = [row[what].get(layer) for row in self.judged[name, kind]]
        return [math.nan if value is None else value for value in found]

    def arms(self) -> list[Arm]:
        """How each read-out's layer was chosen."""
        made = []
        for (name, kind), runs in self.decoded.items():
            layer = self.layer(name, kind)
            made.append(
                Arm(
                    name=f"{kind}, {name}",
                    rule=f"deepest layer with a mean R2 of {LEAST_R2} or more",
                    data="held-out training pictures of the same seeds",
                    budget=f"{len(LAYERS)} layers, one ridge regression each, its strength by generalised "
                    "cross-validation",
                    group=name,
                    grid={"layer": list(LAYERS.values())},
                    chosen={LAYERS[layer]: len(runs)},
                    tried=len(LAYERS),
                )
            )
        return made
