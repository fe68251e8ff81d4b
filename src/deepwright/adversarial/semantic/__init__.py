"""Detection of attacked inputs beside any network, from the dense features that it computes anyway.

Begin with `DenseFeatureDetector().bind(model).fit(clean).calibrate(other_clean)`, then `predict(x)`. Nothing of the
network changes, no attacked example is needed, and false alarms come at a rate that is promised. Hold it against
`FeatureSqueezing`, which knows nothing of features and is hard to beat, and against `AdaptivePGD`, an attacker who
knows the detector: against that one no detector here holds.

Example:
    >>> import torch
    >>> from deepwright.adversarial.semantic import DenseFeatureDetector
    >>> from deepwright.nets import cifar_resnet
    >>> model = cifar_resnet(8, channels=1).eval()
    >>> clean = torch.rand(160, 1, 12, 12, generator=torch.Generator().manual_seed(0))
    >>> detector = DenseFeatureDetector().bind(model).fit(clean[:100]).calibrate(clean[100:])
    >>> detector.predict(torch.zeros(2, 1, 12, 12))
    tensor([True, True])
"""

from deepwright.adversarial.semantic.adaptive import AdaptivePGD
from deepwright.adversarial.semantic.detector import InputDetector, frames_needed
from deepwright.adversarial.semantic.gaussians import DenseFeatures, ImageFeatures
from deepwright.adversarial.semantic.measuring import DetectionReport, DetectionRow, measure_detection
from deepwright.adversarial.semantic.monitor import DenseFeatureDetector
from deepwright.adversarial.semantic.monitored import Monitored
from deepwright.adversarial.semantic.rivals import ClassDistances, LocalDimension, NearestFeatures, SupervisedFeatures
from deepwright.adversarial.semantic.sequential import SequentialAlarm
from deepwright.adversarial.semantic.shadows import ShadowConsistency
from deepwright.adversarial.semantic.squeezing import FeatureSqueezing, JpegDifference
from deepwright.adversarial.semantic.uncertainty import OneClassUncertainty, Uncertainty
from deepwright.adversarial.semantic.watching import Watch

ALL: tuple[type[InputDetector], ...] = (
    *(DenseFeatureDetector, ImageFeatures, DenseFeatures),
    *(Uncertainty, OneClassUncertainty, FeatureSqueezing, JpegDifference),
    *(NearestFeatures, LocalDimension, ClassDistances, SupervisedFeatures, ShadowConsistency),
)
"""Every detector of inputs; the contract of detectors covers them."""

__all__ = [
    "ALL",
    "AdaptivePGD",
    "ClassDistances",
    "DenseFeatureDetector",
    "DenseFeatures",
    "DetectionReport",
    "DetectionRow",
    "FeatureSqueezing",
    "ImageFeatures",
    "InputDetector",
    "JpegDifference",
    "LocalDimension",
    "Monitored",
    "NearestFeatures",
    "OneClassUncertainty",
    "SequentialAlarm",
    "ShadowConsistency",
    "SupervisedFeatures",
    "Uncertainty",
    "Watch",
    "frames_needed",
    "measure_detection",
]
