"""Reference networks, and the way to load anybody's.

`load` gives a network of the zoo by name (on pixels in [0, 1]), one of the user's by `package.module:factory`, a
`torch.export` program, an ONNX file, or a folder of Hugging Face's. `from_estimator` and `from_callable` make networks
of scikit-learn's estimators and of functions, which give scores only. Nothing is unpickled.

Example:
    >>> from deepwright.nets import load
    >>> network = load("resnet8-mnist")  # takes pixels in [0, 1]
"""

from deepwright.nets.centre import CentreDetector, centre_loss, centre_targets
from deepwright.nets.doors import (
    Exported,
    FolderCard,
    HuggingFace,
    Opened,
    Output,
    as_network,
    fixed_batch,
    from_callable,
    from_estimator,
    load_exported,
    load_hugging_face,
    load_torchscript,
    read_card,
    weights_hidden,
)
from deepwright.nets.efficientnet import EfficientNetLite, pretrained_lite
from deepwright.nets.loading import is_own, load
from deepwright.nets.narrow import NarrowResNet
from deepwright.nets.onnx_files import OnnxNetwork, open_onnx
from deepwright.nets.perceptron import mlp
from deepwright.nets.preprocessing import Normalised
from deepwright.nets.resnet import BasicBlock, Bottleneck, ResNet, cifar_resnet, imagenet_resnet
from deepwright.nets.scores_only import ScoresOnly
from deepwright.nets.ssd import (
    SSD,
    CandidateBoxes,
    FinalDetections,
    SSDDetector,
    anchor_boxes,
    fine_ssd,
    match_anchors,
    small_ssd,
    ssd_loss,
)
from deepwright.nets.unet import DoubleConv, UNet
from deepwright.nets.weights_files import load_weights, read_weights, write_weights
from deepwright.nets.yolo import YoloCandidates
from deepwright.nets.zoo import ENTRIES, ZooEntry, entry

__all__ = [
    "ENTRIES",
    "SSD",
    "BasicBlock",
    "Bottleneck",
    "CandidateBoxes",
    "CentreDetector",
    "DoubleConv",
    "EfficientNetLite",
    "Exported",
    "FinalDetections",
    "FolderCard",
    "HuggingFace",
    "NarrowResNet",
    "Normalised",
    "OnnxNetwork",
    "Opened",
    "Output",
    "ResNet",
    "SSDDetector",
    "ScoresOnly",
    "UNet",
    "YoloCandidates",
    "ZooEntry",
    "anchor_boxes",
    "as_network",
    "centre_loss",
    "centre_targets",
    "cifar_resnet",
    "entry",
    "fine_ssd",
    "fixed_batch",
    "from_callable",
    "from_estimator",
    "imagenet_resnet",
    "is_own",
    "load",
    "load_exported",
    "load_hugging_face",
    "load_torchscript",
    "load_weights",
    "match_anchors",
    "mlp",
    "open_onnx",
    "pretrained_lite",
    "read_card",
    "read_weights",
    "small_ssd",
    "ssd_loss",
    "weights_hidden",
    "write_weights",
]
