"""A Booleanizer in C: the same comparisons on the same thresholds, to the last bit of a double."""

from __future__ import annotations

import numpy as np

from deepwright.weightless.encoders import Booleanizer
from deepwright.weightless.export.c_texts import fill

_DECLARED = """\
#define @N@_NUMBERS @numbers@
void @n@_encode(const double *x, uint8_t *bits); /* @N@_NUMBERS numbers in, @N@_FEATURES bits out; no NaN */"""

_DEFINED = """
static const double @n@_thresholds[@places@ * @N@_NUMBERS] = {
@thresholds@};

void @n@_encode(const double *x, uint8_t *bits) {
    uint32_t i, k;
    for (i = 0; i < @N@_NUMBERS; ++i) {
        uint32_t below = 0;
        for (k = 0; k < @places@; ++k) {
            below += x[i] > @n@_thresholds[k * @N@_NUMBERS + i];
        }
        for (k = 0; k < @width@; ++k) {
            bits[i * @width@ + k] = (uint8_t)(@code@);
        }
    }
}
"""


def encoder(coder: Booleanizer | None, name: str) -> tuple[str, str]:
    """Declaration and definition of `name_encode`; two empty texts where there is nothing to encode.

    Args:
        coder: fitted.
        name: prefix of the names.
    """
    if coder is None or coder.method == "binary":
        return "", ""
    places, count = coder.thresholds_.shape
    width = coder.n_bits_ // count
    lit = "below + 1u" if coder.method == "thermometer" and not coder.compact else "below"
    if coder.method == "quantile_onehot" and width > 1:
        code = f"{width - 1}u - k == below"
    else:
        code = f"{width - 1}u - k < {lit}"
    exact = [repr(float(v)) for v in coder.thresholds_.ravel()]
    values = {
        "n": name,
        "N": name.upper(),
        "numbers": str(count),
        "places": str(places),
        "width": str(width),
        "code": code,
        "thresholds": ",\n".join(",".join(exact[i : i + 8]) for i in range(0, len(exact), 8)),
    }
    return fill(_DECLARED, values), fill(_DEFINED, values)


def near_thresholds(coder: Booleanizer) -> np.ndarray | None:
    """Numbers at, just below and just above each threshold, and far from all; None where nothing is encoded.

    Args:
        coder: fitted.

    Returns:
        (samples, numbers) doubles.
    """
    if coder.method == "binary":
        return None
    at = coder.thresholds_.astype(np.float64)
    far = np.abs(at).max() + 1.0
    ends = np.full((2, at.shape[1]), far)
    ends[0] *= -1
    return np.ascontiguousarray(np.concatenate([at, np.nextafter(at, -np.inf), np.nextafter(at, np.inf), ends]))
