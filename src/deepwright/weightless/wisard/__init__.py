"""The classical family: tables that remember what they saw. Begin with `BleachingWiSARD`.

Example:
    >>> import numpy as np
    >>> from deepwright.weightless import WiSARD
    >>> X = np.array([[0, 0, 1, 1], [0, 1, 1, 1], [1, 1, 0, 0], [1, 0, 0, 0]])
    >>> WiSARD(n_inputs=2, n_luts=2, random_state=0).fit(X, ["a", "a", "b", "b"]).predict(X).tolist()
    ['a', 'a', 'b', 'b']
"""

from deepwright.weightless.wisard.bleaching import BleachingWiSARD
from deepwright.weightless.wisard.bloom import BTHOWeN
from deepwright.weightless.wisard.counts import WiSARD

__all__ = ["BTHOWeN", "BleachingWiSARD", "WiSARD"]
