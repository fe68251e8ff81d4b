"""Perturbations by name, in chains, and a whole suite on a network with its mean corruption error."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from deepwright.core.errors import InputError, unknown_name
from deepwright.core.inference import device_of, evaluating
from deepwright.core.journal import Journal
from deepwright.core.progress import bar
from deepwright.core.results import Figure, Table
from deepwright.core.statistics import Interval, wilson
from deepwright.corruptions.engine import Perturbation, to_numpy_batch
from deepwright.corruptions.static.blur import BLUR
from deepwright.corruptions.static.codec import CODEC
from deepwright.corruptions.static.geometry import GEOMETRY
from deepwright.corruptions.static.noise import NOISE
from deepwright.corruptions.static.occlusion import OCCLUSION
from deepwright.corruptions.static.tone import TONE
from deepwright.corruptions.static.weather import WEATHER
from deepwright.corruptions.tables import TABLES, TablePerturbation

ALL: tuple[Perturbation, ...] = NOISE + BLUR + TONE + GEOMETRY + OCCLUSION + CODEC + WEATHER

# The fifteen families of ImageNet-C, by our names.
IMAGENET_C = (
    "gaussian_noise",
    "poisson_noise",
    "impulse_noise",
    "defocus_blur",
    "glass_blur",
    "motion_blur",
    "zoom_blur",
    "snow",
    "frost",
    "fog_mapping",
    "increase_brightness",
    "contrast",
    "elastic",
    "pixelate",
    "jpeg",
)


def names(category: str | None = None) -> list[str]:
    """All perturbations, or those of a category."""
    categories = sorted({p.category for p in ALL})
    if category is not None and category not in categories:
        raise unknown_name("category", category, categories)
    return [p.name for p in ALL if category in (None, p.category)]


def get(name: str) -> Perturbation:
    """A perturbation by name."""
    for perturbation in ALL:
        if perturbation.name == name:
            return perturbation
    raise unknown_name("perturbation", name, names())


def apply(
    x: Tensor | np.ndarray, name: str, severity: int | Tensor, seed: int = 0, t: int | None = None, **options: Any
) -> Tensor | np.ndarray:
    """Perturb tensors (N, C, H, W) or (C, H, W), or one uint8 array (H, W, C); the same type comes back."""
    if isinstance(x, np.ndarray):
        out = get(name)(to_numpy_batch(x), severity, seed, t, **options)[0].permute(1, 2, 0).numpy()
        return out[:, :, 0] if x.ndim == 2 else out
    return get(name)(x, severity, seed, t, **options)


class Compose(nn.Module):
    """Several perturbations in a row, each at its severity: a module for augmentation or for `through=`."""

    def __init__(self, steps: Sequence[tuple[str, int]], seed: int = 0) -> None:
        super().__init__()
        self.steps = [(get(name), severity) for name, severity in steps]
        self.seed = seed

    def forward(self, x: Tensor) -> Tensor:
        """Perturbed images."""
        for perturbation, severity in self.steps:
            x = perturbation(x, severity, self.seed)
        return x


@dataclass
class CorruptionReport:
    """Errors by perturbation and severity.

    Attributes:
        clean: error without perturbation, with its Wilson interval.
        errors: name -> error at each severity.
        mce: mean over perturbations of sum_s error / sum_s reference error (reference 1 when none was given).
        relative: mean over perturbations and severities of error / clean error.
        n: samples.
    """

    n: int
    severities: tuple[int, ...]
    clean: Interval
    errors: dict[str, list[float]]
    mce: float
    relative: float
    mean_error: Interval
    skipped: dict[str, str] = field(default_factory=dict)

    def table(self) -> Table:
        """One row a perturbation, worst first."""
        rows: list[list[Any]] = [[name, *values, sum(values) / len(values)] for name, values in self.errors.items()]
        rows.sort(key=lambda row: -float(row[-1]))
        columns = ["perturbation", *(f"severity {s}" for s in self.severities), "mean"]
        return Table(columns, rows, f"error on {self.n} samples; {self.clean.value:.3f} without perturbation")

    def figure(self) -> Figure:
        """Accuracy as a heat map."""
        order = [row[0] for row in self.table().rows]
        values = [[1 - e for e in self.errors[str(name)]] for name in order]
        series = [{"rows": order, "columns": [str(s) for s in self.severities], "values": values}]
        return Figure("heatmap", "Accuracy under each perturbation", series, "severity", "", y_range=(0.0, 1.0))


class Suite:
    """A set of perturbations and severities.

    Args:
        which: "all", "imagenet-c", "label_preserving", a category, or names; "tables" for rows of features.
        severities: of 1..5.
        seed: of the streams.
    """

    def __init__(
        self, which: str | Sequence[str] = "all", severities: Sequence[int] = (1, 2, 3, 4, 5), seed: int = 0
    ) -> None:
        chosen: list[Any]
        if which == "tables":
            chosen = list(TABLES)
        elif which == "all":
            chosen = list(ALL)
        elif which == "imagenet-c":
            chosen = [get(name) for name in IMAGENET_C]
        elif which == "label_preserving":
            chosen = [p for p in ALL if p.label_preserving]
        elif isinstance(which, str):
            chosen = [get(name) for name in names(which)]
        else:
            chosen = [get(name) for name in which]
        if not chosen or not severities or not set(severities) <= {1, 2, 3, 4, 5}:
            raise InputError(
                "Suite",
                given=f"{len(chosen)} perturbations, severities {severities}",
                expected="some of each, severities 1..5",
            )
        self.perturbations, self.severities, self.seed = chosen, tuple(severities), seed

    def evaluate(
        self,
        model: nn.Module,
        batches: Iterable[tuple[Tensor, Tensor]],
        wrong: Callable[[Tensor, Tensor], Tensor] = lambda out, y: out.argmax(1) != y,
        *,
        checkpoint: Path | str | None = None,
        baseline: nn.Module | None = None,
        description: str = "corruptions",
    ) -> CorruptionReport:
        """Errors of a network (on pixels in [0, 1]) on perturbed images.

        Args:
            model: left as found.
            batches: (images, labels).
            wrong: (outputs, labels) -> error of each sample in [0, 1].
            checkpoint: JSON lines, one finished cell each; an interrupted run resumes. Another model, baseline, image,
                label, `wrong`, seed or set of perturbations is an error that says which.
            baseline: a network whose errors on the same perturbed images are the reference of the mean corruption error.
            description: beside the bar.
        """
        data = [(x, y) for x, y in batches]
        n = sum(len(y) for _, y in data)
        if n == 0:
            raise InputError("batches", given="no samples", expected="at least one")
        models = [model] if baseline is None else [model, baseline]
        made_from = {"model": model, "baseline": baseline, "data": data, "wrong": wrong, "seed": self.seed}
        made_from["perturbations"] = self.perturbations
        log = Journal(checkpoint, made_from, kind="corruptions")

        def cell(p: Perturbation | TablePerturbation | None, s: int) -> list[float]:
            name = "clean" if p is None else f"{p.name}/{s}"
            if name not in log.rows:
                log.add(name, _errors(models, data, wrong, p, s, self.seed))
            return log.rows[name]

        cells = [(p, s) for p in self.perturbations for s in self.severities]
        channels = data[0][0].shape[1]
        skipped = {
            p.name: f"{channels} channels"
            for p in self.perturbations
            if isinstance(p, Perturbation) and channels not in (1, 3) and (p.color or p.category == "codec")
        }
        with ExitStack() as stack, bar(description, len(cells) + 1) as running:
            stack.enter_context(torch.no_grad())
            for each in models:
                stack.enter_context(evaluating(each))
            clean = cell(None, 0)[0]
            running.advance()
            for p, s in cells:
                if p.name not in skipped:
                    cell(p, s)
                running.advance(1, p.name)
        tables = [
            {
                p.name: [log.rows[f"{p.name}/{s}"][i] / n for s in self.severities]
                for p in self.perturbations
                if p.name not in skipped
            }
            for i in range(len(models))
        ]
        errors = tables[0]
        reference = [1.0] * len(self.severities)
        ratios = [
            sum(v) / max(sum(tables[1][k] if baseline is not None else reference), 1 / n) for k, v in errors.items()
        ]
        every = [e for v in errors.values() for e in v]
        mean = float(np.mean(every))
        spread = wilson(round(mean * n), n)
        base = clean / n
        return CorruptionReport(
            n,
            self.severities,
            wilson(round(clean), n),
            errors,
            float(np.mean(ratios)),
            mean / base if base > 0 else float("inf"),
            Interval(mean, min(mean, spread.low), max(mean, spread.high)),
            skipped,
        )


def _errors(
    models: list[nn.Module],
    data: list[tuple[Tensor, Tensor]],
    wrong: Callable[[Tensor, Tensor], Tensor],
    p: Perturbation | TablePerturbation | None,
    s: int,
    seed: int,
) -> list[float]:
    """Summed error of each network; every picture is perturbed once."""
    totals, start = [0.0] * len(models), 0
    for x, y in data:
        ids = torch.arange(start, start + len(x))
        moved = x if p is None else p(x, s, seed, ids=ids)
        for i, model in enumerate(models):
            device = device_of(model)
            totals[i] += float(wrong(model(moved.to(device)), y.to(device)).double().sum())
        start += len(x)
    return totals
