"""Perturbations by name, in chains, and a whole suite on a network with its mean corruption error."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from deepwright.core.errors import InputError, unknown_name
from deepwright.core.randomness import derive_seed
from deepwright.core.tasks import Task
from deepwright.corruptions.cells import AnyPerturbation
from deepwright.corruptions.dynamic.sensor import SENSOR
from deepwright.corruptions.engine import Perturbation, to_numpy_batch
from deepwright.corruptions.evaluation import evaluate_on
from deepwright.corruptions.guided.perturbation import Guided
from deepwright.corruptions.levels import severities_of
from deepwright.corruptions.overlays.laying import DYNAMIC_OVERLAYS, OVERLAYS
from deepwright.corruptions.results import CorruptionReport
from deepwright.corruptions.sample_errors import ErrorOf
from deepwright.corruptions.series import SeriesPerturbation
from deepwright.corruptions.static.blur import BLUR
from deepwright.corruptions.static.codec import CODEC
from deepwright.corruptions.static.geometry import GEOMETRY
from deepwright.corruptions.static.noise import NOISE, NOISE_VARIANTS
from deepwright.corruptions.static.occlusion import OCCLUSION
from deepwright.corruptions.static.tone import TONE
from deepwright.corruptions.static.weather import WEATHER
from deepwright.corruptions.tables import TABLES, TablePerturbation
from deepwright.corruptions.text import TEXTS, TextPerturbation

_KINDS = (Perturbation, Guided, TablePerturbation, SeriesPerturbation, TextPerturbation)
# Of single pictures, and of films (on a picture, as at frame 0).
ALL: tuple[Perturbation, ...] = NOISE + BLUR + TONE + GEOMETRY + OCCLUSION + CODEC + WEATHER + OVERLAYS
DYNAMIC: tuple[Perturbation, ...] = DYNAMIC_OVERLAYS + SENSOR
_KNOWN = ALL + DYNAMIC + NOISE_VARIANTS

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
    """All perturbations, or those of a category.

    Args:
        category: "noise", "blur", "tone", "geometry", "occlusion", "codec", "weather" or "overlay"; of films "dynamic"
            (overlays that move) or "sensor".
    """
    categories = sorted({p.category for p in _KNOWN})
    if category is not None and category not in categories:
        raise unknown_name("category", category, categories)
    return [p.name for p in _KNOWN if category in (None, p.category)]


def get(name: str) -> Perturbation:
    """A perturbation by name.

    Args:
        name: one of `names()`.

    Raises:
        InputError: an unknown name; near ones are told.
    """
    for perturbation in _KNOWN:
        if perturbation.name == name:
            return perturbation
    raise unknown_name("perturbation", name, names())


def apply(
    x: Tensor | np.ndarray, name: str, severity: float | Tensor, seed: int = 0, t: float | None = None, **options: Any
) -> Tensor | np.ndarray:
    """Perturb tensors (N, C, H, W) or (C, H, W), or one uint8 array (H, W, C) or (H, W); the same type comes back.

    Args:
        x: floats in [0, 1], or uint8.
        name: of the perturbation.
        severity: 0..5, or (N,) of them; between two levels where the perturbation has something there.
        seed: of the streams.
        t: time step, part of the streams; the frame of what moves.
        **options: ids, reference_height, literal, backend; see `Perturbation.__call__`.

    Raises:
        InputError: an unknown name (near ones are told), and what `Perturbation.__call__` refuses.
    """
    if isinstance(x, np.ndarray):
        out = get(name)(to_numpy_batch(x), severity, seed, t, **options)[0].permute(1, 2, 0).numpy()
        return out[:, :, 0] if x.ndim == 2 else out
    return get(name)(x, severity, seed, t, **options)


class Compose(nn.Module):
    """Several perturbations in a row, each at its severity: a module for augmentation or for `through=`.

    In train mode it counts the images that it has seen: each draws numbers of its own, batch after batch. In eval mode
    (as in `through=` of an attack, which needs the same answer twice) an image's numbers hang on its place in the batch
    only, or on `ids`. A perturbation that stands in the row twice draws anew.

    Args:
        steps: (name or perturbation of pictures, severity), in order; severities as `Perturbation` takes them.
        seed: of the streams.
    """

    def __init__(self, steps: Sequence[tuple[str | Perturbation | Guided, float]], seed: int = 0) -> None:
        super().__init__()
        if isinstance(steps, str) or not isinstance(steps, Sequence) or not all(map(_is_step, steps)):
            hint = 'Compose([("pixelate", 2)])'
            raise InputError("steps", given=repr(steps), expected="pairs (name, severity), severities 0..5", hint=hint)
        self.steps = [(get(p) if isinstance(p, str) else p, severity) for p, severity in steps]
        for perturbation, severity in self.steps:
            severities_of(severity, 1, perturbation.least)
        self.seed, self.seen = seed, 0

    def forward(self, x: Tensor, ids: Tensor | None = None) -> Tensor:
        """Perturbed images.

        Args:
            x: (N, C, H, W) or (C, H, W), floats in [0, 1] or uint8.
            ids: (N,) identity of each image; by default its number among those seen (in eval mode in the batch).
        """
        n = 1 if x.ndim == 3 else len(x)
        if ids is None and self.training:
            ids = torch.arange(self.seen, self.seen + n)
            self.seen += n
        repeats: Counter[str] = Counter()
        for perturbation, severity in self.steps:
            again = repeats[perturbation.name]
            repeats[perturbation.name] += 1
            seed = derive_seed("step", again, seed=self.seed) if again else self.seed
            x = perturbation(x, severity, seed, ids=ids)
        return x

    def get_extra_state(self) -> int:
        """Images seen, so that training goes on with fresh numbers from a checkpoint."""
        return self.seen

    def set_extra_state(self, state: int) -> None:
        """Go on from there.

        Args:
            state: images seen.
        """
        self.seen = int(state)


def _is_step(step: Any) -> bool:
    """Whether it is (name or perturbation, severity)."""
    pair = isinstance(step, tuple | list) and len(step) == 2 and isinstance(step[0], str | Perturbation | Guided)
    return pair and isinstance(step[1], int | float) and not isinstance(step[1], bool) and 0 <= step[1] <= 5


def _require_each_once(what: str, values: Sequence[Any]) -> None:
    twice = [value for value, count in Counter(values).items() if count > 1]
    if twice or not values:
        given = f"{', '.join(map(str, twice))} twice" if twice else "none"
        raise InputError(what, given=given, expected="at least one, each once")


class Suite:
    """A set of perturbations and severities.

    Args:
        which: "all", "imagenet-c", "label_preserving", a category, or names; "tables" for rows of features, "texts" for
            code points; or perturbations themselves, as `series_in_units` gives them.
        severities: of 1..5.
        seed: of the streams.
    """

    def __init__(
        self,
        which: str | Sequence[str | AnyPerturbation] = "all",
        severities: Sequence[int] = (1, 2, 3, 4, 5),
        seed: int = 0,
    ) -> None:
        chosen: list[Any]
        if which == "tables":
            chosen = list(TABLES)
        elif which == "texts":
            chosen = list(TEXTS)
        elif which == "all":
            chosen = list(ALL)
        elif which == "imagenet-c":
            chosen = [get(name) for name in IMAGENET_C]
        elif which == "label_preserving":
            chosen = [p for p in ALL if p.label_preserving]
        elif isinstance(which, str):
            chosen = [get(name) for name in names(which)]
        elif isinstance(which, Sequence) and all(isinstance(each, (str, *_KINDS)) for each in which):
            chosen = [get(each) if isinstance(each, str) else each for each in which]
        else:
            raise InputError(
                "which", given=repr(which), expected="a name of a set, or a list of names of perturbations"
            )
        _require_each_once("perturbations", [p.name for p in chosen])
        whole = isinstance(severities, Sequence) and all(type(s) is int and 1 <= s <= 5 for s in severities)
        if not whole:
            raise InputError("severities", given=repr(severities), expected="whole numbers of 1..5, as (1, 3, 5)")
        _require_each_once("severities", severities)
        self.perturbations, self.severities, self.seed = chosen, tuple(severities), seed

    def evaluate(
        self,
        model: nn.Module,
        batches: Iterable[tuple[Any, Any]],
        wrong: Callable[[Any, Any], Tensor] | None = None,
        *,
        task: Task | None = None,
        measure: str = "score",
        keep_targets: bool = False,
        headline: bool = False,
        checkpoint: Path | str | None = None,
        baseline: nn.Module | None = None,
        description: str = "corruptions",
    ) -> CorruptionReport:
        """Errors of a network (on pixels in [0, 1]) on perturbed images.

        Where things are matters to some tasks. Under perturbations that move pixels, the label maps of `Segmentation`
        move along, and what comes into view from outside gets its `ignore_index`; so do the boxes of `Detection`, of
        which those are gone that are hardly in view any more. Tasks with numbers as targets (`Regression`) leave those
        out that aren't `label_preserving`. `skipped` of the report says so.

        Args:
            model: left as found.
            batches: (images, targets).
            wrong: (outputs, targets) -> error of each sample in [0, 1], in place of a task; targets are taken as they
                are, and no perturbation is left out.
            task: what outputs and targets mean; by default the class with the largest of (N, classes) outputs.
            measure: "score" takes 1 - `task.score` as a sample's error (the share of its pixels, labels or objects that
                are wrong), "right" takes 1 where `task.right` is False.
            keep_targets: take the targets as they are, whatever moves, and leave nothing out.
            headline: measure the task's headline metric beside the errors, over all samples of a cell together.
            checkpoint: JSON lines, one finished cell each; an interrupted run resumes. Another model, baseline, image,
                target, task, `wrong`, option, seed or set of perturbations is an error that says which.
            baseline: a network whose errors on the same perturbed images are the reference of the mean corruption
                error.
            description: beside the bar.

        Raises:
            InputError: targets that aren't the task's; outputs that the task can't read, or on clean images ones that
                aren't finite (on a perturbed one they count as wrong); no perturbation that can be measured.
        """
        return evaluate_on(
            self.perturbations,
            self.severities,
            self.seed,
            model,
            batches,
            ErrorOf(task, measure, wrong, keep_targets, headline),
            checkpoint=checkpoint,
            baseline=baseline,
            description=description,
        )
