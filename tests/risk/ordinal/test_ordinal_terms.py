"""Terms of ordered classes against closed forms, an independent double loop, and invariants."""

from __future__ import annotations

import itertools
import warnings

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from deepwright.core.errors import InputError
from deepwright.risk import (
    ClassOrder,
    ContactDistanceLoss,
    ContactNeighborLoss,
    CumulativeLinkLoss,
    EntropyTerm,
    ExpectedSquaredErrorLoss,
    OrderedNeighborLoss,
    OrdinalLogLoss,
    OrdinalSegmentationLoss,
    QuasiUnimodalLoss,
    SoftLabelLoss,
    SquaredEMDLoss,
    TotalVariationLoss,
)
from deepwright.risk.ordinal import terms

TREE = ClassOrder.tree({0: {1: {2: None, 3: None}, 4: {5: None}}})


def random(classes: int, *positions: int, n: int = 2, seed: int = 0) -> tuple[Tensor, Tensor]:
    rng = torch.Generator().manual_seed(seed)
    z = torch.randn(n, classes, *positions, generator=rng, dtype=torch.float64)
    return z, torch.randint(classes, (n, *positions), generator=rng)


def pixel_terms(order: ClassOrder) -> list[torch.nn.Module]:
    return [
        OrderedNeighborLoss(order),
        QuasiUnimodalLoss(order=order),
        ExpectedSquaredErrorLoss(order=order),
        EntropyTerm(order),
        OrdinalLogLoss(order=order),
        SquaredEMDLoss(order),
        SoftLabelLoss(order=order),
        SoftLabelLoss("binomial", order=order),
        SoftLabelLoss("triangular", order=order),
    ]


def spatial_terms(order: ClassOrder) -> list[torch.nn.Module]:
    return [
        ContactNeighborLoss(order),
        ContactDistanceLoss(order, radius=3, threshold=0.3),
        ContactDistanceLoss(order, radius=3, threshold=0.3, signed=True),
        TotalVariationLoss(),
    ]


@pytest.mark.parametrize("classes", [2, 3, 4, 6])
def test_closed_forms_at_one_hot_answers_and_at_uniform_ones(classes: int) -> None:
    y = torch.arange(classes)[None]
    sure = (F.one_hot(y, classes).movedim(-1, 1) * 200.0).double()
    omega, k = 0.05, torch.arange(classes).double()
    order = ClassOrder.chain(classes)
    inner = (k > 0).double() + (k < classes - 1).double()
    co2 = OrderedNeighborLoss(order, reduction="none")
    assert torch.allclose(co2(sure, y)[0], omega * (classes - 1 - inner) / (classes - 1))
    qul = QuasiUnimodalLoss(reduction="none")
    assert torch.allclose(qul(sure, y)[0], omega * ((k - 1).clamp_min(0) + (classes - 2 - k).clamp_min(0)))
    assert float(ExpectedSquaredErrorLoss()(sure, y)) == pytest.approx(0, abs=1e-12)
    assert float(SquaredEMDLoss()(sure, y)) == pytest.approx(0, abs=1e-12)
    even = torch.zeros_like(sure)
    assert float(co2(even, y).mean()) == pytest.approx(omega)
    squares = (k[:, None] - k).square().mean(1)
    assert torch.allclose(ExpectedSquaredErrorLoss(reduction="none")(even, y)[0], squares)
    assert float(EntropyTerm()(even, y)) == pytest.approx(float(torch.tensor(float(classes)).log()))


def test_co2_sums_over_the_pairs_where_asked() -> None:
    z, y = random(5, 4)
    order = ClassOrder.chain(5)
    mean, total = (OrderedNeighborLoss(order, pairs=pairs)(z, y) for pairs in ("mean", "sum"))
    assert float(total) == pytest.approx(4 * float(mean))


