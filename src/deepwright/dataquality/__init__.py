"""What is wrong with the data: copies and leaks, wrong labels, weak slices, drift, and gaps between groups.

Plain functions on tensors, columns and texts; none needs an audit. `deepwright audit` runs them as the checks
`duplicates`, `labels`, `slices`, `drift` and `groups`. Begin with `find_duplicates`.

Example:
    >>> import torch
    >>> rows = torch.randn(200, 4, generator=torch.Generator().manual_seed(0))
    >>> find_duplicates(torch.cat([rows, rows[:2]])).pairs.tolist()
    [[0, 200], [1, 201]]
"""

from deepwright.dataquality.attributes import Literals, literals_of, picture_statistics, statistics_of
from deepwright.dataquality.copies import Duplicates, find_duplicates
from deepwright.dataquality.fingerprints import (
    Fingerprints,
    picture_fingerprints,
    row_fingerprints,
    text_fingerprints,
)
from deepwright.dataquality.hashes import content_hashes, grey, perceptual_hashes
from deepwright.dataquality.label_errors import LabelErrors, find_label_errors
from deepwright.dataquality.label_noise import LabelNoise, fit_label_noise
from deepwright.dataquality.logistic import out_of_fold, random_features
from deepwright.dataquality.neighbours import close_pairs, equal_pairs, groups_of
from deepwright.dataquality.subgroups import Gap, Group, Grouping, compare_groups, grouping
from deepwright.dataquality.two_samples import Moved, TwoSampleTest, classifier_two_sample_test, moved_columns
from deepwright.dataquality.weak_slices import Slice, find_weak_slices

__all__ = [
    "Duplicates",
    "Fingerprints",
    "Gap",
    "Group",
    "Grouping",
    "LabelErrors",
    "LabelNoise",
    "Literals",
    "Moved",
    "Slice",
    "TwoSampleTest",
    "classifier_two_sample_test",
    "close_pairs",
    "compare_groups",
    "content_hashes",
    "equal_pairs",
    "find_duplicates",
    "find_label_errors",
    "find_weak_slices",
    "fit_label_noise",
    "grey",
    "grouping",
    "groups_of",
    "literals_of",
    "moved_columns",
    "out_of_fold",
    "perceptual_hashes",
    "picture_fingerprints",
    "picture_statistics",
    "random_features",
    "row_fingerprints",
    "statistics_of",
    "text_fingerprints",
]
