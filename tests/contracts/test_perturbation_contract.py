"""One contract for every perturbation: identity, range, determinism, batch invariance, types, gradients, clear errors."""

import itertools

import pytest
import torch

from deepwright.core.errors import InputError
from deepwright.core.protocols import Perturbation
from deepwright.corruptions import ALL


@pytest.mark.parametrize("p", ALL, ids=lambda p: p.name)
def test_contract(p, photos):
    x = photos.float() / 255
    copy = x.clone()
    assert isinstance(p, Perturbation)
    assert torch.equal(p(x, 0), x)
    changes = []
    for severity in range(1, 6):
        out = p(x, severity, seed=3)
        assert out.shape == x.shape
        assert out.dtype == x.dtype
        assert float(out.min()) >= 0
        assert float(out.max()) <= 1
        assert not torch.isnan(out).any()
        assert torch.equal(out, p(x, severity, seed=3))
        alone = p(x[2:], severity, seed=3, ids=torch.tensor([2]))
        assert float((alone - out[2:]).abs().max()) < 2e-5
        changes.append(float((out - x).abs().mean()))
    assert torch.equal(x, copy)
    assert changes[-1] > 0
    if p.monotone:
        assert all(b >= a - 1e-3 for a, b in itertools.pairwise(changes)), changes
    mixed = p(x, torch.tensor([0, 2, 5]), seed=3)
    assert torch.equal(mixed[0], x[0])
    assert float((mixed[2] - p(x, 5, seed=3)[2]).abs().max()) < 2e-5
    as_bytes = p(photos, 3)
    assert as_bytes.dtype == torch.uint8
    gray = p(x[:, :1], 3)
    assert gray.shape == (3, 1, 60, 80)
    if p.differentiable:
        leaf = x.clone().requires_grad_(True)
        p(leaf, 2, seed=3).sum().backward()
        assert torch.isfinite(leaf.grad).all()
        assert float(leaf.grad.abs().sum()) > 0
    small = p(torch.rand(2, 1, 8, 8), 5)
    assert not torch.isnan(small).any()
    assert p(x.half(), 2).dtype == torch.float16
    for bad, severity, message in (
        (x, 6, "severity"),
        (x * 2, 1, "range"),
        (x * torch.nan, 1, "range"),
        (x.int(), 1, "uint8"),
        (x[..., :4], 1, "8 x 8"),
    ):
        with pytest.raises(InputError, match=message):
            p(bad, severity)
