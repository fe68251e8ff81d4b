"""Reference networks, and the way to load anybody's.

`load` gives a network of the zoo by name (on pixels in [0, 1]), one of the user's by `package.module:factory`, a
`torch.export` program, or an ONNX file. `from_estimator` and `from_callable` make networks of scikit-learn's estimators
and of functions, which give scores only. Nothing is unpickled.

Example:
    >>> from deepwright.nets import load
    >>> network = load("resnet8-mnist")  # takes pixels in [0, 1]
"""

from deepwright.nets.doors import from_callable, from_estimator
from deepwright.nets.efficientnet import EfficientNetLite0, pretrained_lite0
from deepwright.nets.loading import Exported, load, load_exported
from deepwright.nets.onnx_files import OnnxNetwork, open_onnx
from deepwright.nets.perceptron import mlp
from deepwright.nets.preprocessing import Normalised
from deepwright.nets.resnet import BasicBlock, Bottleneck, ResNet, cifar_resnet, imagenet_resnet
from deepwright.nets.scores_only import ScoresOnly
from deepwright.nets.ssd import SSD, SSDDetector, anchor_boxes, match_anchors, small_ssd, ssd_loss
from deepwright.nets.weights_files import load_weights, read_weights, write_weights
from deepwright.nets.zoo import ENTRIES, ZooEntry, entry

__all__ = [
    "ENTRIES",
    "SSD",
    "BasicBlock",
    "Bottleneck",
    "EfficientNetLite0",
    "Exported",
    "Normalised",
    "OnnxNetwork",
    "ResNet",
    "SSDDetector",
    "ScoresOnly",
    "ZooEntry",
    "anchor_boxes",
    "cifar_resnet",
    "entry",
    "from_callable",
    "from_estimator",
    "imagenet_resnet",
    "load",
    "load_exported",
    "load_weights",
    "match_anchors",
    "mlp",
    "open_onnx",
    "pretrained_lite0",
    "read_weights",
    "small_ssd",
    "ssd_loss",
    "write_weights",
]
