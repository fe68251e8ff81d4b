"""A camera that something is wrong with, frame after frame; and a whole film through it."""

from __future__ import annotations

from collections import deque

import torch
from jaxtyping import Shaped
from torch import Tensor

from deepwright.core.errors import InputError
from deepwright.corruptions.dynamic.frames import FrameFault
from deepwright.corruptions.engine import Perturbation
from deepwright.corruptions.guided.perturbation import Guided
from deepwright.corruptions.levels import described, identities, severities_of


class FaultyCamera:
    """Shows N scenes frame by frame as one that is perturbed sees them.

    Sensor noise is drawn anew for each frame, what sticks to the lens or the scene once for all of them, and what moves
    goes on with the frame.

    Example:
        >>> import torch
        >>> from deepwright.corruptions import FaultyCamera, get
        >>> camera = FaultyCamera(get("dynamic_rain"), severity=3)
        >>> [camera(torch.rand(2, 3, 32, 32)).shape for _ in range(2)]
        [torch.Size([2, 3, 32, 32]), torch.Size([2, 3, 32, 32])]

    Args:
        fault: a perturbation, or a fault of the stream (`FRAME_FAULTS`).
        severity: 0..5.
        seed: of the streams.
        ids: (N,) identity of each scene (0..N-1 by default).
        frozen: nothing changes from frame to frame: drawn once, and at the time 0. A stream has no such form.

    Raises:
        InputError: a fault that is none; a severity that it hasn't; `frozen` for a fault of the stream.
    """

    def __init__(
        self,
        fault: Perturbation | Guided | FrameFault,
        severity: float,
        seed: int = 0,
        *,
        ids: Tensor | None = None,
        frozen: bool = False,
    ) -> None:
        if not isinstance(fault, Perturbation | Guided | FrameFault):
            hint = 'get("gaussian_noise"), or one of FRAME_FAULTS'
            raise InputError("fault", given=repr(fault), expected="a perturbation or a frame fault", hint=hint)
        if frozen and isinstance(fault, FrameFault):
            raise InputError("frozen", given=f"True for {fault.name}", expected="False: it is about time alone")
        least = None if isinstance(fault, FrameFault) else fault.least
        self.severity = severities_of(severity, 1, least)[0].item()
        self.fault, self.seed, self.frozen = fault, seed, frozen
        self.start(ids)

    def start(self, ids: Tensor | None = None) -> None:
        """Begin again at frame 0.

        Args:
            ids: (N,) identity of each scene (0..N-1 by default).
        """
        self.ids, self.frame = ids, 0
        self._kept: deque[Tensor] = deque()

    def __call__(self, frames: Shaped[Tensor, "n c h w"]) -> Shaped[Tensor, "n c h w"]:
        """What is seen of the next frame.

        Args:
            frames: one of each scene, floats in [0, 1] or uint8.

        Raises:
            InputError: frames that a perturbation refuses, or of another shape than before.
        """
        if not isinstance(frames, Tensor) or frames.ndim != 4:
            raise InputError("frames", given=described(frames), expected="(N, C, H, W), one a scene")
        ids = identities(self.ids, len(frames))
        fault = self.fault
        if isinstance(fault, FrameFault):
            seen = self._streamed(fault, frames, ids)
        else:
            still = self.frozen or fault.sticks
            seen = fault(frames, self.severity, self.seed, None if still else self.frame, ids=ids)
        self.frame += 1
        return seen

    def _streamed(self, fault: FrameFault, frames: Tensor, ids: Tensor) -> Tensor:
        """The frame, or one that was seen before."""
        if self._kept and self._kept[-1].shape != frames.shape:
            given, before = tuple(frames.shape), tuple(self._kept[-1].shape)
            raise InputError("frames", given=f"shape {given}", expected=f"{before}, as before", hint="camera.start()")
        severity = int(self.severity)
        lost = fault.lost(self.frame, severity, self.seed, ids).to(frames.device)
        seen = torch.where(lost[:, None, None, None], self._kept[-1], frames) if self._kept else frames.clone()
        self._kept.append(seen)
        delay, shown = fault.delay(severity), self._kept[0]
        while len(self._kept) > max(1, delay):
            shown = self._kept.popleft()
        return (shown if delay else seen).clone()


def film(
    frames: Shaped[Tensor, "t c h w"],
    fault: Perturbation | Guided | FrameFault,
    severity: float,
    seed: int = 0,
    *,
    scene: int = 0,
    frozen: bool = False,
) -> Shaped[Tensor, "t c h w"]:
    """A film of one scene as a camera shows it that something is wrong with; see `FaultyCamera`.

    Args:
        frames: (T, C, H, W), floats in [0, 1] or uint8.
        fault: a perturbation, or a fault of the stream.
        severity: 0..5.
        seed: of the streams.
        scene: its identity.
        frozen: see `FaultyCamera`.

    Raises:
        InputError: no frames; what `FaultyCamera` refuses.
    """
    if not isinstance(frames, Tensor) or frames.ndim != 4 or not len(frames):
        raise InputError("frames", given=described(frames), expected="(T, C, H, W), one or more")
    camera = FaultyCamera(fault, severity, seed, ids=torch.tensor([scene]), frozen=frozen)
    return torch.cat([camera(frame[None]) for frame in frames])
