"""Mixtures of corrupted pictures: what they are made of, what is kept back, and that nothing of them waits for a value."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from deepwright.core.fit import fit
from deepwright.core.randomness import generator
from deepwright.core.tasks import Classification, Segmentation
from deepwright.corruptions import ALL, Consistent, CorruptionMix, Perturbation, Suite, split_families

SAME = Perturbation("same", "tone", lambda x, level, context: x.clone(), (1, 2, 3, 4, 5))
BLACK = Perturbation("black", "tone", lambda x, level, context: torch.zeros_like(x), (1, 2, 3, 4, 5))


def pictures(n=20, channels=3):
    return torch.rand(n, channels, 12, 12, generator=generator(1))


def test_a_mixture_of_what_changes_nothing_is_the_picture():
    x = pictures()
    found = CorruptionMix((SAME,), views=3, group=7)(x, generator(0))
    assert found.shape == (20, 4, 3, 12, 12)
    assert torch.equal(found[:, 0], x)
    assert torch.allclose(found, x[:, None].expand_as(found), atol=1e-6)


def test_a_mixture_with_black_is_a_uniform_share_of_the_picture():
    x = pictures(2000, 1) * 0.5 + 0.5
    shares = (CorruptionMix((BLACK,), views=1)(x, generator(0))[:, 1] / x).flatten(1)
    assert torch.allclose(shares, shares[:, :1].expand_as(shares), atol=1e-6)
    assert shares[:, 0].mean().item() == pytest.approx(0.5, abs=0.03)
    assert shares[:, 0].var().item() == pytest.approx(1 / 12, abs=0.01)


def test_plain_mixing_leaves_half_of_the_pictures_alone():
    x = pictures(1000, 1) * 0.5 + 0.5
    found = CorruptionMix((BLACK,), views=0)(x, generator(0))
    untouched = (found == x).flatten(1).all(1)
    assert untouched.double().mean().item() == pytest.approx(0.5, abs=0.06)


def test_draws_depend_on_the_generator_s_seed_only():
    seen, _ = split_families()
    mix, x = CorruptionMix(seen), pictures()
    one, other = mix(x, generator(3)), mix(x, generator(4))
    assert torch.equal(one, mix(x, generator(3)))
    assert not torch.equal(one, other)
    assert not torch.equal(one[:, 1], one[:, 2])
    assert 0 <= one.min() <= one.max() <= 1 + 1e-6


def test_families_kept_back_are_whole():
    seen, unseen = split_families(("noise", "blur"))
    assert {p.category for p in unseen} == {"noise", "blur"}
    assert not {p.category for p in seen} & {"noise", "blur"}
    assert {p.category for p in seen} | {"noise", "blur"} == {p.category for p in ALL}
    assert all(p.label_preserving for p in (*seen, *unseen))
    for half in split_families(moving=False):
        assert not any(p.moves_pixels for p in half)
    assert len(Suite(unseen).perturbations) == len(unseen)


def test_the_same_answer_to_all_views_costs_nothing():
    torch.manual_seed(0)
    model, y = nn.Sequential(nn.Flatten(), nn.Linear(3 * 144, 4)), torch.arange(20) % 4
    x, step = pictures(), Consistent(Classification(4))
    same = CorruptionMix((SAME,))(x, generator(0))
    assert torch.allclose(step(model, same, y), F.cross_entropy(model(x), y), atol=1e-5)
    black = CorruptionMix((BLACK,))(x, generator(0))
    assert step(model, black, y) > F.cross_entropy(model(x), y) + 1e-3


def test_label_maps_are_trained_on():
    model, task = nn.Conv2d(3, 4, 3, padding=1), Segmentation(4)
    seen, _ = split_families(moving=False)
    y = torch.randint(0, 4, (20, 12, 12), generator=generator(2))
    assert fit(
        model, (pictures(), y), epochs=1, batch_size=10, augment=CorruptionMix(seen), step=Consistent(task)
    ).steps


@pytest.mark.slow
def test_no_value_is_looked_at():
    """On `meta` there are none: what looks at one fails there, as it would wait for an accelerator."""
    waits = []
    for perturbation in (p for half in split_families() for p in half):
        mix = CorruptionMix((perturbation,), views=1)
        try:
            assert mix(torch.rand(4, 3, 16, 16, device="meta"), generator(0)).shape == (4, 2, 3, 16, 16)
        except (RuntimeError, NotImplementedError):
            waits.append(perturbation.name)
    assert sorted(waits) == ["canny_edges", "jpeg", "static_snow"]  # as CorruptionMix says
