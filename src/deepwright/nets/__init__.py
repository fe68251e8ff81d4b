"""Reference networks, and the way to load anybody's.

Example:
    >>> from deepwright.nets import load
    >>> network = load("resnet8-mnist")  # takes pixels in [0, 1]
"""

from deepwright.nets.efficientnet import EfficientNetLite0, pretrained_lite0
from deepwright.nets.loading import load
from deepwright.nets.perceptron import mlp
from deepwright.nets.preprocessing import Normalised
from deepwright.nets.resnet import BasicBlock, Bottleneck, ResNet, cifar_resnet, imagenet_resnet
from deepwright.nets.weights_files import load_weights, read_weights
from deepwright.nets.zoo import ENTRIES, ZooEntry, entry

__all__ = [
    "ENTRIES",
    "BasicBlock",
    "Bottleneck",
    "EfficientNetLite0",
    "Normalised",
    "ResNet",
    "ZooEntry",
    "cifar_resnet",
    "entry",
    "imagenet_resnet",
    "load",
    "load_weights",
    "mlp",
    "pretrained_lite0",
    "read_weights",
]
