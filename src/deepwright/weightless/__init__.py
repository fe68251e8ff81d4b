"""Networks without weights: lookup tables and a count of votes, trained in milliseconds, a few kilobytes large.

Tsetlin automata in tables (TsetlinWiSARD), the classical WiSARD family beside them, and the encoders that make bits of
numbers. Begin with `Booleanizer` and `TsetlinWiSARD`.

Example:
    >>> from sklearn.datasets import load_wine
    >>> from deepwright.weightless import Booleanizer, TsetlinWiSARD
    >>> X, y = load_wine(return_X_y=True)
    >>> coder = Booleanizer("thermometer", bits=8, compact=True).fit(X[::2])
    >>> network = TsetlinWiSARD(n_luts=60, epochs=10, random_state=0).fit(coder.transform(X[::2]), y[::2])
    >>> small = network.to_binary(coder)
    >>> small.nbytes
    1440
    >>> bool((small.predict(coder.transform(X[1::2])) == y[1::2]).mean() > 0.8)
    True
"""

from deepwright.weightless.differentiable import DWN, ULEEN, DWNClassifier, ULEENClassifier, WNNHead
from deepwright.weightless.encoders import Booleanizer
from deepwright.weightless.export import ExportMismatch
from deepwright.weightless.hardware import Resources
from deepwright.weightless.redundancy import Compression, compression
from deepwright.weightless.robustness import FlipCurve, bit_flips, flip_bits
from deepwright.weightless.tables import BinaryWNN
from deepwright.weightless.torch_tables import TorchWNN
from deepwright.weightless.tsetlin import TorchTsetlinWiSARD, TsetlinWiSARD
from deepwright.weightless.wisard import BleachingWiSARD, BTHOWeN, WiSARD

__all__ = [
    "DWN",
    "ULEEN",
    "BTHOWeN",
    "BinaryWNN",
    "BleachingWiSARD",
    "Booleanizer",
    "Compression",
    "DWNClassifier",
    "ExportMismatch",
    "FlipCurve",
    "Resources",
    "TorchTsetlinWiSARD",
    "TorchWNN",
    "TsetlinWiSARD",
    "ULEENClassifier",
    "WNNHead",
    "WiSARD",
    "bit_flips",
    "compression",
    "flip_bits",
]
