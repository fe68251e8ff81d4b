"""How much is missing of each object, and how little hides it: by halving, for all objects at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from deepwright.adversarial.patches.assembling import overlapped
from deepwright.adversarial.patches.attenuation import SAAP
from deepwright.adversarial.patches.objectives import REACH
from deepwright.adversarial.patches.regions import Boxes, box_rows, level_boxes
from deepwright.adversarial.patches.rendering import Pixels
from deepwright.adversarial.patches.requiring import candidates_of, require_amplitudes, require_candidates
from deepwright.core.devices import back_to, device_of, dtype_of
from deepwright.core.errors import InputError
from deepwright.core.inference import frozen
from deepwright.core.requirements import require_whole, require_within


def smallest_shares(
    attack: SAAP,
    detector: nn.Module,
    images: Float[Tensor, "n c h w"],
    boxes: Boxes,
    *,
    halvings: int = 5,
    most: float = 1.0,
) -> list[Float[Tensor, " k"]]:
    """Of each image and object the smallest share at which the attack was seen to hide it.

    An upper bound: an attack that fails says nothing of others. Infinite where nothing up to `most` hides it, 0 where
    no detection overlaps it to begin with.

    Args:
        attack: whose `tau` is overridden.
        detector: gives candidates, or an `SSD`.
        images: as for a call of the attack.
        boxes: likewise.
        halvings: of the bracket (0, most]; the answer is that much over 2 to their number too large at most.
        most: the largest share that is tried.

    Raises:
        InputError: as for a call of the attack.
    """

    def hides(shares: list[Tensor]) -> list[Tensor]:
        found = attack(detector, images, boxes, tau=shares)
        return [hidden.cpu() for hidden in found.hidden]

    return _halved(hides, attack, detector, images, boxes, halvings, most)


def constant_shares(
    attack: SAAP,
    detector: nn.Module,
    images: Float[Tensor, "n c h w"],
    boxes: Boxes,
    *,
    halvings: int = 5,
    most: float = 1.0,
) -> list[Float[Tensor, " k"]]:
    """The same of attenuation that takes the same share of each pixel: what any absorber does.

    Args:
        attack: says how candidates are read, and in which range images are.
        detector: gives candidates, or an `SSD`.
        images: as for a call of the attack.
        boxes: likewise.
        halvings: of the bracket.
        most: the largest share that is tried.
    """

    def hides(shares: list[Tensor]) -> list[Tensor]:
        moved = shown.render(torch.cat(shares)[:, None].to(shown.cap) * shown.cap)
        seen = _touched(attack, detector, moved, rows)
        return [b & ~t for b, t in zip(before, seen)]

    require_amplitudes(images, attack.bounds)
    rows = box_rows(boxes, len(images))
    shown = Pixels.at(images, [r.to(images.device) for r in rows], attack.bounds[0])
    before = _touched(attack, detector, images, rows)
    return _halved(hides, attack, detector, images, boxes, halvings, most)


def _halved(
    hides: Callable[[list[Tensor]], list[Tensor]],
    attack: SAAP,
    detector: nn.Module,
    images: Tensor,
    boxes: Any,
    halvings: int,
    most: float,
) -> list[Tensor]:
    require_whole(1, halvings=halvings)
    require_within(0, 1, ends="(]", most=most)
    rows = box_rows(boxes, len(images))
    before = torch.cat(_touched(attack, detector, images, rows))
    counts = [len(r) for r in rows]
    low, high = torch.zeros(sum(counts)), torch.full((sum(counts),), float(most))
    reached = torch.cat(hides(list(high.split(counts)))) & before
    for _ in range(halvings):
        middle = (low + high) / 2
        hidden = torch.cat(hides(list(middle.split(counts))))
        reached |= hidden & before
        low, high = torch.where(hidden, low, middle), torch.where(hidden, middle, high)
    found = torch.where(reached, high, torch.inf)
    return [back_to(t, images) for t in torch.where(before, found, 0.0).split(counts)]


def _touched(attack: SAAP, detector: nn.Module, images: Tensor, rows: Sequence[Tensor]) -> list[Tensor]:
    """Whether some claimed detection overlaps each object."""
    network = candidates_of(detector)
    found: list[Tensor] = []
    with frozen(network), torch.no_grad():
        for start in range(0, len(images), attack.batch_size):
            part = slice(start, start + attack.batch_size)
            x = images[part].to(device_of(network), dtype_of(network))
            candidates = attack.task.read(network(x), len(x), strict=False)
            require_candidates(candidates)
            claims = attack.task.prediction(candidates)
            own = list(rows[part])
            level = level_boxes(own, x.shape[2], x.shape[3]).to(x).split([len(r) for r in own])
            found += [t.cpu() for t in overlapped(attack.task, claims, list(level), REACH)]
    return found


def energy_shares(
    images: Float[Tensor, "n c h w"],
    shown: Float[Tensor, "shown c h w"],
    boxes: Boxes,
    *,
    bounds: tuple[float, float] = (0.0, 1.0),
) -> tuple[list[Float[Tensor, " k"]], list[Float[Tensor, " k"]]]:
    """Of each image and object the share of its amplitude, and of its power, that is missing; negative where it grew.

    By the two pictures alone, so that any attack can be held to its word: amplitudes count on the pixels that an object
    owns, the first box that covers them. Objects without amplitude have 0.

    Args:
        images: as they were, within `bounds`.
        shown: as they are shown.
        boxes: of each image, as for `SAAP`.
        bounds: range of pixels; amplitudes count from its lower end.

    Raises:
        InputError: pictures of other shapes, outside their range, boxes that can't be read.
    """
    require_amplitudes(images, bounds)
    if tuple(shown.shape) != tuple(images.shape):
        raise InputError("shown", given=f"shape {tuple(shown.shape)}", expected=str(tuple(images.shape)))
    rows = [r.to(images.device) for r in box_rows(boxes, len(images))]
    owned = Pixels.at(images.double(), rows, bounds[0])
    grey = shown.double()[:, : owned.regions.size // (images.shape[2] * images.shape[3])]
    left = owned.regions.values(grey - bounds[0])

    def missing(before: Tensor, after: Tensor) -> list[Tensor]:
        whole = before.sum(1)
        share = torch.where(whole > 0, 1 - after.sum(1) / whole.clamp_min(1e-30), 0.0)
        return list(share.to(images.dtype).split([len(r) for r in rows]))

    return missing(owned.cap, left), missing(owned.cap.square(), left.square())
