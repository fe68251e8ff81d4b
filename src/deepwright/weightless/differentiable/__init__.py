"""Weightless networks that gradients train, in torch on any device. Begin with `DWNClassifier` or `WNNHead`.

Example:
    >>> from sklearn.datasets import load_wine
    >>> from deepwright.weightless import Booleanizer, DWNClassifier
    >>> X, y = load_wine(return_X_y=True)
    >>> bits = Booleanizer("thermometer", bits=8, compact=True).fit(X[::2])
    >>> network = DWNClassifier(layers=(60,), epochs=10, random_state=0).fit(bits.transform(X[::2]), y[::2])
    >>> network.score(bits.transform(X[1::2]), y[1::2]) > 0.8
    True
"""

from deepwright.weightless.differentiable.dwn import DWN
from deepwright.weightless.differentiable.estimators import DWNClassifier, ULEENClassifier
from deepwright.weightless.differentiable.head import WNNHead
from deepwright.weightless.differentiable.uleen import ULEEN

__all__ = ["DWN", "ULEEN", "DWNClassifier", "ULEENClassifier", "WNNHead"]
