"""Films of an episode: what the camera showed, and beside it what the agent saw, frame by frame."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from deepwright.core.errors import InputError
from deepwright.core.files import write_atomic
from deepwright.core.requirements import require_positive, require_whole
from deepwright.corruptions.driving.agents import Agent
from deepwright.corruptions.driving.collecting import acted
from deepwright.corruptions.driving.evaluation import evaluate
from deepwright.corruptions.driving.roadsim import RoadSim
from deepwright.corruptions.driving.scenarios import Outcome, Scenario

_GAP = 4  # pixels between the two pictures


class _Filmed:
    """An agent whose pictures are kept."""

    def __init__(self, agent: Agent) -> None:
        self.agent, self.seen = agent, []  # type: ignore[var-annotated]

    def __call__(self, pictures: Tensor) -> Tensor:
        self.seen.append(pictures[0].cpu())
        return acted(self.agent, pictures)


def replay(
    sim: RoadSim,
    agent: Agent,
    scenario: Scenario,
    *,
    max_xte: float = 4.0,
    timeout: float = 62.0,
    frozen: bool = False,
) -> tuple[Outcome, Tensor, Tensor]:
    """Drive one scenario again, and keep the pictures.

    Args:
        sim: as it was driven in; of as many cars.
        agent: a network in eval mode, or a function.
        scenario: what is driven.
        max_xte: metres from the middle at which the lane is left.
        timeout: simulated seconds.
        frozen: see `evaluate`.

    Returns:
        its outcome; (t, C, H, W) pictures of the camera; (t, C, H, W) those that the agent saw.
    """
    camera = _Watched(sim)
    filmed = _Filmed(agent)
    outcome = evaluate(camera, filmed, [scenario], max_xte=max_xte, timeout=timeout, frozen=frozen)[0]
    steps = len(filmed.seen)
    return outcome, torch.stack(camera.shown[:steps]), torch.stack(filmed.seen)


class _Watched:
    """A simulator whose pictures are kept."""

    def __init__(self, sim: RoadSim) -> None:
        self._sim, self.shown = sim, []  # type: ignore[var-annotated]
        self.n, self.dt, self.capabilities = sim.n, sim.dt, sim.capabilities

    def telemetry(self) -> Any:
        return self._sim.telemetry()

    def reset(self, roads: Any, seeds: Any) -> Tensor:
        pictures = self._sim.reset(roads, seeds)
        self.shown = [pictures[0].cpu()]
        return pictures

    def step(self, action: Tensor) -> Any:
        pictures, seen = self._sim.step(action)
        self.shown.append(pictures[0].cpu())
        return pictures, seen

    def close(self) -> None:
        self._sim.close()


def gif(
    shown: Float[Tensor, "t c h w"],
    seen: Float[Tensor, "t c h w"],
    path: Path | str,
    *,
    every: int = 2,
    scale: int = 3,
    seconds: float = 0.1,
) -> Path:
    """An animated GIF: the camera's picture to the left, what the agent saw to the right.

    Args:
        shown: by the camera.
        seen: by the agent.
        path: of the file.
        every: keep one frame of so many.
        scale: pixels a pixel.
        seconds: of simulated time between two frames of the episode.

    Raises:
        InputError: no frames, or not as many of both.
    """
    from PIL import Image

    require_whole(1, every=every, scale=scale)
    require_positive(seconds=seconds)
    if shown.shape != seen.shape or not len(shown):
        raise InputError("frames", given=f"{tuple(shown.shape)} and {tuple(seen.shape)}", expected="as many of both")
    frames = [Image.fromarray(array) for array in film_frames(shown[::every], seen[::every], scale)]
    shared = frames[len(frames) // 2].quantize(48)  # one palette: no flicker, and a smaller file
    coded = [frame.quantize(palette=shared, dither=Image.Dither.NONE) for frame in frames]
    pause = max(20, round(1000 * seconds * every))

    def save(stream: Any) -> None:
        coded[0].save(stream, "GIF", save_all=True, append_images=coded[1:], duration=pause, loop=0, optimize=True)

    return write_atomic(path, save)


def film_frames(shown: Float[Tensor, "t c h w"], seen: Float[Tensor, "t c h w"], scale: int) -> Any:
    """(t, h, w, 3) uint8 arrays of both pictures side by side.

    Args:
        shown: by the camera.
        seen: by the agent.
        scale: pixels a pixel.
    """
    gap = torch.ones(*shown.shape[:3], max(1, _GAP // scale))
    both = torch.cat([shown, gap, seen], 3).clamp(0, 1)
    large = (both * 255).round().to(torch.uint8).repeat_interleave(scale, 2).repeat_interleave(scale, 3)
    return large.expand(-1, 3, -1, -1).permute(0, 2, 3, 1).contiguous().numpy()
