"""The ground: fitting, trials, randomness, features, statistics, results, progress, errors.

Knows no room. Begin with `core.fit.fit` to train, `core.trials.run` to fan out, `core.results` to report.
"""

from deepwright.core.errors import InputError, NotCalibratedError, NotFittedError
from deepwright.core.results import Claim, Figure, StudyResult, Table

__all__ = ["Claim", "Figure", "InputError", "NotCalibratedError", "NotFittedError", "StudyResult", "Table"]
