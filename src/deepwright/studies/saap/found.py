"""What was found, read by arm, detector and seed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from deepwright.core.results import Arm
from deepwright.studies._frame import Runs, Selection, select
from deepwright.studies.saap.attacks import CONTROLS, LEVELS, OURS, RIVALS, TAU
from deepwright.studies.saap.detectors import KINDS, size_of


@dataclass(frozen=True)
class Found:
    """All trials.

    Attributes:
        hiding: by detector, every arm at `TAU`.
        chosen: by detector and optimiser, at the step length that validation chose.
        curves: by detector and share.
        transfer: by share, from one detector to the other.
        loose: by share, the released bound.
        moved: by share, scenes that are seen anew.
        parts: the same, change by change.
        receiver: behind a receiver.
        hardened: by way of training on.
        pasted: by detector.
        patches: by detector and patch, at the step length that validation chose.
        arms: how all were chosen.
    """

    hiding: dict[str, Runs]
    chosen: dict[tuple[str, str], Runs]
    curves: dict[tuple[str, float], Runs]
    transfer: dict[float, Runs]
    loose: dict[float, Runs]
    moved: dict[float, Runs]
    parts: Runs
    receiver: Runs
    hardened: dict[str, Runs]
    pasted: dict[str, Runs]
    patches: dict[tuple[str, str], Runs]
    arms: list[Arm]

    def of(self, kind: str, arm: str, measure: str = "missed") -> list[float]:
        """One value a seed, at `TAU`.

        Args:
            kind: of the detector.
            arm: any way of spending.
            measure: see `detectors.measured`.
        """
        if arm in LEVELS:
            return self.chosen[kind, arm].values(measure)
        return self.hiding[kind].values(lambda row: row["found"][arm][measure])

    def best_rival(self, kind: str, arms: tuple[str, ...] = RIVALS) -> list[float]:
        """Ships missed by the best of some arms, another one at each seed.

        Args:
            kind: of the detector.
            arms: among which.
        """
        return [max(values) for values in zip(*(self.of(kind, arm) for arm in arms))]

    def has(self, kind: str, arm: str) -> bool:
        """Whether an arm was run on a detector.

        Args:
            kind: of the detector.
            arm: any way of spending.
        """
        return arm in LEVELS or arm in self.hiding[kind][0]["found"]

    def seen(self, tau: float, found_on: str, kind: str) -> list[float]:
        """Ships that a detector misses in scenes attacked on another, or filled without any.

        Args:
            tau: the share.
            found_on: a detector, both, or a fill.
            kind: of the detector that sees them.
        """
        return self.transfer[tau].values(lambda row: row["seen"][found_on][kind])

    def best_fill(self, tau: float, kind: str) -> list[float]:
        """Ships missed by the best of the model-free fills, another one at each seed.

        Args:
            tau: the share.
            kind: of the detector.
        """
        return [max(values) for values in zip(*(self.seen(tau, fill, kind) for fill in CONTROLS))]

    def at_share(self, kind: str, tau: float, arm: str, measure: str = "missed") -> list[float]:
        """One value a seed, at any share that was measured.

        Args:
            kind: of the detector.
            tau: the share.
            arm: ours, or a control.
            measure: see `detectors.measured`.
        """
        return self.of(kind, arm, measure) if tau == TAU else self.curves[kind, tau].values(lambda r: r[arm][measure])

    def shares(self, kind: str) -> list[float]:
        """All shares that were measured, in their order.

        Args:
            kind: of the detector.
        """
        return sorted([TAU, *(tau for k, tau in self.curves if k == kind)])

    def beside(self, error: str, arms: tuple[str, ...]) -> list[float]:
        """Behind the receiver, ships missed by ours less those of the best control, seed by seed.

        Args:
            error: of the receiver.
            arms: the controls.
        """
        return [row[error][OURS]["missed"] - max(row[error][a]["missed"] for a in arms) for row in self.receiver]


def best_step_lengths(hiding: Runs, quick: bool) -> Selection:
    """The step length of each optimiser that has one, by the ships it hides on validation scenes.

    Args:
        hiding: the trials.
        quick: of their size.
    """
    specs: list[dict[str, Any]] = []
    rows: list[dict[str, Any]] = []
    for spec, row in zip(hiding.specs, hiding):
        for arm, settings in row["arms"].items():
            for found in settings:
                specs.append({"detector": spec["kind"], "arm": arm, "seed": spec["seed"], **found["setting"]})
                rows.append(found)
    size = size_of(quick)
    none = "it has no step length"
    return select(
        Runs(tuple(specs), tuple(rows)),
        arms=("detector", "arm"),
        over=("levels",),
        by="validation",
        words="share of ships missed",
        data=f"{size.validation} validation scenes of each seed",
        budget=f"{size.steps} steps",
        largest=True,
        why={(kind, OURS): none for kind in KINDS},
    )


def best_pasted(pasted: Runs, quick: bool) -> Selection:
    """The step length of each pasted patch, by the average precision that it leaves on validation scenes.

    Args:
        pasted: the trials.
        quick: of their size.
    """
    specs: list[dict[str, Any]] = []
    rows: list[dict[str, Any]] = []
    for spec, row in zip(pasted.specs, pasted):
        for patch, found in row["found"].items():
            for one in found["rows"]:
                group = f"pasted over, {spec['kind']}"
                specs.append(
                    {"detector": group, "kind": spec["kind"], "arm": patch, "seed": spec["seed"], "lr": one["lr"]}
                )
                rows.append(one | {"noise": found["noise"], "grey": found["grey"], "clean": row["clean"]})
    return select(
        Runs(tuple(specs), tuple(rows)),
        arms=("detector", "arm"),
        over=("lr",),
        by="validation",
        words="average precision left",
        data=f"{size_of(quick).validation} validation scenes of each seed",
        budget="4 steps" if quick else "50 steps on 64 training scenes",
    )
