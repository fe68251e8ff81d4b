"""What slabs are held against: arrays in one piece with three dataflows, pods that can't fuse, forms that change."""

from __future__ import annotations

from deepwright.hardware.arrays.array import DATAFLOWS, SISA, TPU_V4, ReshapingArray, SystolicArray

PODS_16X128 = SystolicArray(rows=16, cols=128, copies=8)
PODS_16X16 = SystolicArray(rows=16, cols=16, copies=64)


def redas_like(n: int = 128, halvings: int = 7, drain: str = "overlap") -> ReshapingArray:
    """An array that takes the best of the shapes (n / 2^i) x (n 2^i) and of three dataflows, product by product.

    After ReDas (arXiv 2302.07520), which has 129 shapes; their list wasn't at hand, so this is only like it.

    Args:
        n: side of the square, which 2 ** halvings divides.
        halvings: the largest i.
        drain: of the results; "serial" is that of the output-stationary forms alone.
    """
    forms = [
        SystolicArray(n >> i, n << i, flow, drain=drain if flow == "os" or drain != "serial" else "overlap")
        for i in range(halvings + 1)
        for flow in DATAFLOWS
    ]
    return ReshapingArray(tuple(forms))


ARRAYS: dict[str, SystolicArray | ReshapingArray] = {
    "monolithic OS": TPU_V4,
    "monolithic WS": SystolicArray(dataflow="ws"),
    "monolithic IS": SystolicArray(dataflow="is"),
    "pods 16 x 128": PODS_16X128,
    "pods 16 x 16": PODS_16X16,
    "redas-like": redas_like(),
    "SISA": SISA,
}
"""The arrays that the study compares, all of 16,384 PEs; the first is what speed-ups are relative to."""
