"""Scenes of several sizes attacked with one call: each size by itself, or all padded to one; none is resized."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Bool
from torch import Tensor, nn
from torch.nn import functional as F

from deepwright.adversarial.patches.attenuation import SAAP
from deepwright.adversarial.patches.regions import Boxes, box_rows
from deepwright.adversarial.patches.requiring import candidates_of
from deepwright.adversarial.patches.results import PatchResult
from deepwright.core.devices import device_of
from deepwright.core.errors import InputError
from deepwright.core.inference import frozen


@dataclass
class SceneResults:
    """Attacked scenes of several sizes, in the order in which they were given; what isn't said is as in `PatchResult`.

    Attributes:
        images: (C, h, w) each.
        boxes: of each scene.
        patches: of each scene and object.
        corners: of each scene.
        energy_share: of each scene.
        power_share: of each scene.
        detected_before: of each scene.
        detected_after: of each scene.
        hidden: of each scene.
        steps: (N,) until each scene left.
        seconds: of all.
        flags: by size (height, width), as the attack of that size gives them.
    """

    images: list[Tensor]
    boxes: list[Tensor]
    patches: list[list[Tensor]]
    corners: list[Tensor]
    energy_share: list[Tensor]
    power_share: list[Tensor]
    detected_before: list[Bool[Tensor, " k"]]
    detected_after: list[Bool[Tensor, " k"]]
    hidden: list[Bool[Tensor, " k"]]
    steps: Tensor
    seconds: float = 0.0
    flags: dict[tuple[int, int], dict[str, float]] = field(default_factory=dict)

    @property
    def success_rate(self) -> float:
        """Share of the objects found before that no detection overlaps now; NaN where none was found."""
        before = torch.cat(self.detected_before)
        return float(torch.cat(self.hidden)[before].double().mean()) if bool(before.any()) else float("nan")


_ROWS = (
    *("boxes", "patches", "corners", "energy_share", "power_share"),
    *("detected_before", "detected_after", "hidden"),
)


def attack_scenes(
    attack: SAAP,
    detector: nn.Module,
    scenes: Sequence[Tensor],
    boxes: Boxes | None = None,
    *,
    size: tuple[int, int] | None = None,
    tau: float | Sequence[Tensor] | None = None,
    checkpoint: Path | str | None = None,
) -> SceneResults:
    """Attack scenes of several sizes.

    A detector that takes any size sees each scene as it is. One of a single size sees it at the upper left of a larger
    picture, without amplitude beyond it: where nothing is, nothing can be taken, and what it claims there is no object.

    Args:
        attack: the options; without a receiver.
        detector: as `SAAP` takes it.
        scenes: (C, h, w) amplitudes within the attack's bounds.
        boxes: of each scene, in its own pixels; None for what the detector claims.
        size: (height, width) to which scenes are padded at the bottom and the right; None attacks each size by itself.
        tau: as `SAAP` takes it.
        checkpoint: as `SAAP` takes it.

    Returns:
        Results in the order of the scenes, of their own sizes. A scene's random numbers hang on its place in the list.

    Raises:
        InputError: no scenes, scenes of several channels or dtypes, larger ones than `size`; what `SAAP` refuses.
    """
    if not isinstance(attack, SAAP) or attack.physical is not None:
        given = type(attack).__name__ if not isinstance(attack, SAAP) else "one behind a receiver"
        raise InputError("attack", given=given, expected="a SAAP without physical=PSF(...)")
    groups = _groups(scenes, size)
    rows = None if boxes is None else box_rows(boxes, len(scenes))
    results: list[tuple[PatchResult, int] | None] = [None] * len(scenes)
    seconds = 0.0
    flags: dict[tuple[int, int], dict[str, float]] = {}
    for shape, members in groups.items():
        images = torch.stack([_padded(scenes[i], shape, attack.bounds[0]) for i in members])
        own = _claimed(attack, detector, images, [scenes[i] for i in members]) if rows is None else None
        found = attack(
            detector,
            images,
            [rows[i] for i in members] if rows is not None else own,
            ids=torch.tensor(members),
            tau=[tau[i] for i in members] if isinstance(tau, Sequence) else tau,
            checkpoint=checkpoint,
        )
        seconds, flags[shape] = seconds + found.seconds, found.flags
        for place, i in enumerate(members):
            results[i] = found, place
    placed = [row for row in results if row is not None]
    lists: dict[str, Any] = {name: [getattr(found, name)[place] for found, place in placed] for name in _ROWS}
    images_ = [found.images[place, :, : s.shape[1], : s.shape[2]] for (found, place), s in zip(placed, scenes)]
    steps = torch.stack([found.steps[place] for found, place in placed])
    return SceneResults(images_, **lists, steps=steps, seconds=seconds, flags=flags)


def _groups(scenes: Sequence[Tensor], size: tuple[int, int] | None) -> dict[tuple[int, int], list[int]]:
    """Size as the detector sees it -> the scenes of it."""
    expected = "a list of scenes (channels, height, width)"
    if isinstance(scenes, Tensor | str) or not isinstance(scenes, Sequence) or not scenes:
        given = f"shape {tuple(scenes.shape)}" if isinstance(scenes, Tensor) else repr(scenes)[:40]
        raise InputError("scenes", given=given, expected=expected)
    groups: dict[tuple[int, int], list[int]] = {}
    for i, scene in enumerate(scenes):
        if not isinstance(scene, Tensor) or scene.ndim != 3:
            given = f"shape {tuple(scene.shape)}" if isinstance(scene, Tensor) else type(scene).__name__
            raise InputError(f"scene {i}", given=given, expected="(channels, height, width)")
        if (scene.shape[0], scene.dtype) != (scenes[0].shape[0], scenes[0].dtype):
            given = f"{scene.shape[0]} channels, {scene.dtype}"
            raise InputError(f"scene {i}", given=given, expected=f"{scenes[0].shape[0]} channels, {scenes[0].dtype}")
        shape = (scene.shape[1], scene.shape[2])
        if size is not None and (shape[0] > size[0] or shape[1] > size[1]):
            raise InputError(f"scene {i}", given=f"{shape[0]} x {shape[1]}", expected=f"up to {size[0]} x {size[1]}")
        groups.setdefault(shape if size is None else (size[0], size[1]), []).append(i)
    return groups


def _padded(scene: Tensor, shape: tuple[int, int], value: float) -> Tensor:
    return F.pad(scene, (0, shape[1] - scene.shape[2], 0, shape[0] - scene.shape[1]), value=value)


def _claimed(attack: SAAP, detector: nn.Module, images: Tensor, scenes: Sequence[Tensor]) -> list[Tensor]:
    """What the detector claims within each scene, cut at its edge."""
    network = candidates_of(detector)
    with frozen(network):
        found = [attack.claimed(network, part.to(device_of(network))) for part in images.split(attack.batch_size)]
    rows = []
    for boxes, scene in zip((b.cpu() for part in found for b in part), scenes):
        limit = boxes.new_tensor([scene.shape[2], scene.shape[1]]).repeat(2)
        cut = boxes.minimum(limit).clamp_min(0)
        rows.append(cut[(cut[:, 2:] > cut[:, :2]).all(1)])
    return rows
