"""Reference networks, and the way to load anybody's.

`load` gives a network of the zoo by name (on pixels in [0, 1]), one of the user's by `package.module:factory`, a
`torch.export` program, an ONNX file, or a folder of Hugging Face's. `from_estimator` and `from_callable` make networks
of scikit-learn's estimators and of functions, which give scores only. Nothing is unpickled.

Example:
    >>> from deepwright.nets import load
    >>> network = load("resnet8-mnist")  # takes pixels in [0, 1]
"""

from typing import Any

from deepwright.nets import padic
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
from deepwright.nets.fully_convolutional import FCN, fcn_resnet
from deepwright.nets.loading import is_own, load
from deepwright.nets.narrow import NarrowResNet
from deepwright.nets.onnx_files import OnnxNetwork, open_onnx
from deepwright.nets.padic import (
    BoundedTanh,
    DenseOperator,
    HierarchicalOperator,
    PAdicCellularNetwork,
    PAdicNetwork,
    PAdicRBM,
    RadialOperator,
    Tree,
    TreeConvolution,
    TreeEncoder,
    TreeGaussianProcess,
    TreeIndex,
    TreeOperator,
    cell_means,
    code_paths,
    heat,
    move_parameters,
    network_from_function,
    padic_tree,
    resolvent,
    side_by_side,
    vladimirov,
)
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
    "FCN",
    "SSD",
    "BasicBlock",
    "Bottleneck",
    "BoundedTanh",
    "CandidateBoxes",
    "CentreDetector",
    "DenseOperator",
    "DoubleConv",
    "EfficientNetLite",
    "Exported",
    "FinalDetections",
    "FolderCard",
    "HierarchicalOperator",
    "HuggingFace",
    "NarrowResNet",
    "Normalised",
    "OnnxNetwork",
    "Opened",
    "Output",
    "PAdicCellularNetwork",
    "PAdicNetwork",
    "PAdicRBM",
    "RadialOperator",
    "ResNet",
    "SSDDetector",
    "ScoresOnly",
    "Tree",
    "TreeConvolution",
    "TreeEncoder",
    "TreeGPRegressor",
    "TreeGaussianProcess",
    "TreeIndex",
    "TreeOperator",
    "TreeTargetEncoder",
    "UNet",
    "YoloCandidates",
    "ZooEntry",
    "anchor_boxes",
    "as_network",
    "cell_means",
    "centre_loss",
    "centre_targets",
    "cifar_resnet",
    "code_paths",
    "entry",
    "fcn_resnet",
    "fine_ssd",
    "fixed_batch",
    "from_callable",
    "from_estimator",
    "heat",
    "imagenet_resnet",
    "is_own",
    "load",
    "load_exported",
    "load_hugging_face",
    "load_torchscript",
    "load_weights",
    "match_anchors",
    "mlp",
    "move_parameters",
    "network_from_function",
    "open_onnx",
    "padic_tree",
    "pretrained_lite",
    "read_card",
    "read_weights",
    "resolvent",
    "side_by_side",
    "small_ssd",
    "ssd_loss",
    "vladimirov",
    "weights_hidden",
    "write_weights",
]


def __getattr__(name: str) -> Any:
    if name in padic.LAZY:
        return getattr(padic, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
