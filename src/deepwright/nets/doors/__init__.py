"""Doors: any model that a person brings becomes one module with known outputs, and with gradients or none.

Example:
    >>> import numpy as np, torch
    >>> from deepwright.nets.doors import as_network
    >>> as_network(lambda x: np.stack([x.sum(1), -x.sum(1)], 1)).network(torch.ones(1, 2))
    tensor([[ 2., -2.]])
"""

from deepwright.nets.doors.callables import from_callable
from deepwright.nets.doors.estimators import Estimator, from_estimator, in_class_order
from deepwright.nets.doors.exported import Exported, fixed_batch, load_exported
from deepwright.nets.doors.hugging_face import HuggingFace, require_one_answer
from deepwright.nets.doors.hugging_face_folder import FolderCard, load_hugging_face, read_card
from deepwright.nets.doors.objects import Opened, as_network
from deepwright.nets.doors.opening import Brought, as_scores_only, examine
from deepwright.nets.doors.output import Output
from deepwright.nets.doors.torchscript import load_torchscript, weights_hidden

__all__ = [
    "Brought",
    "Estimator",
    "Exported",
    "FolderCard",
    "HuggingFace",
    "Opened",
    "Output",
    "as_network",
    "as_scores_only",
    "examine",
    "fixed_batch",
    "from_callable",
    "from_estimator",
    "in_class_order",
    "load_exported",
    "load_hugging_face",
    "load_torchscript",
    "read_card",
    "require_one_answer",
    "weights_hidden",
]
