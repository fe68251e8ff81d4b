"""Many detectors, one forward pass."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Self

import torch
from torch import Tensor, nn

from deepwright.core.devices import home
from deepwright.core.errors import InputError
from deepwright.core.features import Activations, extract
from deepwright.core.results import Table
from deepwright.ood.bbas import BBAS, OutsideTheBox
from deepwright.ood.detector import Detector
from deepwright.ood.metrics import aupr, auroc, fpr_at_tpr
from deepwright.ood.scores.features import ASH, DICE, KNN, SCALE, SHE, ReAct, ViM
from deepwright.ood.scores.gaussian import MDS, RMDS
from deepwright.ood.scores.logits import GEN, MSP, ODIN, Energy, Entropy, MaxLogit

if TYPE_CHECKING:
    from deepwright.core.tasks import Task

ALL: tuple[type[Detector], ...] = (
    MSP,
    MaxLogit,
    Energy,
    Entropy,
    GEN,
    ODIN,
    MDS,
    RMDS,
    KNN,
    ViM,
    ReAct,
    DICE,
    ASH,
    SCALE,
    SHE,
    OutsideTheBox,
    BBAS,
)


class DetectorSuite:
    """Fit and score many detectors on one network.

    Args:
        model: gives (N, classes) logits, or what `task` reads them from; left as found.
        detectors: by name, or a sequence in which no two have one name; every detector of the house by default.
        layers: see `core.features.Tap`.
        task: see `core.features.extract`.

    A detector that can't be fitted on this network or data (no linear head, a class without samples) is left out, and
    `skipped` says why.
    """

    def __init__(
        self,
        model: nn.Module,
        detectors: dict[str, Detector] | Sequence[Detector] | None = None,
        layers: Any = "auto",
        task: Task | None = None,
    ) -> None:
        chosen = [cls() for cls in ALL] if detectors is None else detectors
        called = list(chosen) if isinstance(chosen, dict) else [getattr(d, "name", repr(d)) for d in chosen]
        names = [str(name) for name in called]
        self.detectors = dict(zip(names, chosen.values() if isinstance(chosen, dict) else chosen))
        if len(set(names)) < len(names):
            twice = sorted({n for n in names if names.count(n) > 1})
            hint = 'give a dict with names of your own: {"KNN of 1": KNN(1), "KNN of 5": KNN(5)}'
            raise InputError(
                "detectors", given=f"several of {', '.join(twice)}", expected="names of their own", hint=hint
            )
        for detector in self.detectors.values():
            if not isinstance(detector, Detector):
                hint = "ood.MSP(), an instance" if isinstance(detector, str | type) else None
                raise InputError("detectors", given=repr(detector), expected="Detector objects", hint=hint)
        if not self.detectors:
            raise InputError("detectors", given="none", expected="at least one")
        self.model, self.layers, self.task = model, layers, task
        self.skipped: dict[str, str] = {}
        self.seconds: dict[str, float] = {}
        self.forward_seconds = 0.0

    def fit(self, loader: Iterable[Any]) -> Self:
        """Fit on batches of (inputs, labels), or on ready activations."""
        acts = (
            loader
            if isinstance(loader, Activations)
            else extract(self.model, loader, self.layers, progress="fit detectors", task=self.task)
        )
        for name, detector in list(self.detectors.items()):
            try:
                detector.bind(self.model, self.layers, self.task)
                if "input_grad" not in detector.needs:
                    detector.fit(acts)
            except InputError as error:
                self.skipped[name] = str(error)
                del self.detectors[name]
        return self

    def score(self, loader: Iterable[Any]) -> dict[str, Tensor]:
        """Scores by detector, where the inputs are; only ODIN needs passes of its own."""
        batches = [b[0] if isinstance(b, list | tuple) else b for b in loader]
        begin = time.perf_counter()
        acts = extract(self.model, batches, self.layers, progress="score", task=self.task)
        self.forward_seconds = time.perf_counter() - begin
        scores = {}
        for name, detector in self.detectors.items():
            begin = time.perf_counter()
            if "input_grad" in detector.needs:
                scores[name] = torch.cat([detector.score(x) for x in batches])
            else:
                scores[name] = detector.score(acts).to(home(batches))
            self.seconds[name] = time.perf_counter() - begin
        return scores

    def report(self, id_loader: Iterable[Any], ood: dict[str, Iterable[Any]]) -> Table:
        """AUROC, FPR at 95 % TPR and both AUPR of every detector on every set, with milliseconds per 1,000 inputs.

        Args:
            id_loader: in-distribution inputs.
            ood: the other sets by name.

        Raises:
            InputError: no detector could be fitted.
        """
        if not self.detectors:
            why = "; ".join(f"{name}: {reason}" for name, reason in self.skipped.items())
            raise InputError("detectors", given=f"none that could be fitted ({why})", expected="at least one")
        inside = self.score(id_loader)
        n = len(next(iter(inside.values())))
        cost = {name: 1e6 * seconds / n for name, seconds in self.seconds.items()}
        rows: list[list[Any]] = []
        for set_name, loader in ood.items():
            outside = self.score(loader)
            for name in self.detectors:
                a, b = inside[name], outside[name]
                rows.append(
                    [name, set_name, auroc(a, b), fpr_at_tpr(a, b), aupr(a, b, "id"), aupr(a, b, "ood"), cost[name]]
                )
        columns = ["detector", "set", "auroc", "fpr95", "aupr_in", "aupr_out", "ms per 1000"]
        return Table(columns, rows, f"{n} in-distribution inputs")
