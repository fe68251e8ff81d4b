"""The products of a network at any batch, told from two of its passes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from deepwright.core.errors import InputError
from deepwright.core.requirements import require_whole
from deepwright.hardware.arrays.gemm import GEMM, Workload


def at_batch(one: Workload, other: Workload, batch: int) -> Workload:
    """The products at a batch that wasn't run: what grew from one batch to the other grows on, in proportion.

    Args:
        one: of a pass.
        other: of a pass with another batch of the same inputs.
        batch: samples.

    Raises:
        InputError: passes of one batch, of different products, or in which something grew out of proportion.
    """
    require_whole(1, batch=batch)
    if not isinstance(one, Workload) or not isinstance(other, Workload):
        given = f"{type(one).__name__} and {type(other).__name__}"
        raise InputError("passes", given=given, expected="two of gemms_from_module")
    if not one.batch or not other.batch or one.batch == other.batch:
        raise InputError("passes", given=f"batches {one.batch} and {other.batch}", expected="two different ones")
    if len(one) != len(other):
        raise InputError("passes", given=f"{len(one)} and {len(other)} products", expected="the same products")
    found = [_grown(a, b, one.batch, other.batch, batch) for a, b in zip(one, other)]
    return Workload(
        found,
        batch=batch,
        bytes_per_element=one.bytes_per_element,
        unmapped=tuple(dict.fromkeys((*one.unmapped, *other.unmapped))),
        unmapped_macs=_size("unmapped MACs", one.unmapped_macs, other.unmapped_macs, one.batch, other.batch, batch),
    )


def _grown(a: GEMM, b: GEMM, of_a: int, of_b: int, batch: int) -> GEMM:
    sizes = {}
    for word in ("M", "K", "N", "count", "parallel"):
        label = f"{word} of {a.name or 'a product'}"
        sizes[word] = _size(label, getattr(a, word), getattr(b, word), of_a, of_b, batch)
    changed: dict[str, Any] = sizes
    return replace(a, **changed)


def _size(label: str, before: int, after: int, of_a: int, of_b: int, batch: int) -> int:
    if before == after:
        return before
    if before * of_b != after * of_a or (before * batch) % of_a:
        given = f"{label}: {before} and {after} at batches {of_a} and {of_b}"
        raise InputError("passes", given=given, expected="sizes that grow in proportion, or not at all")
    return before * batch // of_a
