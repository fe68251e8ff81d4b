"""Networks that steer by what a camera shows: NVIDIA's DAVE-2, and a tiny one that drives within seconds on a CPU."""

from __future__ import annotations

from importlib import resources
from typing import Protocol, runtime_checkable

from jaxtyping import Float
from torch import Tensor, nn

from deepwright.core.errors import InputError
from deepwright.core.randomness import local_rng
from deepwright.core.requirements import require_whole
from deepwright.nets.weights_files import load_weights


@runtime_checkable
class Agent(Protocol):
    """Drives: pictures in, actions out."""

    def __call__(self, pictures: Float[Tensor, "n c h w"], /) -> Float[Tensor, "n 2"]:
        """(steering in radians, throttle) for each picture."""
        ...


class Pilot(nn.Module):
    """Convolutions without padding, then fully connected layers to (steering, throttle).

    Args:
        convolutions: (channels, kernel, stride) of each.
        hidden: widths of the fully connected layers.
        channels: of pictures.
        size: (height, width) of pictures.
        seed: of the start.

    Raises:
        InputError: pictures that are too small for the convolutions.
    """

    def __init__(
        self,
        convolutions: tuple[tuple[int, int, int], ...],
        hidden: tuple[int, ...],
        channels: int,
        size: tuple[int, int],
        seed: int = 0,
    ) -> None:
        super().__init__()
        require_whole(1, channels=channels, height=size[0], width=size[1])
        self.channels, self.size = channels, tuple(size)
        layers: list[nn.Module] = []
        h, w, before = *size, channels
        with local_rng(seed):
            for after, kernel, stride in convolutions:
                h, w = ((side - kernel) // stride + 1 for side in (h, w))
                if min(h, w) < 1:
                    raise InputError("size", given=f"{size[0]} x {size[1]} pixels", expected="larger pictures")
                layers += [nn.Conv2d(before, after, kernel, stride), nn.ReLU()]
                before = after
            layers.append(nn.Flatten())
            width = before * h * w
            for after in hidden:
                layers += [nn.Linear(width, after), nn.ReLU()]
                width = after
            layers.append(nn.Linear(width, 2))
        self.layers = nn.Sequential(*layers)

    def forward(self, pictures: Float[Tensor, "n c h w"]) -> Float[Tensor, "n 2"]:
        """Actions.

        Args:
            pictures: in [0, 1].

        Raises:
            InputError: of another size than the network's.
        """
        if tuple(pictures.shape[1:]) != (self.channels, *self.size):
            expected = f"(n, {self.channels}, {self.size[0]}, {self.size[1]})"
            raise InputError("pictures", given=f"shape {tuple(pictures.shape)}", expected=expected)
        return self.layers(2 * pictures - 1)


def dave2(channels: int = 3, size: tuple[int, int] = (66, 200), seed: int = 0) -> Pilot:
    """NVIDIA's DAVE-2 as used by the driving simulators: five convolutions, three fully connected layers.

    Args:
        channels: of pictures.
        size: (height, width) of pictures; 61 x 61 or more.
        seed: of the start.

    Source: M. Bojarski et al., "End to end learning for self-driving cars", arXiv 1604.07316.
    """
    convolutions = ((24, 5, 2), (32, 5, 2), (64, 5, 2), (64, 3, 1), (64, 3, 1))
    return Pilot(convolutions, (100, 50), channels, size, seed)


def tiny_pilot(channels: int = 1, size: tuple[int, int] = (40, 80), seed: int = 0) -> Pilot:
    """Three convolutions and one hidden layer: learns to drive RoadSim in seconds on a CPU.

    Args:
        channels: of pictures.
        size: (height, width) of pictures.
        seed: of the start.
    """
    return Pilot(((8, 5, 2), (16, 5, 2), (24, 3, 2)), (48,), channels, size, seed)


def bundled_pilot() -> Pilot:
    """The tiny pilot with the weights in the wheel: grey pictures of 40 x 80, roads with turns of up to 35 degrees.

    `scripts/train_pilot.py` trained it: imitation of pure pursuit under steering noise, and one round of DAgger.
    """
    network = tiny_pilot()
    with resources.as_file(resources.files("deepwright.corruptions.driving") / "weights" / "pilot.safetensors") as path:
        load_weights(network, path)
    return network.eval()
