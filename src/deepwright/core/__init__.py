"""The ground: fitting, trials, randomness, features, statistics, results, progress, errors.

Knows no room. Begin with `core.fit.fit` to train, `core.trials.run` to fan out, `core.results` to report. Only the
errors are imported at once: the command line must start without PyTorch.
"""

from deepwright.core.errors import InputError, NotCalibratedError, NotFittedError

__all__ = ["InputError", "NotCalibratedError", "NotFittedError"]
