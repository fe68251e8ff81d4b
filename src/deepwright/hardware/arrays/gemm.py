"""One product of matrices, C[M, N] = A[M, K] B[K, N], and how often a network asks for it."""

from __future__ import annotations

from dataclasses import dataclass

from deepwright.core.errors import InputError
from deepwright.core.requirements import require_whole

LARGEST = 2**62
"""The largest size: products of several are whole numbers still, and floats can hold what they cost."""


@dataclass(frozen=True, slots=True)
class GEMM:
    """C[M, N] = A[M, K] B[K, N], where M counts tokens, K is summed over, and N counts output features.

    Attributes:
        M: rows of A: tokens, or the positions of an image.
        K: what is summed over.
        N: columns of B.
        count: repetitions one after the other (layers, steps of an LSTM), which never share an array.
        parallel: independent copies side by side (heads of attention, groups of a convolution).
        name: how the user knows it.
        group: products of one group don't depend on each other (queries, keys and values).

    Raises:
        InputError: a size that isn't a whole number from 1 to 2^62.
    """

    M: int
    K: int
    N: int
    count: int = 1
    parallel: int = 1
    name: str = ""
    group: str | None = None

    def __post_init__(self) -> None:
        for word in ("M", "K", "N", "count", "parallel"):
            value = getattr(self, word)
            if type(value) is not int:  # the fast way; a whole number of NumPy becomes Python's, which never wraps
                require_whole(1, **{word: value})
                value = int(value)
                object.__setattr__(self, word, value)
            if not 1 <= value <= LARGEST:
                raise InputError(word, given=f"{value}"[:24], expected="a whole number from 1 to 2^62")
        if not isinstance(self.name, str) or not isinstance(self.group, str | None):
            given = f"{self.name!r:.40} and {self.group!r:.40}"
            raise InputError("name and group", given=given, expected="words; None for no group")

    @property
    def copies(self) -> int:
        """How often it is done in all."""
        return self.count * self.parallel

    @property
    def macs(self) -> int:
        """Multiply-accumulates of all copies."""
        return self.M * self.K * self.N * self.copies


class Workload(list[GEMM]):
    """The products of a network's forward pass, in order, and what isn't among them.

    Args:
        gemms: in order.
        batch: samples of the input that was run; None where it isn't known.
        bytes_per_element: of the weights.
        unmapped: operations that multiply and that no array maps, named with the module that holds them.
        unmapped_macs: of these, where their number is known.
    """

    def __init__(
        self,
        gemms: list[GEMM],
        *,
        batch: int | None = None,
        bytes_per_element: int = 1,
        unmapped: tuple[str, ...] = (),
        unmapped_macs: int = 0,
    ) -> None:
        super().__init__(gemms)
        self.batch, self.bytes_per_element = batch, bytes_per_element
        self.unmapped, self.unmapped_macs = unmapped, unmapped_macs

    @property
    def macs(self) -> int:
        """Multiply-accumulates of all of them."""
        return sum(g.macs for g in self)


def require_gemms(gemms: object) -> list[GEMM]:
    """The products as a list.

    Args:
        gemms: what was given: a sequence, or one product.

    Raises:
        InputError: none, or something else among them.
    """
    if isinstance(gemms, GEMM):
        return [gemms]
    found = list(gemms) if isinstance(gemms, list | tuple) else None
    if found is None or not all(isinstance(g, GEMM) for g in found):
        given = type(gemms).__name__ if found is None else f"{next(g for g in found if not isinstance(g, GEMM))!r:.60}"
        raise InputError("gemms", given=given, expected="a list of GEMM(M, K, N)")
    if not found:
        raise InputError("gemms", given="none", expected="at least one product", hint="an empty list costs nothing")
    return found


def merged(gemms: list[GEMM]) -> list[GEMM]:
    """The same work with equal products that follow under one name counted once.

    Args:
        gemms: in order.
    """
    places: dict[tuple[object, ...], int] = {}
    found: list[GEMM] = []
    for g in gemms:
        key = (g.M, g.K, g.N, g.parallel, g.name, g.group)
        if g.group is None and key in places:
            old = found[places[key]]
            found[places[key]] = GEMM(g.M, g.K, g.N, old.count + g.count, g.parallel, g.name)
        else:
            places[key] = len(found)
            found.append(g)
    return found
