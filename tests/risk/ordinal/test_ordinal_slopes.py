"""Known slopes against the formulas written plainly and walked back by autograd."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from deepwright.data.imaging import distance_to
from deepwright.risk import ClassOrder, ContactNeighborLoss, OrderedNeighborLoss, QuasiUnimodalLoss
from deepwright.risk.ordinal import slopes

TREE = ClassOrder.tree({0: {1: {2: None, 3: None}, 4: {5: None}}})


def drawn(classes: int, *positions: int, n: int = 3) -> tuple[Tensor, Tensor]:
    rng = torch.Generator().manual_seed(1)
    z = torch.randn(n, classes, *positions, generator=rng, dtype=torch.float64)
    return z.mul(2).requires_grad_(), torch.randint(classes, (n, *positions), generator=rng)


def plain_co2(p: Tensor, y: Tensor, order: ClassOrder) -> Tensor:
    pairs = [(parent, k) for k, parent in enumerate(order.parents) if parent >= 0]
    total, count = torch.zeros_like(p[:, 0]), torch.zeros_like(p[:, 0])
    for outer, inner in pairs:
        counts = order.related[:, outer][y] & order.related[:, inner][y]
        sign = torch.where(order.inside[y, inner], -1.0, 1.0)
        total = total + torch.relu(0.05 + sign * (p[:, inner] - p[:, outer])) * counts
        count = count + counts
    return (total / count.clamp_min(1)).mean()


def plain_qul(p: Tensor, y: Tensor) -> Tensor:
    total = p.new_zeros(())
    for label in range(p.shape[1]):
        here = p.movedim(1, 0)[:, y == label]
        for k in range(p.shape[1]):
            if k != label:
                anchor = label if abs(k - label) == 1 else label + (1 if k > label else -1)
                total = total + torch.relu(0.05 + here[k] - here[anchor]).sum()
    return total / y.numel()


def plain_contact(p: Tensor, order: ClassOrder, valid: Tensor | None = None) -> Tensor:
    pairs = [(k, j) for k in range(order.classes) for j in range(order.classes) if order.distance[k, j] >= 2]
    total = p.new_zeros(())
    for axis in range(2, p.ndim):
        length = p.shape[axis] - 1
        both = torch.ones_like(p[:, 0], dtype=torch.bool) if valid is None else valid
        both = both.narrow(axis - 1, 0, length) & both.narrow(axis - 1, 1, length)
        for k, j in pairs:
            product = p[:, k].narrow(axis - 1, 0, length) * p[:, j].narrow(axis - 1, 1, length)
            total = total + (order.distance[k, j] - 1) * (product * both).sum() / both.sum().clamp_min(1)
    return total / (len(pairs) * (p.ndim - 2))


def agree(got: Tensor, want: Tensor, z: Tensor) -> None:
    assert torch.allclose(got, want, rtol=1e-12, atol=1e-14)
    (one,), (other,) = (torch.autograd.grad(value * 3, z, retain_graph=True) for value in (got, want))
    assert torch.allclose(one, other, rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize("at_once", [1, 10**9])
@pytest.mark.parametrize("order", [ClassOrder.chain(2), ClassOrder.chain(5), TREE])
def test_values_and_gradients_are_those_of_the_plain_formulas(
    order: ClassOrder, at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slopes, "_IN_CACHE", at_once)
    for positions in ((9,), (5, 6), (3, 4, 2), (1, 4)):
        z, y = drawn(order.classes, *positions)
        agree(OrderedNeighborLoss(order)(z, y), plain_co2(z.softmax(1), y, order), z)
        if order is not TREE:
            agree(QuasiUnimodalLoss()(z, y), plain_qul(z.softmax(1), y), z)
    for positions in ((9,), (5, 6), (3, 4, 2)):
        z, y = drawn(order.classes, *positions)
        if bool((order.distance >= 2).any()):
            agree(ContactNeighborLoss(order)(z, y), plain_contact(z.softmax(1), order), z)
            hidden = y == 0
            got = ContactNeighborLoss(order, ignore_index=0)(z, y)
            agree(got, plain_contact(z.softmax(1), order, ~hidden), z)


CHAIN = ClassOrder.chain(4)
TERMS: list[Callable[[Tensor, Tensor], Tensor]] = [
    OrderedNeighborLoss(CHAIN),
    OrderedNeighborLoss(CHAIN, reduction="none"),
    QuasiUnimodalLoss(),
    ContactNeighborLoss(CHAIN),
]


@pytest.mark.parametrize("term", TERMS)
def test_second_derivatives_hold(term: Callable[[Tensor, Tensor], Tensor]) -> None:
    z, y = drawn(4, 2, 3, n=2)
    assert torch.autograd.gradcheck(lambda t: term(t, y), (z,))
    assert torch.autograd.gradgradcheck(lambda t: term(t, y), (z,))


def test_gradients_of_many_models_at_once() -> None:
    term = ContactNeighborLoss(CHAIN)
    z = torch.stack([drawn(4, 3, 4)[0].detach() * scale for scale in (1, 2)])
    together = torch.func.vmap(torch.func.grad(term))(z)
    for one, got in zip(z, together, strict=True):
        assert torch.allclose(got, torch.func.grad(term)(one))


def test_a_batch_of_none_and_a_row_of_one_give_zero() -> None:
    for shape in ((0, 4, 3, 3), (2, 4, 1, 1)):
        z = torch.zeros(shape, requires_grad=True)
        value = ContactNeighborLoss(CHAIN)(z)
        value.backward()
        assert float(value.detach()) == 0


@pytest.mark.parametrize("positions", [(40,), (13, 17), (5, 6, 7)])
def test_distances_within_a_limit_are_those_without(positions: tuple[int, ...]) -> None:
    mask = torch.rand(3, 2, *positions, generator=torch.Generator().manual_seed(0)) > 0.97
    mask[0, 0] = False
    free = distance_to(mask, len(positions))
    for limit in (2.5, 10.0, 30.0):
        near = distance_to(mask, len(positions), limit=limit)
        assert torch.allclose(near, free.masked_fill(free > limit, torch.inf))
