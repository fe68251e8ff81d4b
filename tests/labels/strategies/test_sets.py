"""Choices of sets against brute force."""

import itertools

import torch
from torch import nn

from deepwright.labels import badge, k_center_greedy, typiclust


def test_k_centers_equal_brute_force_and_keep_their_bound():
    rng = torch.Generator().manual_seed(1)
    x = torch.randn(200, 6, generator=rng)
    labelled = torch.tensor([3, 77])
    chosen = k_center_greedy(x, labelled, 10)
    have = labelled.tolist()
    for pick in chosen.tolist():
        distance = torch.cdist(x, x[have]).amin(1)
        distance[have] = -1
        assert pick == int(distance.argmax())
        have.append(pick)
    few = torch.randn(12, 2, generator=rng)
    greedy = torch.cdist(few, few[k_center_greedy(few, torch.zeros(0, dtype=torch.long), 3)]).amin(1).max()
    best = min(float(torch.cdist(few, few[list(c)]).amin(1).max()) for c in itertools.combinations(range(12), 3))
    assert float(greedy) <= 2 * best + 1e-6


def test_badge_spreads_over_gradients():
    rng = torch.Generator().manual_seed(0)
    # two directions of features; only the uncertain half has gradients
    h = torch.zeros(40, 2)
    h[::2, 0] = 1
    h[1::2, 1] = 1
    z = torch.zeros(40, 2)
    z[:20, 0] = 30.0
    free = torch.arange(40)
    picks = badge(z, h, 2, free, rng)
    assert (picks >= 20).all()
    assert {int(p) % 2 for p in picks} == {0, 1}
    a = z.double().softmax(1) - nn.functional.one_hot(z.argmax(1), 2)
    g = (a[:, :, None] * h.double()[:, None]).flatten(1)
    size = a.square().sum(1) * h.double().square().sum(1)
    built = size[:, None] + size[None] - 2 * (a @ a.T) * (h.double() @ h.double().T)
    assert torch.allclose(built.clamp_min(0).sqrt(), torch.cdist(g, g), atol=1e-6)


def test_typiclust_takes_the_middle_of_uncovered_clusters():
    rng = torch.Generator().manual_seed(0)
    centres = torch.tensor([[1.0, 0, 0], [0, 1.0, 0], [0, 0, 1.0]])
    x = torch.cat([c + 0.05 * torch.randn(60, 3, generator=rng) for c in centres])
    picks = typiclust(x, torch.tensor([5]), 2)  # the first cluster has a label already
    assert {int(p) // 60 for p in picks} == {1, 2}
    unit = nn.functional.normalize(x, dim=1)
    for p in picks.tolist():
        own = unit[p // 60 * 60 : p // 60 * 60 + 60]
        spread = torch.cdist(own, own).topk(21, 1, largest=False).values.sum(1)
        assert spread[p % 60] == spread.min()
