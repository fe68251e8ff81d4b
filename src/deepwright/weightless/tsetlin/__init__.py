"""Tables of Tsetlin automata, trained by their mistakes one sample at a time. Begin with `TsetlinWiSARD`.

Source: TsetlinWiSARD, arXiv 2603.24186.

Example:
    >>> from sklearn.datasets import load_digits
    >>> from deepwright.weightless import Booleanizer, TsetlinWiSARD
    >>> X, y = load_digits(return_X_y=True)
    >>> bits = Booleanizer("threshold", thresholds=7.5).fit_transform(X)
    >>> network = TsetlinWiSARD(n_inputs=6, n_luts=33, epochs=5, random_state=0).fit(bits[:1400], y[:1400])
    >>> network.score(bits[1400:], y[1400:]) > 0.75
    True
"""

from deepwright.weightless.tsetlin.automata import TsetlinWiSARD
from deepwright.weightless.tsetlin.batched import TorchTsetlinWiSARD

__all__ = ["TorchTsetlinWiSARD", "TsetlinWiSARD"]
