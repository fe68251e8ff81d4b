"""ROAST: whom to train an anomaly detector on, when a forecaster of many entities can be attacked.

Begin with `Roast(model, attack, SeverityMatrix.glucose()).fit(streams)`, where `streams` holds each entity's windows
(`data.make_glucose_cohort`, `data.Stream.windows`), and read `table()`: recall beside the false alarms that it costs.
"""

from deepwright.ood.roast.classes import class_risk, importance
from deepwright.ood.roast.cohort import Cohort, Part, attack_cohort, attack_parts
from deepwright.ood.roast.density import KNNDetector, OCSVMDetector, PyODDetector, wrap_pyod
from deepwright.ood.roast.evading import EvasiveSteps
from deepwright.ood.roast.exposure import ExposureLoss, ExposureSet, OutlierExposure
from deepwright.ood.roast.madgan import MADGANDetector
from deepwright.ood.roast.regimes import Regime, Setup, own_regimes, run_regime
from deepwright.ood.roast.selection import EntitySelector
from deepwright.ood.roast.severity import RiskProfile, SeverityMatrix, min_perturbation, risk_profile, roughness
from deepwright.ood.roast.system import CrossValidation, Roast, cross_validate, ranking
from deepwright.ood.roast.warping import dtw
from deepwright.ood.roast.watching import WatchedForecaster
from deepwright.ood.roast.windowed import MeanRank, WindowDetector

__all__ = [
    "Cohort",
    "CrossValidation",
    "EntitySelector",
    "EvasiveSteps",
    "ExposureLoss",
    "ExposureSet",
    "KNNDetector",
    "MADGANDetector",
    "MeanRank",
    "OCSVMDetector",
    "OutlierExposure",
    "Part",
    "PyODDetector",
    "Regime",
    "RiskProfile",
    "Roast",
    "Setup",
    "SeverityMatrix",
    "WatchedForecaster",
    "WindowDetector",
    "attack_cohort",
    "attack_parts",
    "class_risk",
    "cross_validate",
    "dtw",
    "importance",
    "min_perturbation",
    "own_regimes",
    "ranking",
    "risk_profile",
    "roughness",
    "run_regime",
    "wrap_pyod",
]
