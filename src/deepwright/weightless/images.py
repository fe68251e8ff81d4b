"""What a class looks like to its tables: for each input bit, all that is written where it is 1."""

from __future__ import annotations

import numpy as np


def class_image(contents: np.ndarray, mapping: np.ndarray, features: int) -> np.ndarray:
    """The mental image: image[f] = sum of contents[j, a] over the tables j and addresses a in which bit f is 1.

    Args:
        contents: (luts, 2^n) of one class: counts, or 0 and 1.
        mapping: (luts, n).
        features: bits of a sample; what reads the padding is left out.

    Returns:
        (features,) int64.
    """
    inputs = mapping.shape[1]
    lit = np.arange(contents.shape[1])[:, None] >> np.arange(inputs - 1, -1, -1) & 1
    found = contents.astype(np.int64) @ lit
    image = np.zeros(max(features, int(mapping.max()) + 1), dtype=np.int64)
    np.add.at(image, mapping, found)
    return image[:features]
