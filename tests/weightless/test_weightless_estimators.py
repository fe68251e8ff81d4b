"""scikit-learn's own checks of every classifier of the room."""

import subprocess
import sys

import pytest

# Its checks give numbers, which a weightless network refuses: an encoder goes before it.
CODE = """
import warnings
warnings.simplefilter("ignore")
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.utils import estimator_checks as checks
import deepwright.weightless as w

class Coded(ClassifierMixin, BaseEstimator):
    def __init__(self, net=None):
        self.net = net

    def fit(self, X, y):
        coder = w.Booleanizer("thermometer", bits=6, compact=True).fit(X)
        net = clone(self.net if self.net is not None else w.WiSARD(random_state=0)).fit(coder.transform(X), y)
        self.coder_, self.net_, self.classes_, self.n_features_in_ = coder, net, net.classes_, coder.n_features_in_
        return self

    def predict(self, X):
        if not hasattr(self, "net_"):
            (self.net if self.net is not None else w.WiSARD()).predict(X)
        return self.net_.predict(self.coder_.transform(X))

NETS = {
    "wisard": w.WiSARD(4, 40, random_state=0),
    "hashed": w.WiSARD(4, 40, random_state=0, tables="hashed"),
    "bleaching": w.BleachingWiSARD(4, 40, random_state=0),
    "bloom": w.BTHOWeN(4, 40, n_entries=64, random_state=0),
    "tsetlin": w.TsetlinWiSARD(4, 40, epochs=8, random_state=0),
    "batched": w.TorchTsetlinWiSARD(4, 40, epochs=8, random_state=0),
    "dwn": w.DWNClassifier((40,), 4, epochs=12, random_state=0),
    "uleen": w.ULEENClassifier((4,), 40, epochs=12, random_state=0),
}
REFUSED = {"check_supervised_y_2d": "one column of labels is refused with what to do, as one-hot rows are"}
net = NETS[NAME]
for check in (
    checks.check_estimator_cloneable,
    checks.check_no_attributes_set_in_init,
    checks.check_parameters_default_constructible,
    checks.check_get_params_invariance,
    checks.check_set_params,
    checks.check_estimator_repr,
    checks.check_estimators_unfitted,
):
    check(type(net).__name__, net)
checks.check_estimator(Coded(net), expected_failed_checks=REFUSED, on_skip=None)
"""


@pytest.mark.slow
@pytest.mark.parametrize("name", ["wisard", "hashed", "bleaching", "bloom", "tsetlin", "batched", "dwn", "uleen"])
def test_scikit_learn_takes_them_for_classifiers(name):
    """In a process of its own: scikit-learn gives options of other types, which the tests' checker refuses first."""
    code = CODE.replace("NAME]", f"{name!r}]")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=1800)
    assert done.returncode == 0, done.stderr[-3000:]
