"""The pictures with the largest loss, with masks or boxes drawn: what was asked for beside what the network gives."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from deepwright.checks.quality.samples import name_of
from deepwright.checks.subjects.subject import Subject
from deepwright.core.boxes import Detections
from deepwright.core.pictures import Strip, strips
from deepwright.core.results import Figure
from deepwright.core.tasks import Detection, Segmentation

_ROWS, _NAMED = 4, 3  # pictures; objects named in a caption
_SIDE = 112  # pixels of the longer side on which masks and boxes are drawn, so that thin lines last
_MIXED = 0.6  # of the class's colour over the picture
COLORS = {
    "blue": (37, 99, 235),
    "orange": (245, 158, 11),
    "green": (5, 150, 105),
    "red": (220, 38, 38),
    "violet": (168, 85, 247),
    "cyan": (34, 211, 238),
    "pink": (244, 114, 182),
    "lime": (163, 230, 53),
}
"""Of classes, by a name that a reader knows; more classes are grey."""
_GREY, _ASIDE, _WRONG = (128, 128, 128), (0, 0, 0), (220, 38, 38)


def worst_pictures(subject: Subject, order: list[int]) -> list[Figure]:
    """The first of the order, one a row: the picture, the target and the output; none without masks or boxes.

    Args:
        subject: of any task.
        order: of the test samples, largest loss first.
    """
    data, task = subject.data, subject.task
    if data.kind != "image" or len(data.shape) != 3 or not isinstance(task, Segmentation | Detection) or not order:
        return []
    if isinstance(task, Segmentation) and data.test.y.ndim != 3:
        return []
    rows = order[:_ROWS]
    images = [_shown(image) for image in data.test.inputs(torch.tensor(rows)).float().cpu()]
    names = [f"test sample {name}" if (name := name_of(data.test, i)).isdecimal() else name for i in rows]
    if isinstance(task, Segmentation):
        drawn, note = _masks(subject, task, rows, images, names)
    else:
        drawn, note = _boxes(subject, task, rows, images, names)
    return [strips("The test pictures with the largest loss", drawn, note=note)]


def _shown(image: Tensor) -> Tensor:
    """(3, h, w) with a longer side of `_SIDE`; of other numbers of channels the first, as grey."""
    image = image.nan_to_num(0.0).clamp(0, 1)
    image = image if len(image) == 3 else image[:1].expand(3, -1, -1)
    size = _size(image.shape[-2:])
    if max(image.shape[-2:]) > _SIDE:
        return interpolate(image[None], size, mode="area")[0]
    return interpolate(image[None], size, mode="nearest-exact")[0]


def _size(shape: Any) -> list[int]:
    h, w = shape
    return [max(1, round(side * _SIDE / max(h, w))) for side in (h, w)]


def _color(rgb: tuple[int, int, int]) -> Tensor:
    return torch.tensor(rgb).float()[:, None, None] / 255


def _palette(classes: Tensor) -> dict[int, str]:
    """A colour for each of the commonest of these classes."""
    found, counts = classes.unique(return_counts=True)
    commonest = found[counts.argsort(descending=True, stable=True)][: len(COLORS)].sort().values
    return dict(zip(commonest.tolist(), COLORS, strict=False))


def _legend(subject: Subject, colors: dict[int, str], classes: Tensor) -> str:
    words = [f"{color} {subject.class_names[k]}" for k, color in colors.items()]
    return f"{', '.join(words)}{', grey the others' if len(classes.unique()) > len(colors) else ''}"


def _masks(
    subject: Subject, task: Segmentation, rows: list[int], images: list[Tensor], names: list[str]
) -> tuple[list[Strip], str]:
    """The picture, the target's and the output's classes over it, and where they differ."""
    y = subject.data.test.y[rows].cpu()
    called = task.prediction(subject.outputs()[rows]).cpu()
    if called.shape != y.shape:
        called = interpolate(called[:, None].double(), y.shape[-2:], mode="nearest-exact")[:, 0].long()
    counts = torch.ones_like(y, dtype=torch.bool) if task.ignore_index is None else y != task.ignore_index
    classes = torch.cat([y[counts], called.flatten()])
    colors, drawn = _palette(classes), []
    for i, (image, name) in enumerate(zip(images, names, strict=True)):
        wrong = (called[i] != y[i]) & counts[i]
        share = float(wrong.sum()) / max(1, int(counts[i].sum()))
        red = torch.where(_fit(wrong, image), _color(_WRONG), 0.4 * image.mean(0))
        pictures = [image, _over(image, y[i], colors, counts[i]), _over(image, called[i], colors), red]
        drawn.append(Strip("", torch.stack(pictures), [name, "target", "output", f"wrong: {share:.1%}"]))
    aside = "" if bool(counts.all()) else ", black what does not count"
    legend = f"Colours: {_legend(subject, colors, classes)}{aside}."
    return drawn, f"{legend} The last of a row shows the wrong pixels in red."


def mask_strips(
    subject: Subject, task: Segmentation, rows: list[int], heat: Tensor, words: list[str]
) -> tuple[list[Strip], str] | None:
    """Rows of picture, target, output and a heat map in red; None for what isn't pictures with label maps.

    Args:
        subject: of a segmentation.
        task: its own.
        rows: of the test samples.
        heat: (rows, H, W) in [0, 1].
        words: under each heat map.
    """
    data = subject.data
    if data.kind not in ("image", "segmentation") or len(data.shape) != 3 or data.test.y.ndim != 3:
        return None
    images = [_shown(image) for image in data.test.inputs(torch.tensor(rows)).float().cpu()]
    names = [f"test sample {name}" if (name := name_of(data.test, i)).isdecimal() else name for i in rows]
    drawn, note = _masks(subject, task, rows, images, names)
    shown = []
    for strip, image, hot, word in zip(drawn, images, heat, words, strict=True):
        share = interpolate(hot[None, None], image.shape[-2:], mode="nearest-exact")[0]
        red = share * _color(_WRONG) + (1 - share) * 0.4 * image.mean(0)
        shown.append(Strip("", torch.cat([strip.images[:3], red[None]]), [*strip.captions[:3], word]))
    legend = note.removesuffix(" The last of a row shows the wrong pixels in red.")
    return shown, f"{legend} The last of a row shows in red where neighbours contradict the order."


def _fit(mask: Tensor, image: Tensor) -> Tensor:
    size = image.shape[-2:]
    return interpolate(mask[None, None].double(), size, mode="nearest-exact")[0, 0].to(mask.dtype)


def _over(image: Tensor, mask: Tensor, colors: dict[int, str], counts: Tensor | None = None) -> Tensor:
    mask, painted = _fit(mask, image), _color(_GREY).expand_as(image)
    for k, color in colors.items():
        painted = torch.where(mask == k, _color(COLORS[color]), painted)
    mixed = _MIXED * painted + (1 - _MIXED) * image.mean(0)  # grey: the picture's own colours are no classes
    return mixed if counts is None else torch.where(_fit(counts, image), mixed, _color(_ASIDE))


def _boxes(
    subject: Subject, task: Detection, rows: list[int], images: list[Tensor], names: list[str]
) -> tuple[list[Strip], str]:
    """The picture, the true boxes on it, and those that are claimed."""
    picked = torch.tensor(rows)
    truth, claimed = subject.data.test.y[picked], task.prediction(subject.outputs()[picked])
    classes = torch.cat([d.labels.cpu() for d in (*truth, *claimed)])
    colors, drawn = _palette(classes), []
    height, width = subject.data.shape[-2:]
    for image, name, true, said in zip(images, names, truth, claimed, strict=True):
        scale = image.shape[-1] / width, image.shape[-2] / height
        pictures = [image, _framed(image, true, colors, scale), _framed(image, said, colors, scale)]
        captions = [name, f"target: {_named(subject, true)}", f"output: {_named(subject, said)}"]
        drawn.append(Strip("", torch.stack(pictures), captions))
    legend = f"Colours: {_legend(subject, colors, classes)}. " if len(classes) else ""
    return drawn, f"{legend}Detections are drawn from a score of {task.score_threshold:g}."


def _framed(image: Tensor, boxes: Detections, colors: dict[int, str], scale: tuple[float, float]) -> Tensor:
    """Frames two pixels wide, the surest last."""
    image, (h, w) = image.clone(), image.shape[-2:]
    order = range(len(boxes)) if boxes.scores is None else boxes.scores.argsort().tolist()
    for i in order:
        x0, y0, x1, y1 = (v * scale[k % 2] for k, v in enumerate(boxes.boxes[i].double().tolist()))
        left, top = (max(0, min(round(v), end - 1)) for v, end in ((x0, w), (y0, h)))
        right, bottom = (max(low + 1, min(round(v), end)) for v, low, end in ((x1, left, w), (y1, top, h)))
        color = _color(COLORS[colors[k]] if (k := int(boxes.labels[i])) in colors else _GREY)
        for area in (
            image[:, top : top + 2, left:right],
            image[:, max(top, bottom - 2) : bottom, left:right],
            image[:, top:bottom, left : left + 2],
            image[:, top:bottom, max(left, right - 2) : right],
        ):
            area[:] = color
    return image


def _named(subject: Subject, boxes: Detections) -> str:
    if not len(boxes):
        return "nothing"
    order = range(len(boxes)) if boxes.scores is None else boxes.scores.argsort(descending=True).tolist()
    words = [
        subject.class_names[int(boxes.labels[i])] + ("" if boxes.scores is None else f" ({float(boxes.scores[i]):.0%})")
        for i in order
    ]
    return ", ".join(words[:_NAMED]) + (f" and {len(words) - _NAMED} more" if len(words) > _NAMED else "")