def test_qul_is_the_sum_that_its_paper_writes() -> None:
    z, y = random(5, 7)
    p, m = z.softmax(1), 0.05
    for i, s in itertools.product(range(2), range(7)):
        q, label = p[i, :, s], int(y[i, s])
        want = 0.0
        for k in range(5):
            if k != label:
                step = 1 if k > label else -1
                anchor = label if abs(k - label) == 1 else label + step
                want += max(0.0, m + float(q[k] - q[anchor]))
        got = QuasiUnimodalLoss()(z[i : i + 1, :, s : s + 1], y[i : i + 1, s : s + 1])
        assert float(got) == pytest.approx(want)


def test_expected_squared_error_is_the_mean_square_and_can_be_fooled_without_variance() -> None:
    z, y = random(4, 9)
    k = torch.arange(4.0).double().reshape(1, 4, 1)
    want = (z.softmax(1) * (k - y[:, None]).square()).sum(1).mean()
    assert float(ExpectedSquaredErrorLoss()(z, y)) == pytest.approx(float(want), abs=1e-6)
    two_ends = torch.tensor([50.0, 0.0, 50.0]).double().reshape(1, 3, 1)
    middle = torch.tensor([[1]])
    assert float(ExpectedSquaredErrorLoss(0.0)(two_ends, middle)) == pytest.approx(0, abs=1e-12)
    assert float(ExpectedSquaredErrorLoss(1.0)(two_ends, middle)) == pytest.approx(1)


def test_graded_losses_by_hand() -> None:
    z, y = random(4, 6)
    p = z.softmax(1)
    apart = (torch.arange(4).reshape(1, 4, 1) - y[:, None]).abs().double()
    log_loss = -(apart**1.5 * (1 - p + 1e-6).log()).sum(1).mean()
    assert float(OrdinalLogLoss()(z, y)) == pytest.approx(float(log_loss))
    truth = F.one_hot(y, 4).movedim(-1, 1).double()
    emd = (p.cumsum(1) - truth.cumsum(1)).square().sum(1).mean()
    assert float(SquaredEMDLoss()(z, y)) == pytest.approx(float(emd))
    above = (torch.arange(3).reshape(1, 3, 1) < y[:, None]).double()
    cumulative = F.binary_cross_entropy_with_logits(z[:, :3], above)
    assert float(CumulativeLinkLoss()(z[:, :3], y)) == pytest.approx(float(cumulative))
    for kind in ("exponential", "binomial", "triangular"):
        labels = SoftLabelLoss(kind).labels(5)
        assert torch.allclose(labels.sum(1), torch.ones(5).double())
        assert labels.argmax(1).tolist() == list(range(5))
        assert torch.allclose(labels, labels.flip(0, 1))


def test_a_sure_and_wrong_answer_keeps_its_gradient_in_the_log_loss() -> None:
    z = torch.tensor([0.0, 0.0, 0.0, 15.0]).reshape(1, 4, 1).requires_grad_()
    OrdinalLogLoss()(z, torch.zeros(1, 1, dtype=torch.long)).backward()
    assert float(z.grad[0, 3]) > 0.1


