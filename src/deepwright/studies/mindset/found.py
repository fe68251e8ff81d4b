"""What ran, read by experiment, network and layer: each read-out's layer is chosen on held-out pictures."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from deepwright.core.results import Arm
from deepwright.studies._frame import Runs, mean
from deepwright.studies.mindset.trials import FEATURES, LAYERS, MULLER_LYER

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
        """The layer whose read-out is judged: of Müller-Lyer the features, as fixed beforehand; else the best read.

        Args:
            name: of the experiment.
            kind: of the network.
        """
        if name == MULLER_LYER:
            return FEATURES
        return max(LAYERS, key=lambda layer: mean(self.r2(name, kind, layer)))

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
        return [row[what][layer] for row in self.judged[name, kind]]

    def arms(self) -> list[Arm]:
        """How each read-out's layer was chosen."""
        made = []
        for (name, kind), runs in self.decoded.items():
            if name == MULLER_LYER:
                continue
            layer = self.layer(name, kind)
            made.append(
                Arm(
                    name=f"{kind}, {name}",
                    rule="largest mean R2",
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
