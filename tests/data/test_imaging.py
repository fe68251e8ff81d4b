"""Distances, components and Euler characteristics against scipy; pictures of nested layers."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.ndimage import distance_transform_edt, generate_binary_structure, label

from deepwright.core.errors import InputError
from deepwright.data import (
    component_counts,
    components,
    distance_to,
    euler_characteristic,
    load,
    make_nested_anatomy,
    make_tree_scene,
)


def masks(*shape: int, share: float = 0.1) -> torch.Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(0)) < share


@pytest.mark.parametrize("shape", [(3, 2, 25), (3, 2, 14, 17), (2, 2, 8, 9, 10)])
@pytest.mark.parametrize("limit", [None, 4.5])
@pytest.mark.parametrize("anisotropic", [False, True])
def test_distances_are_scipys_within_the_limit(shape: tuple[int, ...], limit: float | None, anisotropic: bool) -> None:
    mask, dims = masks(*shape), len(shape) - 2
    mask[(..., *[0] * dims)] = True  # scipy gives an empty mask a distance, too
    spacing = (0.7, 2.0, 1.3)[:dims] if anisotropic else None
    found = distance_to(mask, dims, spacing=spacing, limit=limit)
    for index in np.ndindex(*shape[:2]):
        want = torch.from_numpy(distance_transform_edt(~mask[index].numpy(), sampling=spacing)).float()
        if limit is not None:
            want = want.masked_fill(want > limit, torch.inf)
        torch.testing.assert_close(found[index], want)


def test_the_search_without_a_limit_is_exact_too() -> None:
    from deepwright.data import imaging

    mask = masks(2, 12, 15, share=0.03)
    squared = imaging._min_plus(imaging._along_first(mask, 2, 1.0), -1, 1.0, None)
    torch.testing.assert_close(squared.sqrt(), distance_to(mask, 2))


def test_an_empty_mask_is_infinitely_far() -> None:
    empty = torch.zeros(2, 5, 5, dtype=torch.bool)
    assert bool(distance_to(empty, 2).isinf().all())
    assert bool(distance_to(empty, 2, limit=3.0).isinf().all())
    with pytest.raises(InputError, match="spacing"):
        distance_to(empty, 2, spacing=(1.0,))
    with pytest.raises(InputError, match="limit"):
        distance_to(empty, 2, limit=0.0)


@pytest.mark.parametrize("shape", [(4, 30), (4, 12, 13), (3, 6, 7, 8)])
def test_components_and_holes_are_scipys(shape: tuple[int, ...]) -> None:
    mask = masks(*shape, share=0.5)
    counts = component_counts(mask)
    want = [label(m.numpy())[1] for m in mask]
    assert counts.tolist() == want
    numbered, total = components(mask)
    assert total == sum(want)
    assert bool(((numbered > 0) == mask).all())
    if mask.ndim == 3:  # holes: parts of the outside, corners touching, that don't reach the edge
        padded = np.pad(~mask.numpy(), ((0, 0), (1, 1), (1, 1)), constant_values=True)
        holes = [label(m, generate_binary_structure(2, 2))[1] - 1 for m in padded]
        assert (counts - euler_characteristic(mask)).tolist() == holes


def test_euler_characteristic_of_a_ball_a_shell_and_a_ring() -> None:
    block = torch.zeros(1, 7, 7, 7, dtype=torch.bool)
    block[:, 1:6, 1:6, 1:6] = True
    shell, ring = block.clone(), block.clone()
    shell[:, 3, 3, 3] = False
    ring[:, :, 3, 3] = False
    assert [int(euler_characteristic(m)) for m in (block, shell, ring)] == [1, 2, 0]


def test_an_empty_sample_between_others_has_no_parts() -> None:
    mask = torch.zeros(3, 4, 4, dtype=torch.bool)
    mask[0, 0, 0] = mask[2, 0, 0] = mask[2, 3, 3] = True
    assert component_counts(mask).tolist() == [1, 0, 2]


@pytest.mark.parametrize("size", [32, 48, 64])
def test_layers_touch_only_their_neighbours(size: int) -> None:
    x, y = make_nested_anatomy(100, size)
    assert x.shape == (100, 1, size, size)
    assert y.shape == (100, size, size)
    assert int(y.diff(dim=1).abs().max()) == 1
    assert int(y.diff(dim=2).abs().max()) == 1
    assert bool((y.flatten(1).amax(1) == 3).all())


def test_pictures_do_not_depend_on_how_many_are_made() -> None:
    few, many = make_nested_anatomy(3, seed=4), make_nested_anatomy(20, seed=4)
    assert torch.equal(few[0], many[0][:3])
    assert torch.equal(few[1], many[1][:3])
    assert not torch.equal(few[0], make_nested_anatomy(3, seed=5)[0])


def test_the_body_has_the_shade_of_the_background_and_a_layer_can_be_skipped() -> None:
    x, y = make_nested_anatomy(60, noise=0.0)
    shades = [float(x[:, 0][y == k].mean()) for k in range(4)]
    assert abs(shades[2] - shades[0]) < 0.2 < min(shades[1] - shades[0], shades[3] - shades[2])
    skipped = make_nested_anatomy(200, skip_layer=0.5)[1]
    assert 70 < int((~(skipped == 1).flatten(1).any(1)).sum()) < 130
    for word, wrong in (("size", {"size": 16}), ("classes", {"classes": 3}), ("noise", {"noise": -1.0})):
        with pytest.raises(InputError, match=word):
            make_nested_anatomy(2, **wrong)


def test_scenes_hold_all_classes_and_the_set_loads_by_name() -> None:
    _, y = make_tree_scene(10)
    assert y.unique().tolist() == list(range(6))
    data = load("nested-anatomy")
    assert data.kind == "segmentation"
    assert len(data.test) == 150
    assert float(data.test.x.min()) >= 0
    assert float(data.test.x.max()) <= 1
