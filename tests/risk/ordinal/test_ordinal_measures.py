"""Heads, decodes, repairs, measures and the check of an order, against counts by hand and independent references."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.ndimage import distance_transform_edt
from sklearn.metrics import cohen_kappa_score
from torch import Tensor, nn

from deepwright.core.errors import InputError
from deepwright.core.tasks import Segmentation
from deepwright.data import make_nested_anatomy, make_tree_scene
from deepwright.data.named.anatomy import BRANCHES
from deepwright.risk import (
    ClassOrder,
    ContainmentViolation,
    HardOrdinalHead,
    InvalidContactRate,
    OrdinalEncodingHead,
    OrdinalScores,
    UnimodalHead,
    UnimodalPixelRate,
    decode,
    find_order,
    forbidden_pairs,
    ordinal_inconsistency,
    repair_labels,
    require_order,
    surface_distances,
    wrap_logits,
)

CHAIN = ClassOrder.chain(4)
SCENE = ClassOrder.parse("ground<road<marking, road<crossing, ground<house<window", BRANCHES)


def rate(labels: Tensor, order: ClassOrder = CHAIN) -> InvalidContactRate:
    metric = InvalidContactRate(order)
    metric.update(labels)
    return metric


def noisy(n: int = 3, size: int = 16, classes: int = 4) -> Tensor:
    return torch.randn(n, classes, size, size, generator=torch.Generator().manual_seed(1)).softmax(1)


def test_contacts_of_stripes_are_pooled_or_averaged_over_axes() -> None:
    stripes = torch.tensor([0, 2]).repeat(4).expand(1, 8, 8)
    metric = rate(stripes)
    assert float(metric.compute()) == 1.0
    assert float(metric.published()) == 0.5
    assert metric.absent() == (1, 3)
    assert math.isnan(float(rate(torch.zeros(1, 3, 3, dtype=torch.long)).compute()))


def test_contacts_of_a_tree_skip_what_is_not_related() -> None:
    labels = torch.tensor([[[0, 2, 4, 1, 5, 0]]])  # of these only 0-2 and 5-0 are related, and both are forbidden
    metric = rate(labels, SCENE)
    assert metric.counts.sum(0).tolist() == [2, 2]
    assert forbidden_pairs(labels, SCENE) == ((0, 2, 1), (0, 5, 1))
    chain = ClassOrder.tree({0: {1: {2: {3: None}}}})
    maps = noisy().argmax(1)
    assert float(rate(maps, chain).compute()) == float(rate(maps).compute())


def test_contacts_against_a_loop_with_positions_that_do_not_count() -> None:
    maps = noisy(2, 6).argmax(1)
    valid = torch.rand(maps.shape, generator=torch.Generator().manual_seed(2)) < 0.7
    bad = total = 0
    for n, i, j in np.ndindex(*maps.shape):
        for a, b in ((i + 1, j), (i, j + 1)):
            if a < 6 and b < 6 and valid[n, i, j] and valid[n, a, b]:
                apart = abs(int(maps[n, i, j] - maps[n, a, b]))
                total, bad = total + (apart > 0), bad + (apart > 1)
    metric = InvalidContactRate(CHAIN)
    metric.update(maps, valid)
    assert metric.counts.sum(0).tolist() == [bad, total]


def test_shards_merge_to_one_pass() -> None:
    p = noisy(6)
    y = noisy(6).flip(0).argmax(1)
    for make, whole, parts in (
        (lambda: InvalidContactRate(CHAIN), (p,), [(p[:2],), (p[2:],)]),
        (lambda: UnimodalPixelRate(), (p,), [(p[:2],), (p[2:],)]),
        (lambda: ContainmentViolation(CHAIN), (p,), [(p[:2],), (p[2:],)]),
        (lambda: OrdinalScores(CHAIN), (p, y), [(p[:2], y[:2]), (p[2:], y[2:])]),
    ):
        once, sharded = make(), [make(), make()]
        once.update(*whole)
        for metric, part in zip(sharded, parts):
            metric.update(*part)
        sharded[0].merge_state(sharded[1])
        torch.testing.assert_close(sharded[0].compute(), once.compute())


def test_unimodal_pixels_by_the_published_rule_and_by_the_sound_one() -> None:
    rows = torch.tensor([[0.1, 0.2, 0.6, 0.1], [0.4, 0.1, 0.4, 0.1], [0.0, 1.0, 0.0, 0.0]])
    p = rows.T[None]
    published, sound = UnimodalPixelRate(), UnimodalPixelRate(ignore_zeros=True)
    published.update(p)
    sound.update(p)
    assert float(published.compute()) == pytest.approx(1 / 3)  # flat tails change the sign from 0 to 1 and to 0
    assert float(sound.compute()) == pytest.approx(2 / 3)


def test_scores_agree_with_other_formulas() -> None:
    called, y = noisy().argmax(1), noisy().flip(2).argmax(1)
    scores = OrdinalScores(CHAIN)
    scores.update(called, y)
    found = scores.compute()
    a, b = called.flatten().numpy(), y.flatten().numpy()
    assert float(found["kappa"]) == pytest.approx(cohen_kappa_score(a, b, weights="quadratic"))
    assert float(found["mae"]) == pytest.approx(np.abs(a - b).mean())
    dice = [2 * ((a == k) & (b == k)).sum() / ((a == k).sum() + (b == k).sum()) for k in range(4)]
    assert found["dice"].tolist() == pytest.approx(dice)
    absent = OrdinalScores(CHAIN)
    absent.update(torch.zeros(1, 2, 2, dtype=torch.long), torch.zeros(1, 2, 2, dtype=torch.long))
    assert float(absent.compute()["macro_dice"]) == 1.0
    tree = OrdinalScores(SCENE)
    tree.update(torch.tensor([[2]]), torch.tensor([[5]]))
    assert float(tree.compute()["mae"]) == 4


def test_containment_counts_parts_that_touch_what_they_may_not() -> None:
    y = torch.zeros(1, 12, 12, dtype=torch.long)
    y[0, 2:10, 2:10] = 1
    y[0, 4:8, 4:8] = 2
    order = ClassOrder.chain(3)
    metric = ContainmentViolation(order)
    metric.update(y)
    assert float(metric.compute()) == 0.0
    y[0, 11, 11] = 2  # on the edge, and beside the background: as a part of {1, 2}, and as one of {2}
    y[0, 5, 5] = 1
    metric = ContainmentViolation(order)
    metric.update(y)
    assert float(metric.compute()) == pytest.approx(2 / 4)
    assert metric.regions() == {1: {"extra": 1.0, "holes": 0.0}, 2: {"extra": 1.0, "holes": 1.0}}
    inside = ContainmentViolation(order, border=False)
    inside.update(y)
    assert float(inside.compute()) == pytest.approx(1 / 4)


def test_surfaces_of_squares_and_against_a_search() -> None:
    a, b = torch.zeros(1, 20, 20, dtype=torch.long), torch.zeros(1, 20, 20, dtype=torch.long)
    a[0, 5:10, 5:10] = 1
    b[0, 5:10, 7:12] = 1
    order = ClassOrder.chain(2)
    found = surface_distances(a, b, order)
    assert float(surface_distances(a, a, order)["hd95"][1]) == 0.0
    edges = []
    for m in ((a == 1)[0], (b == 1)[0]):
        outer = np.pad(~m.numpy(), 1, constant_values=False)
        beside = outer[:-2, 1:-1] | outer[2:, 1:-1] | outer[1:-1, :-2] | outer[1:-1, 2:]
        edges.append(m.numpy() & beside)
    pooled = [distance_transform_edt(~edges[1])[edges[0]], distance_transform_edt(~edges[0])[edges[1]]]
    assert float(found["assd"][1]) == pytest.approx(np.concatenate(pooled).mean())
    assert float(found["hd95"][1]) == pytest.approx(np.quantile(np.concatenate(pooled), 0.95))
    assert math.isnan(float(found["hd95"][0]))


def test_hard_head_is_a_distribution_with_a_rising_sum_for_any_outputs() -> None:
    z = 20 * torch.randn(100_000, 4, generator=torch.Generator().manual_seed(0))
    logs = HardOrdinalHead()(z)
    p = logs.exp()
    assert torch.allclose(p.sum(1), torch.ones(len(p)), atol=1e-5)
    q = torch.sigmoid(z.double()).cumprod(1)
    want = torch.cat([1 - q[:, :1], q[:, :-1] - q[:, 1:], q[:, -1:]], 1)
    assert torch.allclose(p.double(), want, atol=1e-5)
    assert torch.allclose(logs.softmax(1), p, atol=1e-5)
    assert bool(torch.isfinite(nn.functional.cross_entropy(HardOrdinalHead()(z * 10), torch.zeros(len(z)).long())))


def test_unimodal_head_has_one_peak_for_any_outputs() -> None:
    z = 20 * torch.randn(100_000, 6, generator=torch.Generator().manual_seed(0))
    rises = (UnimodalHead()(z).softmax(1).diff(dim=1).double() > 1e-7).long()
    falls = (UnimodalHead()(z).softmax(1).diff(dim=1).double() < -1e-7).long()
    assert not bool((falls.cumsum(1)[:, :-1] * rises[:, 1:]).any())


def test_encoding_head_is_its_likelihood_renormalised() -> None:
    z = torch.randn(50, 3, generator=torch.Generator().manual_seed(0)).double()
    on, codes = torch.sigmoid(z), torch.tril(torch.ones(4, 3), -1).double()
    want = torch.stack([(codes[k] * on + (1 - codes[k]) * (1 - on)).prod(1) for k in range(4)], 1)
    assert torch.allclose(OrdinalEncodingHead()(z).softmax(1), want / want.sum(1, keepdim=True))
    parallel = OrdinalEncodingHead(5)
    assert bool((parallel.biases.diff() < 0).all())
    assert parallel(torch.zeros(2, 1, 3, 3)).shape == (2, 5, 3, 3)
    assert wrap_logits(nn.Conv2d(1, 3, 1), HardOrdinalHead())(torch.zeros(1, 1, 2, 2)).shape == (1, 4, 2, 2)


def test_decodes_by_hand_and_the_median_takes_the_middle_of_two_ends() -> None:
    p = torch.tensor([[0.45, 0.1, 0.45], [0.6, 0.3, 0.1], [0.2, 0.2, 0.6]]).T[None]
    order = ClassOrder.chain(3)
    assert decode(p, order).tolist() == [[0, 0, 2]]
    assert decode(p, order, "median").tolist() == [[1, 0, 2]]
    assert decode(p, order, "mean").tolist() == [[1, 0, 1]]
    mixed = ClassOrder.parse("b<c<a", ("a", "b", "c"))
    assert decode(p[:, [2, 0, 1]], mixed, "median").tolist() == [[2, 1, 0]]
    with pytest.raises(InputError, match="probabilities"):
        decode(torch.randn(1, 3, 4), order)
    with pytest.raises(InputError, match="a tree"):
        decode(noisy(classes=6), SCENE, "median")


@pytest.mark.parametrize("positions", [(40,), (12, 13), (6, 7, 8)])
def test_repaired_maps_have_fewer_contacts_or_none(positions: tuple[int, ...]) -> None:
    p = torch.randn(2, 4, *positions, generator=torch.Generator().manual_seed(0)).mul(2).softmax(1)
    before = float(rate(p.argmax(1)).compute())
    by_icm = repair_labels(p, CHAIN, iters=20, weight=20.0)
    assert float(rate(by_icm).compute()) < before / 2
    by_path = repair_labels(p, CHAIN, "path")
    assert all(int(by_path.diff(dim=d).abs().max()) <= 1 for d in range(1, by_path.ndim))
    fine, _ = make_nested_anatomy(2)
    labels = make_nested_anatomy(2)[1]
    sure = nn.functional.one_hot(labels, 4).movedim(-1, 1).float()
    assert torch.equal(repair_labels(sure, CHAIN), labels)
    assert torch.equal(repair_labels(sure, CHAIN, "path"), labels)
    assert fine.shape == (2, 1, 48, 48)


def test_icm_lowers_its_energy_for_a_tree_too() -> None:
    p = noisy(2, 12, 6)
    assert float(rate(repair_labels(p, SCENE), SCENE).compute()) < float(rate(p.argmax(1), SCENE).compute())
    heat = ordinal_inconsistency(p, SCENE)
    assert heat.shape == (2, 12, 12)
    assert float(heat.min()) >= 0
    flat = torch.zeros(1, 4, 3, 3)
    flat[:, 0] = 1
    assert float(ordinal_inconsistency(flat, CHAIN).max()) == 0


def test_an_order_that_is_not_the_labels_is_refused_and_the_true_one_is_found() -> None:
    _, y = make_nested_anatomy(20)
    assert require_order(y, CHAIN) == 0.0
    with pytest.raises(InputError, match="of the labels' own contacts break"):
        require_order(make_nested_anatomy(20, skip_layer=0.5)[1], CHAIN)
    assert find_order(y, 4).order.parents == CHAIN.parents
    _, scene = make_tree_scene(20)
    found = find_order(scene, 6)
    assert found.order.parents == SCENE.parents
    assert found.contact_rate == 0.0
    assert found.exceptions == ()


def test_the_task_tells_the_contact_rate() -> None:
    _, y = make_nested_anatomy(6)
    sure = nn.functional.one_hot(y, 4).movedim(-1, 1).float() * 9
    task = Segmentation(4, order=CHAIN)
    assert task.metrics(sure, y)["contact_rate"].value == 0.0
    mixed = sure[:, [0, 2, 1, 3]]
    assert task.metrics(mixed, y)["contact_rate"].value > 0.5
    assert "contact_rate" not in Segmentation(4).metrics(sure, y)
    assert "contact_rate" not in task.metrics(sure * 0, y)
    with pytest.raises(InputError, match="order"):
        Segmentation(3, order=CHAIN)


def test_nan_and_whole_numbers_do_not_pass_as_probabilities() -> None:
    p = noisy(1, 4)
    p[0, 1, 2, 2] = float("nan")
    for bad in (p, torch.full_like(p, float("nan")), (p * 9).nan_to_num().long()):
        for read in (decode, repair_labels):
            with pytest.raises(InputError, match="p; given"):
                read(bad, CHAIN)
        with pytest.raises(InputError, match="p; given"):
            UnimodalPixelRate(ignore_zeros=True).update(bad)
    with pytest.raises(InputError, match="NaN"):
        rate(p)


def test_a_float_map_of_labels_is_not_read_as_columns() -> None:
    order = ClassOrder.chain(3)
    y = torch.tensor([[[0, 1, 2], [1, 1, 2], [0, 0, 1]]]).expand(2, 3, 3)
    with pytest.raises(InputError, match=r"y\.long\(\)"):
        rate(y.float(), order)
    sure = nn.functional.one_hot(y, 3).movedim(-1, 1).float()
    assert torch.equal(rate(sure, order).counts, rate(y, order).counts)
    assert torch.equal(rate(y.byte(), order).counts, rate(y, order).counts)


def test_orders_are_found_in_narrow_labels_and_bad_roots_are_refused() -> None:
    _, y = make_nested_anatomy(20)
    assert find_order(y.byte(), 4) == find_order(y, 4)
    wide, names = y.byte() * 60, ClassOrder.chain(181)  # 60 * 181 + 60 is beyond a byte
    assert forbidden_pairs(wide, names) == forbidden_pairs(wide.long(), names) != ()
    with pytest.raises(InputError, match="contacts break"):
        require_order(wide, names)
    for root in (-1, 4, 7):
        with pytest.raises(InputError, match="root"):
            find_order(y, 4, root=root)
    for bad in (y.float(), y == 1, y + 1, y - 1):
        with pytest.raises(InputError, match="labels"):
            find_order(bad, 4)
    marked = y.clone()
    marked[:, 0, 0] = 255
    assert find_order(marked, 4, valid=marked != 255).order.parents == CHAIN.parents


def test_positions_that_do_not_count_make_no_holes_and_no_parts() -> None:
    _, y = make_nested_anatomy(6)
    off = torch.rand(y.shape, generator=torch.Generator().manual_seed(0)) < 0.01
    clean, marked, guessed = (ContainmentViolation(CHAIN, border=False) for _ in range(3))
    clean.update(y)
    marked.update(y.masked_fill(off, 255), ~off)
    guessed.update(y.masked_fill(off, 2), ~off)
    assert clean.regions() == marked.regions() == guessed.regions()
    assert torch.equal(clean.counts, marked.counts)
    none = ContainmentViolation(CHAIN)
    none.update(torch.full((1, 4, 4), 255), torch.zeros(1, 4, 4, dtype=torch.bool))
    assert none.counts.tolist() == [0, 0]
    with pytest.raises(InputError, match="one shape"):
        none.update(y, ~off[:, 1:])


def test_surfaces_pass_over_positions_that_do_not_count() -> None:
    y = torch.zeros(1, 20, 20, dtype=torch.long)
    y[0, 5:15, 5:15] = 1
    off = torch.zeros_like(y, dtype=torch.bool)
    off[0, 10, 10] = off[0, 2, 2] = True
    called, order = y.clone(), ClassOrder.chain(2)
    called[off] = 1 - called[off]
    assert float(surface_distances(called, y, order)["assd"][1]) > 0
    found = surface_distances(called, y.masked_fill(off, 255), order, valid=~off)
    assert [float(value[1]) for value in found.values()] == [0, 0]
