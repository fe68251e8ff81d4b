"""Copies: planted ones are found whatever was done to them, and none where there are none."""

import io

import numpy as np
import pytest
import torch
from PIL import Image

from deepwright.dataquality import (
    close_pairs,
    content_hashes,
    equal_pairs,
    find_duplicates,
    groups_of,
    perceptual_hashes,
    picture_fingerprints,
)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def scenes(n, side=40, seed=0):
    """Smooth random colour pictures, all different."""
    coarse = torch.rand(n, 3, 10, 10, generator=seeded(seed))
    fine = torch.nn.functional.interpolate(coarse, size=(side, side), mode="bicubic").clamp(0, 1)
    return (fine * 255).round() / 255


def jpeg(images, quality):
    out = []
    for image in images:
        stream = io.BytesIO()
        Image.fromarray((image * 255).byte().permute(1, 2, 0).numpy()).save(stream, "JPEG", quality=quality)
        out.append(torch.from_numpy(np.array(Image.open(stream))).permute(2, 0, 1).float() / 255)
    return torch.stack(out)


CHANGES = {
    "equal": lambda x: x.clone(),
    "re-encoded": lambda x: jpeg(x, 60),
    "shifted": lambda x: torch.roll(x, (1, 1), (2, 3)),
    "brighter": lambda x: 0.8 * x + 0.1,
    "larger pixels": lambda x: x.repeat_interleave(2, 2).repeat_interleave(2, 3)[:, :, ::2, ::2],
}


@pytest.mark.parametrize("change", CHANGES)
def test_changed_copies_of_pictures_are_found_and_nothing_else(change):
    x = scenes(300)
    found = find_duplicates(torch.cat([x, CHANGES[change](x[:30])]))
    assert (found.group[300:] == torch.arange(30)).double().mean() >= 0.85
    assert ((found.pairs[:, 1] - found.pairs[:, 0]) == 300).all()
    assert bool(found.exact.all()) == (change in ("equal", "larger pixels"))


def test_different_pictures_have_no_copies():
    assert len(find_duplicates(scenes(400, seed=3)).pairs) == 0


def test_blank_pictures_are_copies_only_where_they_are_equal():
    x = torch.cat([scenes(20), torch.full((3, 3, 40, 40), 0.5), torch.full((1, 3, 40, 40), 0.51)])
    found = find_duplicates(x)
    assert found.pairs.tolist() == [[20, 21], [21, 22]]
    assert found.group[20:].tolist() == [20, 20, 20, 23]


def test_rows_with_a_little_noise_are_copies_and_neighbours_are_not():
    x = torch.randn(2000, 6, generator=seeded()) * torch.tensor([1.0, 10, 100, 1, 1, 1])
    near = x[:20] * (1 + 1e-4 * torch.randn(20, 6, generator=seeded(1)))
    found = find_duplicates(torch.cat([x, near, x[20:25]]))
    assert int(found.exact.sum()) == 5
    close = found.pairs[~found.exact]
    assert len(close) >= 18
    assert (close[:, 1] - close[:, 0] == 2000).all()
    assert len(find_duplicates(x).pairs) == 0


def test_texts_with_a_changed_word_are_copies():
    words = torch.randint(0, 300, (120, 40), generator=seeded())
    texts = [" ".join(f"w{int(i)}" for i in row) for row in words]
    changed = [text.replace(text.split()[7], "other", 1) for text in texts[:20]]
    found = find_duplicates([*texts, *changed, texts[30].upper()])
    assert int(found.exact.sum()) == 1
    assert ((found.group[120:140] == torch.arange(20)).double().mean()) >= 0.85
    assert found.group[140] == 30


def test_leaks_and_conflicts_are_told_by_group():
    x = torch.arange(12.0).reshape(6, 2)[[0, 1, 2, 0, 0, 5]]
    found = find_duplicates(x, near=False)
    test = torch.tensor([False, False, False, True, True, True])
    assert found.with_copy(test, ~test).tolist() == [False, False, False, True, True, False]
    assert found.with_copy(test, test).tolist() == [False, False, False, True, True, False]
    assert found.conflicting(torch.tensor([0, 1, 1, 0, 1, 1])).tolist() == [False, True]


def test_close_pairs_are_those_of_all_pairs():
    base = torch.randint(-(2**62), 2**62, (200,), generator=seeded())
    flips = torch.randint(0, 64, (200, 3), generator=seeded(1))
    copies = base.clone()
    for j in range(3):
        copies ^= torch.ones_like(base) << flips[:, j]
    hashes = torch.cat([base, copies])
    table = ((hashes[:, None] >> torch.arange(64)) & 1).double()
    apart = table @ (1 - table).T + (1 - table) @ table.T
    expected = {(i, j) for i, j in (apart <= 3).nonzero().tolist() if i < j}
    found = {tuple(pair) for pair in close_pairs(hashes, 3).tolist()}
    assert found <= expected
    assert len(found) >= 0.99 * len(expected)


def test_hashes_tell_values_and_not_their_form():
    x = torch.tensor([[0.0, 1.0], [-0.0, 1.0], [0.0, 1.1]])
    assert equal_pairs(content_hashes(x)).tolist() == [[0, 1]]
    assert groups_of(torch.tensor([[0, 1], [1, 4]]), 5).tolist() == [0, 0, 2, 3, 0]
    assert len(equal_pairs(torch.zeros(0, 2, dtype=torch.long))) == 0


def test_a_perceptual_hash_is_that_of_a_cosine_transform():
    from scipy.fft import dctn

    x = scenes(5, side=32)
    weights = torch.tensor([0.299, 0.587, 0.114])
    plain = (x * weights[:, None, None]).sum(1).double().numpy()
    low = np.stack([dctn(image)[1:9, 1:9].ravel() for image in plain])
    bits = low > np.sort(low, axis=1)[:, 31:32]
    mine = ((perceptual_hashes(x)[:, None] >> torch.arange(64)) & 1).bool().numpy()
    assert (mine == bits).mean() > 0.99


def test_fingerprints_do_not_depend_on_batches():
    x = scenes(20)
    whole, parts = picture_fingerprints([x]), picture_fingerprints(x.split(7))
    assert torch.equal(whole.near, parts.near)
    assert torch.equal(whole.exact, parts.exact)
    assert torch.equal(whole.detail, parts.detail)


def test_what_is_too_far_apart_is_left_out_and_nothing_else():
    """Low waves only bound distances from below: what is within a limit has the distance it has without one."""
    images = torch.cat(
        [scenes(20), torch.roll(scenes(20), (1, 1), (2, 3)), jpeg(scenes(20), 60), torch.zeros(1, 3, 40, 40)]
    )
    prints = picture_fingerprints(images.split(50))
    a, b = torch.triu_indices(len(images), len(images), 1)
    known = prints.distance(a, b)
    for limit in (0.0, 0.2, 0.6, 1.2):
        found = prints.distance(a, b, limit)
        assert torch.equal(found[known <= limit], known[known <= limit])
        assert bool((found[known > limit] > limit).all())
    assert bool(found.isinf().any())
