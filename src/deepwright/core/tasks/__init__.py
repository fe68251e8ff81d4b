"""What a network's outputs mean: eight tasks; each reads, judges, measures and attacks them in its field's terms.

Example:
    >>> import torch
    >>> from deepwright.core.tasks import Classification
    >>> task = Classification(3, names=("cat", "dog", "owl"))
    >>> out = task.read(torch.tensor([[2.0, 0.5, -1.0], [0.1, 0.2, 0.9]]))
    >>> y = task.check_targets([0, 1])
    >>> task.right(out, y)
    tensor([ True, False])
    >>> task.metrics(out, y)["accuracy"].value
    0.5
"""

from deepwright.core.tasks.binary import Binary
from deepwright.core.tasks.candidates import CandidateDetection
from deepwright.core.tasks.class_order import ClassOrder
from deepwright.core.tasks.classes import Classification, GraphClassification
from deepwright.core.tasks.contacts import contact_counts, touching
from deepwright.core.tasks.detection import Detection
from deepwright.core.tasks.detection_batch import DetectionBatch
from deepwright.core.tasks.forecast import Forecast
from deepwright.core.tasks.inferring import infer
from deepwright.core.tasks.intervals import mean_score
from deepwright.core.tasks.multilabel import MultiLabel
from deepwright.core.tasks.protocol import Task
from deepwright.core.tasks.reading import looks_like_log_probabilities, looks_like_probabilities
from deepwright.core.tasks.regression import Regression
from deepwright.core.tasks.segmentation import Segmentation

ALL: tuple[type[Task], ...] = (
    Classification,
    Binary,
    MultiLabel,
    Regression,
    Segmentation,
    Detection,
    Forecast,
    GraphClassification,
)

__all__ = [
    "ALL",
    "Binary",
    "CandidateDetection",
    "ClassOrder",
    "Classification",
    "Detection",
    "DetectionBatch",
    "Forecast",
    "GraphClassification",
    "MultiLabel",
    "Regression",
    "Segmentation",
    "Task",
    "contact_counts",
    "infer",
    "looks_like_log_probabilities",
    "looks_like_probabilities",
    "mean_score",
    "touching",
]
