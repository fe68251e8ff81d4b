"""Minimal sufficient representations: variables that a network needs, their combinations, and its size.

Begin with `DeepInRegressor`, `DeepInClassifier` or `DeepInCox`, ask `deepin_report` what was found and
`test_variables` (on an estimator that isn't fitted yet) whether it is there. `DeepInPenalty` and `prune_mlp` serve
networks of one's own.

Example:
    >>> import torch
    >>> from deepwright.interpret import DeepInRegressor
    >>> x = torch.randn(300, 6, generator=torch.Generator().manual_seed(0))
    >>> y = (x[:, 0] + x[:, 1]).sin()
    >>> found = DeepInRegressor(max_dim=3, hidden=(16,), epochs=20, lambdas=(0.2, 0.6)).fit(x, y)
    >>> found.selected_, found.dim_
    ([0, 1], 1)
"""

from deepwright.interpret.deepin.attributions import deletion_curve, integrated_gradients, permutation_shap
from deepwright.interpret.deepin.baselines import (
    PlainFit,
    adaptive_lasso,
    forest_selection,
    plain_mlp,
    sliced_directions,
    tuned_mlp,
)
from deepwright.interpret.deepin.estimators import DeepInClassifier, DeepInCox, DeepInRegressor
from deepwright.interpret.deepin.evidence import cauchy_combination
from deepwright.interpret.deepin.penalties import DeepInPenalty
from deepwright.interpret.deepin.proximal import group_prox_, row_column_prox
from deepwright.interpret.deepin.pruning import prune_mlp
from deepwright.interpret.deepin.reporting import DeepInReport, deepin_report, partial_surface
from deepwright.interpret.deepin.representation import (
    RepresentationLayer,
    RepresentationNet,
    patch_groups,
    principal_angles,
    projection,
    subspace_distance,
)
from deepwright.interpret.deepin.rotation import rotate_representation
from deepwright.interpret.deepin.significance import test_dimension, test_representation, test_variables
from deepwright.interpret.deepin.tables import DeepInWarning

__all__ = [
    "DeepInClassifier",
    "DeepInCox",
    "DeepInPenalty",
    "DeepInRegressor",
    "DeepInReport",
    "DeepInWarning",
    "PlainFit",
    "RepresentationLayer",
    "RepresentationNet",
    "adaptive_lasso",
    "cauchy_combination",
    "deepin_report",
    "deletion_curve",
    "forest_selection",
    "group_prox_",
    "integrated_gradients",
    "partial_surface",
    "patch_groups",
    "permutation_shap",
    "plain_mlp",
    "principal_angles",
    "projection",
    "prune_mlp",
    "rotate_representation",
    "row_column_prox",
    "sliced_directions",
    "subspace_distance",
    "test_dimension",
    "test_representation",
    "test_variables",
    "tuned_mlp",
]
