"""Networks by name, with their weights, their preprocessing and the data they were made for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib import resources

from torch import nn

from deepwright.core.errors import unknown_name
from deepwright.nets.efficientnet import pretrained_lite
from deepwright.nets.preprocessing import Normalised
from deepwright.nets.resnet import cifar_resnet
from deepwright.nets.unet import UNet
from deepwright.nets.weights_files import load_weights


@dataclass(frozen=True)
class ZooEntry:
    """A network with trained weights.

    Attributes:
        name: as `load` takes it.
        what: in words.
        data: the data set that it was trained for.
        size: the input size that it wants: the height, and of what isn't a road scene the width, too.
        channels: input channels.
        build: makes it, in eval mode.
    """

    name: str
    what: str
    data: str
    size: int
    channels: int
    build: Callable[[], nn.Module]


def _bundled(name: str, build: Callable[[], Normalised]) -> Callable[[], nn.Module]:
    def load() -> nn.Module:
        network = build()
        with resources.as_file(resources.files("deepwright.nets") / "weights" / f"{name}.safetensors") as path:
            load_weights(network, path)
        return network.eval()

    return load


# Means and deviations are those of the training pixels; the weights' own buffers replace them on loading.
ENTRIES = (
    ZooEntry(
        "resnet8-mnist",
        "ResNet-8, trained on 3,500 of the bundled digits (weights in the wheel): 99.0 % of the test digits",
        "mnist",
        28,
        1,
        _bundled("resnet8-mnist", lambda: Normalised(cifar_resnet(8, channels=1), [0.1307], [0.3081])),
    ),
    ZooEntry(
        "resnet20-cifar10",
        "ResNet-20, trained on CIFAR-10 (weights in the wheel): 87.9 % of the 5,000 JPEG test images",
        "cifar10",
        32,
        3,
        _bundled(
            "resnet20-cifar10", lambda: Normalised(cifar_resnet(20), [0.4914, 0.4822, 0.4465], [0.247, 0.2435, 0.2616])
        ),
    ),
    ZooEntry(
        "unet-camvid",
        "U-Net, trained on CamVid's road scenes at 120 x 160 (weights in the wheel): mean IoU 0.473 (0.464 to 0.485)",
        "camvid",
        120,
        3,
        _bundled("unet-camvid", lambda: Normalised(UNet(3, 11, (12, 24, 48, 96)), [0.4] * 3, [0.3] * 3)),
    ),
    ZooEntry(
        "efficientnet-lite0",
        "EfficientNet-Lite0, ImageNet (weights from the extra `pretrained`)",
        "imagenet-sample",
        224,
        3,
        partial(pretrained_lite, 0),
    ),
    ZooEntry(
        "efficientnet-lite1",
        "EfficientNet-Lite1, ImageNet (weights from the extra `pretrained`)",
        "imagenet-sample",
        240,
        3,
        partial(pretrained_lite, 1),
    ),
)


def entry(name: str) -> ZooEntry:
    """A zoo entry by name.

    Args:
        name: of the network.

    Raises:
        InputError: an unknown name; near ones are told.
    """
    for candidate in ENTRIES:
        if candidate.name == name:
            return candidate
    raise unknown_name("network", name, [e.name for e in ENTRIES])
