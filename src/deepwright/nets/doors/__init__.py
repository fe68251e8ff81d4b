"""Doors: any model that a person brings becomes one module with known outputs, and with gradients or none.

Example:
    >>> import numpy as np, torch
    >>> from deepwright.nets.doors import as_scores_only
    >>> as_scores_only(lambda x: np.stack([x.sum(1), -x.sum(1)], 1))(torch.ones(1, 2))
    tensor([[ 2., -2.]])
"""

from deepwright.nets.doors.callables import from_callable
from deepwright.nets.doors.estimators import Estimator, from_estimator, in_class_order
from deepwright.nets.doors.opening import Brought, as_scores_only, examine

__all__ = ["Brought", "Estimator", "as_scores_only", "examine", "from_callable", "from_estimator", "in_class_order"]
