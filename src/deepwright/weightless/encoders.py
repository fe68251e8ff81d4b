"""Numbers to bits: the encodings that weightless networks read.

`fit` sees the training split only (quantiles over train and test together, as some code takes them, leak).
"""

from __future__ import annotations

import warnings
from typing import Any, Self

import numpy as np
from scipy.stats import norm
from sklearn.base import BaseEstimator, TransformerMixin

from deepwright.core.errors import InputError, NotFittedError, unknown_name
from deepwright.weightless.inputs import as_array, as_bits, integer

METHODS = ("threshold", "quantile_onehot", "thermometer", "gaussian_thermometer", "linear_thermometer", "binary")


class Booleanizer(TransformerMixin, BaseEstimator):
    """Encode each feature by the number of thresholds strictly below it.

    With b bits, thresholds of `quantile_onehot` and `thermometer` are the quantiles i/b, i = 1..b-1, of the training
    split; of `gaussian_thermometer` mean + sd * Phi^-1(i / (b+1)), i = 1..b; of `linear_thermometer` evenly spaced
    inside the range, i = 1..b. A feature's index is the number of thresholds strictly below it. One-hot sets bit
    b-1-index (b = 2 is a single bit); a thermometer of quantiles sets the last index+1 of its b bits, so that the last
    one is always 1 (`compact=True` leaves it out); the other thermometers set the last `index` of b bits.

    Args:
        method: one of `threshold`, `quantile_onehot`, `thermometer`, `gaussian_thermometer`, `linear_thermometer`, or
            `binary` for features that are 0 and 1 already.
        bits: of each feature; not for `threshold` and `binary`.
        thresholds: of `threshold`: one number, or one for each feature.
        compact: leave the constant bit of a thermometer of quantiles out.

    Raises:
        InputError: at `fit` and `transform`: NaN and infinities, an option that the method doesn't have; and bits that
            are all constant, with the range that was seen.

    Example:
        >>> import numpy as np
        >>> Booleanizer("thermometer", bits=3).fit_transform(np.array([[0.0], [1.0], [2.0], [3.0]])).tolist()
        [[0, 0, 1], [0, 0, 1], [0, 1, 1], [1, 1, 1]]
    """

    def __init__(
        self, method: str = "thermometer", bits: int | None = None, thresholds: Any = None, compact: bool = False
    ) -> None:
        self.method, self.bits, self.thresholds, self.compact = method, bits, thresholds, compact

    def fit(self, X: Any, y: Any = None) -> Self:
        """Find the thresholds.

        Args:
            X: (samples, features), the training split.
            y: not used.
        """
        del y
        if self.method not in METHODS:
            raise unknown_name("method", str(self.method), METHODS)
        x = self._numbers(X)
        self._options()
        self.n_features_in_ = x.shape[1]
        self.thresholds_ = self._places(x)
        self.n_bits_ = self.n_features_in_ * self._width()
        bits = self._encode(x)
        varies = (bits != bits[:1]).any(axis=0)
        if len(x) > 1 and not varies.any() and (x != x[:1]).any():
            raise InputError(
                "all bits are constant",
                given=f"features from {x.min():g} to {x.max():g}, {self.method} at {np.unique(self.thresholds_)[:4]}",
                hint="give thresholds inside that range",
            )
        fixed = self.n_features_in_ if self.method == "thermometer" and not self.compact else 0
        share = 1 - varies.sum() / max(1, self.n_bits_ - fixed)
        if len(x) > 1 and share > 0.5:
            warnings.warn(f"{share:.0%} of the bits are constant on these samples", UserWarning, stacklevel=2)
        return self

    def transform(self, X: Any) -> np.ndarray:
        """The bits, (samples, n_bits_) of 0 and 1.

        Args:
            X: (samples, features).
        """
        if not hasattr(self, "thresholds_"):
            raise NotFittedError("Booleanizer")
        x = self._numbers(X)
        if x.shape[1] != self.n_features_in_:
            given = f"X has {x.shape[1]} features, but Booleanizer is expecting {self.n_features_in_} features as input"
            raise InputError("X", given=given)
        return self._encode(x)

    def to_dict(self) -> dict[str, Any]:
        """Method and thresholds as plain data, for a file."""
        if not hasattr(self, "thresholds_"):
            raise NotFittedError("Booleanizer")
        return {
            "method": self.method,
            "bits": self.bits,
            "compact": bool(self.compact),
            "features": self.n_features_in_,
            "thresholds": self.thresholds_.tolist(),
        }

    @classmethod
    def from_dict(cls, stored: dict[str, Any]) -> Self:
        """What `to_dict` wrote.

        Args:
            stored: plain data.

        Raises:
            InputError: another structure, thresholds of another shape or that aren't finite.
        """
        try:
            method, bits, compact = stored["method"], stored["bits"], stored["compact"]
            features = integer(stored["features"], "features", 1, 1 << 24)
            places = np.array(stored["thresholds"], dtype=float).reshape(-1, features)
        except (KeyError, TypeError, ValueError) as error:
            raise InputError("the Booleanizer's description", given=str(error), expected="what to_dict wrote") from None
        if method not in METHODS:
            raise unknown_name("method", str(method), METHODS)
        result = cls(method, bits, places[:1].ravel() if method == "threshold" else None, compact)
        result._options()
        result.n_features_in_, result.thresholds_ = features, places
        result.n_bits_ = features * result._width()
        if places.shape != (result._count(), features) or not np.isfinite(places).all():
            expected = f"({result._count()}, {features}) finite numbers"
            raise InputError("the Booleanizer's thresholds", given=str(places.shape), expected=expected)
        return result

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = []  # bits are bytes, whatever they are made from
        return tags

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "thresholds_")

    def _numbers(self, x: Any) -> np.ndarray:
        if self.method == "binary":
            return as_bits(x)
        found = as_array(x, "X").astype(np.float64)
        if not np.isfinite(found).all():
            raise InputError("X contains NaN or infinity", hint="fill or drop missing values first")
        return found

    def _options(self) -> None:
        without = self.method in ("threshold", "binary")
        if without and self.bits not in (None, 1):
            raise InputError(f"bits with method {self.method!r}", given=self.bits, expected="none: it has one bit")
        if not without:
            integer(self._bits(), "bits", 1 if "_thermo" in self.method else 2, 4096)
        if self.method == "threshold" and self.thresholds is None:
            raise InputError("method 'threshold'", given="no thresholds", expected="thresholds=a number, or one each")
        if self.method != "threshold" and self.thresholds is not None:
            raise InputError(f"thresholds with method {self.method!r}", expected="none: they are found by fit")
        if self.compact and self.method != "thermometer":
            raise InputError(f"compact with method {self.method!r}", expected="method 'thermometer'")

    def _bits(self) -> int:
        return 8 if self.bits is None else self.bits

    def _count(self) -> int:
        """Thresholds of a feature."""
        if self.method == "binary":
            return 0
        if self.method == "threshold":
            return 1
        return self._bits() if "_thermo" in self.method else self._bits() - 1

    def _width(self) -> int:
        """Bits of a feature."""
        if self.method in ("threshold", "binary"):
            return 1
        if self.method == "quantile_onehot":
            return 1 if self._bits() == 2 else self._bits()
        return self._bits() - (self.method == "thermometer" and self.compact)

    def _places(self, x: np.ndarray) -> np.ndarray:
        count, features = self._count(), x.shape[1]
        if self.method == "binary":
            return np.zeros((0, features))
        if self.method == "threshold":
            given = np.atleast_1d(np.asarray(self.thresholds, dtype=np.float64))
            if given.shape not in ((1,), (features,)) or not np.isfinite(given).all():
                raise InputError("thresholds", given=f"{given.shape}", expected=f"one finite number, or {features}")
            return np.broadcast_to(given, (1, features)).copy()
        step = np.arange(1, count + 1)[:, None]
        if self.method == "gaussian_thermometer":
            return x.mean(0) + x.std(0) * norm.ppf(step / (count + 1))
        if self.method == "linear_thermometer":
            return x.min(0) + (x.max(0) - x.min(0)) * step / (count + 1)
        return np.quantile(x, step[:, 0] / (count + 1), axis=0)

    def _encode(self, x: np.ndarray) -> np.ndarray:
        if self.method == "binary":
            return x.astype(np.uint8)
        index = np.zeros(x.shape, dtype=np.int64)
        for row in self.thresholds_:
            index += x > row
        if self._width() == 1 and self.method in ("threshold", "quantile_onehot"):
            return index.astype(np.uint8)
        width = self._width()
        place = width - 1 - np.arange(width)  # counted from the last bit
        if self.method == "quantile_onehot":
            return (place == index[:, :, None]).astype(np.uint8).reshape(len(x), -1)
        lit = index + (self.method == "thermometer" and not self.compact)
        return (place < lit[:, :, None]).astype(np.uint8).reshape(len(x), -1)
