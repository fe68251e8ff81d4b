"""Which operations work element by element: a table of ours.

torch tags such operations itself, but its tags differ between versions (2.11 leaves out `leaky_relu`) and some are
missing in all of them (`hardswish`). A name that isn't here and has no rule of its own freezes what it touches and is
listed by name.
"""

from __future__ import annotations

_ACTIVATIONS = """
celu elu gelu hardshrink hardsigmoid hardswish hardtanh leaky_relu log_sigmoid logit mish relu relu6 rrelu selu sigmoid
silu softplus softshrink tanh threshold
"""
_ARITHMETIC = """
add addcdiv addcmul clamp clamp_max clamp_min clip copysign div divide float_power floor_divide fmax fmin fmod gcd hypot
lcm ldexp lerp maximum minimum mul multiply nextafter pow remainder rsub sub subtract true_divide
"""
_FUNCTIONS = """
_conj_physical abs absolute acos acosh angle arccos arccosh arcsin arcsinh arctan arctan2 arctanh asin asinh atan atan2
atanh ceil conj_physical cos cosh deg2rad digamma erf erfc erfinv exp exp2 expm1 fix floor frac i0 igamma igammac lgamma
log log10 log1p log2 logaddexp logaddexp2 mvlgamma nan_to_num neg negative polygamma positive rad2deg reciprocal round
rsqrt sgn sign sin sinc sinh sqrt square tan trunc xlogy
"""
_SPECIAL = """
airy_ai bessel_j0 bessel_j1 bessel_y0 bessel_y1 chebyshev_polynomial_t chebyshev_polynomial_u chebyshev_polynomial_v
chebyshev_polynomial_w digamma entr erf erfc erfcx erfinv exp2 expit expm1 gammainc gammaincc gammaln
hermite_polynomial_h hermite_polynomial_he i0 i0e i1 i1e laguerre_polynomial_l legendre_polynomial_p log1p log_ndtr
logit modified_bessel_i0 modified_bessel_i1 modified_bessel_k0 modified_bessel_k1 multigammaln ndtr ndtri polygamma psi
round scaled_modified_bessel_k0 scaled_modified_bessel_k1 shifted_chebyshev_polynomial_t shifted_chebyshev_polynomial_u
shifted_chebyshev_polynomial_v shifted_chebyshev_polynomial_w sinc spherical_bessel_j0 xlog1py xlogy zeta
"""
_COMPARISONS = """
eq ge greater greater_equal gt heaviside isfinite isinf isnan isneginf isposinf le less less_equal logical_and
logical_not logical_or logical_xor lt masked_fill ne not_equal signbit where
"""
_BITS = """
__and__ __ilshift__ __irshift__ __ixor__ __lshift__ __or__ __rshift__ __xor__ bitwise_and bitwise_left_shift bitwise_not
bitwise_or bitwise_right_shift bitwise_xor
"""

ELEMENTWISE: frozenset[str] = frozenset(
    [
        *(_ACTIVATIONS + _ARITHMETIC + _FUNCTIONS + _COMPARISONS + _BITS).split(),
        *(f"special_{name}" for name in _SPECIAL.split()),
    ]
)
"""Base names (`relu` also for `relu_`) of operations whose output at a place depends on the inputs' same place only."""
