"""What of a network could go: constant, equal and common tables, addresses never seen, spare products."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from deepwright.weightless.inputs import as_bits
from deepwright.weightless.mapping import addresses, blocks
from deepwright.weightless.tables import BinaryWNN
from deepwright.weightless.two_level import MOST_INPUTS, minimise


@dataclass(frozen=True)
class Compression:
    """What could be left out of a network.

    Attributes:
        tables: tables of all classes.
        constant: of these, with equal entries: a number to add to the votes instead.
        duplicate: equal to another one with the same inputs.
        common: places whose tables are the same for all classes: they never change which class wins.
        entries: addresses of all places, luts x 2^n.
        unseen: of these, addresses that no sample had; None without samples.
        ones: entries that are 1, over all classes: the products of tables that aren't minimised.
        products: of sums of products for all tables; None beyond six inputs.
        literals: inputs that these products ask for.
        products_seen: products where unseen addresses may say anything; None without samples or beyond six inputs.
        literals_seen: inputs that those ask for.
    """

    tables: int
    constant: int
    duplicate: int
    common: int
    entries: int
    unseen: int | None
    ones: int
    products: int | None
    literals: int | None
    products_seen: int | None
    literals_seen: int | None

    def __str__(self) -> str:
        rows = [
            f"{self.tables} tables: {self.constant} constant, {self.duplicate} twice there; "
            f"{self.common} places vote the same for all classes",
            f"{self.ones} entries are 1",
        ]
        if self.unseen is not None:
            rows.append(f"{self.unseen} of {self.entries} addresses were never seen")
        if self.products is not None:
            rows.append(f"sums of products: {self.products} products, {self.literals} literals")
        if self.products_seen is not None:
            rows.append(
                f"where unseen addresses are free: {self.products_seen} products, {self.literals_seen} literals"
            )
        return "\n".join(rows)


def seen_addresses(network: BinaryWNN, X: Any) -> np.ndarray:
    """Which addresses samples have, (luts, 2^n) of booleans.

    Args:
        network: whose addresses they are.
        X: Boolean features (samples, features).
    """
    bits = as_bits(X, network.features)
    found = np.zeros(network.tables.shape[:2], dtype=bool)
    own = np.arange(len(found))
    for part in blocks(len(bits), len(found)):
        found[own, addresses(bits[part], network.mapping)] = True
    return found


def compression(network: BinaryWNN, X: Any = None) -> Compression:
    """Count what could be left out. Products with free addresses answer differently where no sample was.

    Args:
        network: to look at.
        X: Boolean features (samples, features) of training, for addresses never seen.
    """
    luts, size, classes = network.tables.shape
    estimate = network.resources()
    seen = None if X is None else seen_addresses(network, X)
    flat = network.tables.transpose(0, 2, 1).reshape(luts * classes, size)
    whole = free = None
    if network.n_inputs <= MOST_INPUTS:
        whole = minimise(flat)
        free = None if seen is None else minimise(flat, np.repeat(seen, classes, axis=0))
    return Compression(
        tables=len(flat),
        constant=estimate.constant,
        duplicate=estimate.duplicate,
        common=int((network.tables == network.tables[:, :, :1]).all(axis=(1, 2)).sum()),
        entries=luts * size,
        unseen=None if seen is None else int((~seen).sum()),
        ones=int(network.tables.sum(dtype=np.int64)),
        products=None if whole is None else int(whole.count.sum()),
        literals=None if whole is None else int(whole.literals.sum()),
        products_seen=None if free is None else int(free.count.sum()),
        literals_seen=None if free is None else int(free.literals.sum()),
    )
