"""From amounts a row to images, patches, shares and what is still detected."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Bool
from torch import Tensor, nn

from deepwright.adversarial.patches.energy import rounded_down
from deepwright.adversarial.patches.objectives import REACH
from deepwright.adversarial.patches.regions import level_boxes
from deepwright.adversarial.patches.rendering import Cells
from deepwright.adversarial.patches.requiring import dark_boxes
from deepwright.adversarial.patches.results import PatchResult
from deepwright.core.boxes import box_iou
from deepwright.core.devices import back_to
from deepwright.core.tasks import CandidateDetection, DetectionBatch


def assembled(
    attack: Any, detector: nn.Module, x: Tensor, own: list[Tensor], scene: Tensor | None, found: dict[str, Tensor]
) -> PatchResult:
    """The result of one batch.

    Args:
        attack: whose options count.
        detector: gives candidates.
        x: images, in the working precision.
        own: boxes of each image.
        scene: complex fields, or None.
        found: what the search gave.
    """
    shown = attack.shown(x, own, scene)
    regions, taken = shown.regions, attack.amounts(found["taken"], shown)
    if attack.levels is not None:
        unit = (attack.bounds[1] - attack.bounds[0]) / attack.levels
        taken = (rounded_down(taken / unit, regions.valid, taken.double().sum(1) / unit) * unit).minimum(shown.cap)
    with torch.no_grad():
        images = shown.render(taken)
        if attack.levels is not None:
            low, span = attack.bounds[0], attack.bounds[1] - attack.bounds[0]
            images = ((images - low) / span * attack.levels).round() / attack.levels * span + low
            images = torch.where(shown.render(torch.ones_like(taken)) != x, images, x)
        before, after = (attack.task.prediction(attack.candidates(detector, each)) for each in (x, images))
    full = shown.full if isinstance(shown, Cells) else shown.cap
    whole = full.double().sum(1)
    left = (full - taken).double()
    power = full.double().square().sum(1)
    there = whole > 0
    energy = torch.where(there, taken.double().sum(1) / whole.clamp_min(1e-30), 0.0)
    squared = torch.where(there, 1 - left.square().sum(1) / power.clamp_min(1e-30), 0.0)
    counts = [len(o) for o in own]
    level = level_boxes(own, x.shape[2], x.shape[3])
    corners = torch.cat([level[:, :2].floor(), level[:, 2:].ceil()], 1).long().split(counts)
    missing = (x - images).to(x.dtype)
    patches = [
        [missing[i, :, y1:y2, x1:x2].clone() for x1, y1, x2, y2 in rows.tolist()] for i, rows in enumerate(corners)
    ]
    boxes = list(level.split(counts))
    seen = overlapped(attack.task, before, boxes, attack.task.iou)
    touched_before, touched = (overlapped(attack.task, out, boxes, REACH) for out in (before, after))
    pixels = regions.valid.any(1)
    dark = dark_boxes(x, full, regions.valid, regions.image) if scene is None and len(full) else torch.zeros(0)
    objects = max(1, len(full))
    flags = {
        "nothing_detected": float((~torch.cat(seen)).sum()) / objects if counts else 0.0,
        "no_pixels": float((~pixels).sum()) / objects,
        "no_amplitude": float((pixels & ~there).sum()) / objects,
        "dark_boxes": float(dark.sum()) / objects,
        "no_gradient": float((found["flat"] & torch.tensor([c > 0 for c in counts], device=x.device)).double().mean()),
        "not_finite": float(found["broken"].double().mean()),
    }
    return PatchResult(
        images,
        boxes,
        patches,
        [rows[:, :2] for rows in corners],
        list(energy.split(counts)),
        list(squared.split(counts)),
        seen,
        overlapped(attack.task, after, boxes, attack.task.iou),
        [b & ~t for b, t in zip(touched_before, touched)],
        found["trace"],
        found["steps"],
        transmission=shown.transmission(taken) if isinstance(shown, Cells) else None,
        flags=flags,
    )


def overlapped(
    task: CandidateDetection, claims: DetectionBatch, boxes: list[Tensor], least: float
) -> list[Bool[Tensor, " k"]]:
    """Whether some claimed detection overlaps each box.

    Args:
        task: unused but for its kind.
        claims: of each image.
        boxes: of each image.
        least: the overlap.
    """
    return [(box_iou(own.to(d.boxes), d.boxes) >= least).any(1) for d, own in zip(claims, boxes)]


def joined(parts: list[PatchResult], images: Tensor) -> PatchResult:
    """Batches as one, where the images are.

    Args:
        parts: of the batches, in order.
        images: as they were given.
    """
    first = parts[0]

    def rows(name: str) -> list[Any]:
        return [back_to(row, images) for part in parts for row in getattr(part, name)]

    sizes = [len(p.images) for p in parts]
    weights = {name: [len(torch.cat(p.boxes)) if p.boxes else 0 for p in parts] for name in first.flags}
    weights |= {"no_gradient": sizes, "not_finite": sizes}
    flags = {
        name: sum(p.flags[name] * w for p, w in zip(parts, weights[name])) / max(1, sum(weights[name]))
        for name in first.flags
    }
    shown = torch.cat([p.images for p in parts])
    clear = None if first.transmission is None else torch.cat([p.transmission for p in parts])  # type: ignore[misc]
    return PatchResult(
        back_to(shown, images).to(images.dtype),
        rows("boxes"),
        [[back_to(p, images) for p in row] for part in parts for row in part.patches],
        rows("corners"),
        rows("energy_share"),
        rows("power_share"),
        rows("detected_before"),
        rows("detected_after"),
        rows("hidden"),
        back_to(torch.cat([p.loss_trace for p in parts], 1), images),
        back_to(torch.cat([p.steps for p in parts]), images),
        transmission=None if clear is None else back_to(clear, images),
        flags=flags,
    )


def packed(found: dict[str, Tensor]) -> list[dict[str, Any]]:
    """What the search gave, as plain data of each image.

    Args:
        found: of a batch.
    """
    counts = found["counts"].tolist()
    per_object = found["taken"].cpu().split(counts)
    return [
        {
            "taken": taken.tolist(),
            "trace": found["trace"][:, i].tolist(),
            "steps": int(found["steps"][i]),
            "flat": bool(found["flat"][i]),
            "broken": bool(found["broken"][i]),
            "dtype": str(taken.dtype).removeprefix("torch."),
        }
        for i, taken in enumerate(per_object)
    ]


def unpacked(rows: list[dict[str, Any]], device: torch.device) -> dict[str, Tensor]:
    """What `packed` packed.

    Args:
        rows: of each image.
        device: where it is wanted.
    """
    dtype = getattr(torch, rows[0]["dtype"])
    longest = max([1, *(len(o) for row in rows for o in row["taken"])])
    objects = [o + [0.0] * (longest - len(o)) for row in rows for o in row["taken"]]
    return {
        "taken": torch.tensor(objects, dtype=dtype, device=device).reshape(-1, longest),
        "trace": torch.tensor([row["trace"] for row in rows], dtype=dtype, device=device).T.contiguous(),
        "steps": torch.tensor([row["steps"] for row in rows], device=device),
        "flat": torch.tensor([row["flat"] for row in rows], device=device),
        "broken": torch.tensor([row["broken"] for row in rows], device=device),
        "counts": torch.tensor([len(row["taken"]) for row in rows]),
    }