def test_contact_of_two_halves_by_hand() -> None:
    for height, width in ((4, 6), (8, 8)):
        p = torch.zeros(1, 3, height, width)
        p[:, 0, :, : width // 2] = 80.0
        p[:, 2, :, width // 2 :] = 80.0
        assert float(ContactNeighborLoss(ClassOrder.chain(3))(p)) == pytest.approx(1 / (4 * (width - 1)))


def brute_force(p: Tensor, order: ClassOrder) -> float:
    distance, axes = order.distance, range(2, p.ndim)
    pairs = [(k, j) for k in range(p.shape[1]) for j in range(p.shape[1]) if distance[k, j] >= 2]
    total = 0.0
    for k, j in pairs:
        for axis in axes:
            length = p.shape[axis] - 1
            product = p[:, k].narrow(axis - 1, 0, length) * p[:, j].narrow(axis - 1, 1, length)
            total += float(distance[k, j] - 1) * float(product.mean()) / len(axes)
    return total / max(1, len(pairs))


@pytest.mark.parametrize("classes", [2, 3, 4, 6])
@pytest.mark.parametrize("positions", [(9,), (5, 6), (3, 4, 5)])
def test_contact_agrees_with_a_loop_over_pairs(classes: int, positions: tuple[int, ...]) -> None:
    z, _ = random(classes, *positions)
    order = ClassOrder.chain(classes)
    got = float(ContactNeighborLoss(order)(z))
    assert got == pytest.approx(brute_force(z.softmax(1), order), abs=1e-7)


def test_contact_of_a_tree_agrees_with_a_loop_and_leaves_siblings_alone() -> None:
    z, _ = random(6, 4, 5)
    assert float(ContactNeighborLoss(TREE)(z)) == pytest.approx(brute_force(z.softmax(1), TREE), abs=1e-7)
    siblings = torch.full((1, 6, 2, 4), -80.0)
    siblings[:, 2, :, :2] = siblings[:, 4, :, 2:] = 80.0
    assert float(ContactNeighborLoss(TREE)(siblings)) < 1e-12
    assert float(ContactDistanceLoss(TREE)(siblings)) < 1e-12
    co2 = OrderedNeighborLoss(TREE, reduction="none")
    house = torch.zeros(1, 2, 4, dtype=torch.long) + 4
    other = siblings.clone()
    other[:, 2:4] = other[:, 2:4].flip(1)  # what the other branch's classes are given doesn't matter
    assert torch.equal(co2(siblings, house), co2(other, house))


@pytest.mark.parametrize("make", [pixel_terms, spatial_terms])
def test_a_tree_that_is_a_path_is_the_chain_and_classes_may_come_in_any_order(make) -> None:
    z, y = random(4, 5, 6)
    path = ClassOrder.tree({0: {1: {2: {3: None}}}})
    mixed = ClassOrder.parse("a<b<c<d", ("c", "a", "d", "b"))
    columns = torch.tensor([2, 0, 3, 1])  # a class's place in the chain
    backwards = [make(ClassOrder.chain(4)), make(path), make(mixed)]
    for chain, tree, other in zip(*backwards):
        want = chain(z, y)
        assert torch.allclose(tree(z, y), want)
        assert torch.allclose(other(z[:, columns], columns.argsort()[y]), want)


@pytest.mark.parametrize("make", [pixel_terms, spatial_terms])
def test_the_order_read_backwards_changes_nothing(make) -> None:
    z, y = random(4, 5, 6)
    for term in make(ClassOrder.chain(4)):
        assert torch.allclose(term(z.flip(1), 3 - y), term(z, y))


@pytest.mark.parametrize("make", [pixel_terms, spatial_terms])
def test_gradients_are_those_of_the_values(make) -> None:
    z, y = random(4, 3, 4, n=1, seed=3)
    z.requires_grad_()
    for term in make(ClassOrder.chain(4)):
        term.eval()
        assert torch.autograd.gradcheck(lambda t, term=term: term(t, y), (z,), atol=1e-5)


@pytest.mark.parametrize("make", [pixel_terms, spatial_terms])
def test_positions_that_do_not_count_do_not(make) -> None:
    z, y = random(4, 5, 6)
    hidden = torch.zeros_like(y, dtype=torch.bool)
    hidden[:, :, 3:] = True
    wild = torch.where(hidden[:, None], torch.randn(z.shape, dtype=z.dtype) * 9, z)
    for term in make(ClassOrder.chain(4)):
        term.ignore_index = 255
        values = [term(t, y.masked_fill(hidden, 255)) for t in (z, wild)]
        assert torch.allclose(*values)
        assert torch.allclose(values[0], term(z[..., :3], y[..., :3]))
        z2 = z.clone().requires_grad_()
        nothing = term(z2, torch.full_like(y, 255))
        nothing.backward()
        assert float(nothing.detach()) == 0
        assert float(z2.grad.abs().sum()) == 0


def test_distance_term_of_two_far_probabilities_and_empty_masks() -> None:
    p = torch.zeros(1, 4, 8, 8)
    p[:, 0], p[:, 2] = 0.9, 0.1
    z = (p + 1e-30).log()
    assert float(ContactDistanceLoss(ClassOrder.chain(4))(z)) == pytest.approx(0.1 / 2, abs=1e-6)


@pytest.mark.parametrize("positions", [(12,), (9, 11), (5, 6, 7)])
def test_signed_distance_without_gain_is_the_distance_term(positions: tuple[int, ...]) -> None:
    z, _ = random(4, *positions)
    order = ClassOrder.chain(4)
    plain = ContactDistanceLoss(order, 4, threshold=0.4)
    assert torch.equal(plain(z), ContactDistanceLoss(order, 4, threshold=0.4, signed=True, inside_gain=0.0)(z))


def test_nearness_moves_with_its_mask_and_covers_what_has_no_outside() -> None:
    term = ContactDistanceLoss(ClassOrder.chain(3), 4, signed=True)
    p = torch.zeros(1, 3, 30, 30)
    p[0, 1, 8:14, 9:13] = 1.0
    w, moved = term.nearness(p), term.nearness(p.roll((3, 5), (2, 3)))
    assert torch.equal(w.roll((3, 5), (2, 3)), moved)
    assert not bool(w[0, 0].any())
    assert torch.equal(term.nearness(torch.ones(1, 3, 4, 4)), torch.full((1, 3, 4, 4), 2.0))
    wide = ContactDistanceLoss(ClassOrder.chain(3), 4.0, spacing=(2.0, 1.0)).nearness(p)
    assert float(wide[0, 1, 6, 10]) == pytest.approx((4 - 2 * 2) / 4)
    assert float(wide[0, 1, 10, 7]) == pytest.approx((4 - 2) / 4)


def test_two_classes_touch_freely() -> None:
    z, y = random(2, 5, 6)
    z.requires_grad_()
    for term in spatial_terms(ClassOrder.chain(2))[:3]:
        value = term(z, y)
        value.backward()
        assert float(value.detach()) == 0
        assert float(z.grad.abs().sum()) == 0


@pytest.mark.parametrize("make", [pixel_terms, spatial_terms])
def test_half_precision_is_computed_in_float32(make) -> None:
    z, y = random(4, 5, 6)
    half = z.bfloat16()
    for term in make(ClassOrder.chain(4)):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            got = term(half, y)
        assert got.dtype == torch.float32
        assert torch.allclose(got, term(half.float(), y))


def test_combined_loss_grows_its_terms_and_warns_of_a_lost_class() -> None:
    z, y = random(4, 5, 6)
    order = ClassOrder.chain(4)
    term = ContactNeighborLoss(order)
    loss = OrdinalSegmentationLoss(terms={"contact": (term, 10.0)}, warmup=4)
    base, extra = F.cross_entropy(z, y), term(z)
    for step in range(1, 7):
        assert float(loss(z, y)) == pytest.approx(float(base + min(1, step / 4) * 10 * extra), rel=1e-6)
    assert float(loss.eval()(z, y)) == pytest.approx(float(base + 10 * extra))
    never = z.clone()
    never[:, 3] = -99
    lost = OrdinalSegmentationLoss()
    for _ in range(49):
        lost(never, y)
    with pytest.warns(UserWarning, match="class 3 was predicted nowhere"):
        lost(never, y)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(50):
            lost(z, y)


def test_combined_loss_weighs_classes_and_ignores_as_cross_entropy_does() -> None:
    z, y = random(4, 5, 6)
    y[0] = 255
    weight = torch.tensor([1.0, 2.0, 3.0, 4.0]).double()
    want = F.cross_entropy(z, y, weight, ignore_index=255)
    loss = OrdinalSegmentationLoss(ignore_index=255, class_weight=weight).eval()
    assert float(loss(z, y)) == pytest.approx(float(want))
    assert float(loss(z, torch.full_like(y, 255))) == 0
    dice = OrdinalSegmentationLoss("dice_ce").eval()
    truth = F.one_hot(y[1:], 4).movedim(-1, 1).double()
    assert float(dice(truth * 200, y[1:])) == pytest.approx(0, abs=1e-9)


def test_bad_input_is_named() -> None:
    order = ClassOrder.chain(3)
    z, y = random(3, 4, 4)
    with pytest.raises(InputError, match=r"labels 0\.\.3"):
        OrderedNeighborLoss(order)(z, torch.full_like(y, 3).index_fill(1, torch.tensor(0), 0))
    with pytest.raises(InputError, match="target"):
        OrderedNeighborLoss(order)(z, y.float())
    with pytest.raises(InputError, match="columns"):
        ContactNeighborLoss(order)(torch.zeros(1, 4, 3, 3))
    with pytest.raises(InputError, match="spacing"):
        ContactDistanceLoss(order, spacing=(1.0,))(z)
    with pytest.raises(InputError, match="radius"):
        ContactDistanceLoss(order, 0.0)
    with pytest.raises(InputError, match="a circle"):
        ClassOrder((1, 2, 0))
    with pytest.raises(InputError, match="a tree"):
        QuasiUnimodalLoss(order=TREE)(torch.zeros(1, 6, 2), torch.zeros(1, 2, dtype=torch.long))
    with pytest.raises(InputError, match="lacks c"):
        ClassOrder.parse("a<b", ("a", "b", "c"))
    with pytest.raises(InputError, match="'x' in"):
        ClassOrder.parse("a<x", ("a", "b"))
    with pytest.raises(InputError, match="inside of 'a' and 'b'"):
        ClassOrder.parse("a<c, b<c", ("a", "b", "c"))
    assert ClassOrder.parse("a<b, c", ("a", "b", "c")).text == "a<b, c"
    with torch.autograd.set_detect_anomaly(True), pytest.raises(InputError, match="NaN"):
        ContactNeighborLoss(order)(torch.full((1, 3, 2, 2), float("nan")))


def test_a_class_called_only_where_labels_do_not_count_is_warned_of() -> None:
    z, y = torch.zeros(1, 3, 4, 4), torch.zeros(1, 4, 4, dtype=torch.long)
    z[:, 0] = 5
    z[0, 2, 0, 0] = 9
    y[0, 3, 3], y[0, 0, 0] = 2, 255
    ignoring = OrdinalSegmentationLoss(ignore_index=255)
    by_module = OrdinalSegmentationLoss(torch.nn.CrossEntropyLoss(ignore_index=255))
    for loss in (ignoring, by_module):
        for _ in range(49):
            loss(z, y)
        with pytest.warns(UserWarning, match="class 2 was predicted nowhere"):
            loss(z, y)


@pytest.mark.parametrize("wrong", [255, -100, 4])
def test_where_looking_would_wait_labels_out_of_range_make_loss_and_gradients_nan(
    wrong: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    order = ClassOrder.chain(4)
    z, y = random(4, 5, 6)
    losses = [*pixel_terms(order), *spatial_terms(order), *map(OrdinalSegmentationLoss, ("ce", "dice_ce"))]
    want = [float(loss.eval()(z, y)) for loss in losses]
    monkeypatch.setattr(terms, "_read_at_once", lambda device: False)
    assert [float(loss(z, y)) for loss in losses] == want
    y[0, 0, 0] = wrong
    for loss in losses:
        seen = z.clone().requires_grad_()
        value = loss(seen, y)
        (grad,) = torch.autograd.grad(value, seen)
        assert bool(value.isnan())
        assert bool(grad.isnan().any())
    ignoring = OrderedNeighborLoss(order, ignore_index=wrong)
    assert bool(ignoring(z, y).isfinite())
