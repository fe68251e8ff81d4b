"""Other domains: closed forms of spectra and colours, any function as a perturbation, a CycleGAN that learns a tint."""

import pytest
import torch
from PIL import Image

from deepwright.core.errors import InputError
from deepwright.corruptions import (
    Compose,
    CycleGAN,
    Guided,
    InputGradient,
    Suite,
    as_perturbation,
    colour_transfer,
    fourier_swap,
    get,
)
from deepwright.corruptions.domains.cyclegan import _Objective
from deepwright.corruptions.domains.networks import Generator, PatchDiscriminator
from deepwright.corruptions.domains.targets import target_pictures


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


X = 0.3 + 0.4 * torch.rand(2, 3, 40, 48, generator=rng())
TARGETS = 0.2 + 0.5 * torch.rand(3, 3, 40, 48, generator=rng(1))


@pytest.mark.parametrize("severity", [2, 5])
def test_amplitudes_below_the_radius_are_the_targets_and_all_phases_the_pictures(severity):
    p = fourier_swap(TARGETS[:1])
    out = p(X, severity)
    assert float(out.min()) > 0
    assert float(out.max()) < 1  # nothing was clipped, so that spectra can be read
    radius = p.levels[severity - 1] * 40
    f = torch.fft.fftfreq(40, 1 / 40).square()[:, None] + torch.fft.fftfreq(48, 1 / 48).square()
    low = f <= radius**2
    before, after, target = (torch.fft.fft2(x.double()) for x in (X, out, TARGETS[:1].expand_as(X)))
    assert torch.allclose(after.abs()[..., low], target.abs()[..., low], atol=2e-3)
    assert torch.allclose(after[..., ~low], before[..., ~low], atol=2e-3)
    assert torch.allclose(torch.cos(after.angle() - before.angle())[..., low], torch.tensor(1.0).double(), atol=1e-3)


def test_means_and_deviations_of_colours_are_the_targets():
    import numpy as np

    p = colour_transfer(TARGETS[:1])
    out = p(X, 5).double().numpy()
    cones = np.array([[0.3811, 0.5783, 0.0402], [0.1967, 0.7244, 0.0782], [0.0241, 0.1288, 0.8444]])

    def logs(x):
        return np.log10(np.einsum("ij,jhw->ihw", cones, x))

    expected, found = logs(TARGETS[0].double().numpy()), logs(out[0])
    if out[0].max() < 1 and out[0].min() > 0:
        assert np.allclose(found.mean((1, 2)), expected.mean((1, 2)), atol=2e-3)
    half, whole = p(X, 2) - X, p(X, 5) - X
    assert torch.allclose(half, 0.4 * whole, atol=1e-5)


def test_a_target_is_drawn_for_each_picture():
    flat = torch.stack([torch.full((3, 16, 16), v) for v in (0.2, 0.8)])
    out = colour_transfer(flat)(torch.full((40, 3, 16, 16), 0.5), 5)
    means = out.mean((1, 2, 3))
    assert torch.allclose(torch.minimum((means - 0.2).abs(), (means - 0.8).abs()), torch.zeros(40), atol=2e-2)
    assert 8 < int((means > 0.5).sum()) < 32
    alone = colour_transfer(flat)(torch.full((1, 3, 16, 16), 0.5), 5, ids=torch.tensor([7]))
    assert torch.allclose(alone[0], out[7], atol=1e-6)


def test_targets_from_a_folder(image_folder, tmp_path):
    assert target_pictures(image_folder).shape == (40, 3, 256, 256)
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="none could be read"):
        colour_transfer(tmp_path / "empty")
    Image.new("RGB", (9, 9), (255, 0, 0)).save(tmp_path / "empty" / "a.png")
    red = fourier_swap(tmp_path / "empty")(X, 1)
    assert torch.allclose(red.mean((0, 2, 3)), torch.tensor([1.0, 0, 0]), atol=0.3)


def test_any_function_is_one(tmp_path):
    inverted = as_perturbation(lambda x: 1 - x, "inverted")
    assert torch.allclose(inverted(X, 2), X + 0.4 * (1 - 2 * X))
    assert torch.allclose(inverted(X, 2.5), X + 0.5 * (1 - 2 * X))
    assert inverted((X * 255).to(torch.uint8), 5).dtype == torch.uint8
    model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(3 * 40 * 48, 2))
    guided = Guided(get("contrast"), InputGradient(model))
    suite = Suite([inverted, fourier_swap(TARGETS), "static_rain", guided], (1,))
    first, again = (
        suite.evaluate(model, [(X, torch.tensor([0, 1]))], checkpoint=tmp_path / "cells.jsonl") for _ in range(2)
    )
    assert set(first.errors) == {"inverted", "fourier_swap", "static_rain", guided.name}
    assert again == first
    with pytest.raises(InputError, match="perturbations"):
        other = Suite([inverted, fourier_swap(1 - TARGETS), "static_rain", guided], (1,))
        other.evaluate(model, [(X, torch.tensor([0, 1]))], checkpoint=tmp_path / "cells.jsonl")
    chain = Compose([(inverted, 2), (guided, 0.5), ("static_rain", 1)]).eval()
    assert torch.equal(chain(X), chain(X))


def test_the_networks_are_those_of_the_paper():
    """Parameters by hand: 7 x 7 and 3 x 3 convolutions with biases; a patch is 70 pixels wide."""
    generator = sum(p.numel() for p in Generator().parameters())
    ends = 3 * 64 * 49 + 64 + 64 * 3 * 49 + 3
    down_and_up = 2 * (64 * 128 * 9 + 128 * 256 * 9) + 128 + 256 + 128 + 64
    assert generator == ends + down_and_up + 6 * 2 * (256 * 256 * 9 + 256)
    judge = PatchDiscriminator(2)
    assert judge(torch.rand(1, 3, 70, 70)).shape[2:] == (6, 6)
    field = 1
    for kernel, stride in ((4, 1), (4, 1), (4, 2), (4, 2), (4, 2)):
        field = (field - 1) * stride + kernel
    assert field == 70
    assert Generator(4, 1)(torch.rand(1, 3, 25, 30)).shape == (1, 3, 25, 30)


def test_generators_dont_move_judges_and_judges_dont_move_generators():
    gan = CycleGAN(width=3, blocks=1)
    objective = _Objective(gan, (3, 24, 24), 0.0, 0.0)
    x, y = torch.rand(2, 3, 24, 24), torch.rand(2, 3, 24, 24)
    objective(x, y).backward()
    grads = [p.grad.clone() for p in gan.judges[0].parameters()]
    gan.zero_grad()
    made = gan.there(x).detach()
    judge = gan.judges[0]
    (0.5 * ((judge(y) - 1).square().mean() + judge(made).square().mean())).backward()
    for expected, p in zip(grads, judge.parameters()):
        assert torch.allclose(p.grad, expected, atol=1e-6)


def test_a_pool_fills_and_then_mixes():
    objective = _Objective(CycleGAN(width=1, blocks=1), (3, 24, 24), 1.0, 1.0)
    for step in range(30):
        new = torch.full((5, 3, 24, 24), float(step))
        seen = objective._pooled(0, new, 5 * step)
        if step < 10:
            assert torch.equal(seen, new)
    old = torch.cat([objective._pooled(0, torch.full((5, 3, 24, 24), 99.0), 5 * k) for k in range(30, 40)])[:, 0, 0, 0]
    assert 10 < int((old != 99).sum()) < 40


def test_a_short_batch_leaves_no_hole_in_the_pool():
    objective = _Objective(CycleGAN(width=1, blocks=1), (3, 24, 24), 1.0, 1.0)
    for n in (2, 2, 1, 2):
        x = torch.rand(n, 3, 24, 24)
        objective(x, x)
    filled = objective.pools.flatten(2).any(2).sum(1).tolist()
    assert (filled, int(objective.generated)) == ([7, 7], 7)


@pytest.mark.slow
def test_a_cyclegan_is_saved_as_it_is(tmp_path):
    day, night = torch.rand(4, 3, 24, 24, generator=rng()), torch.rand(3, 3, 24, 24, generator=rng(1)) / 4
    whole = CycleGAN(width=2, blocks=1)
    x = torch.rand(2, 3, 26, 30, generator=rng(2))
    first = whole.transform(x)
    whole.fit(day, night, epochs=1, batch_size=2)
    assert not torch.equal(whole.transform(x), first)
    loaded = CycleGAN.load(whole.save(tmp_path / "gan.pt"))
    assert torch.equal(loaded.transform(x, back=True), whole.transform(x, back=True))
    assert whole.perturbation("night")(x, 5).shape == x.shape


@pytest.mark.slow
def test_a_cyclegan_learns_a_tint():
    grey = (
        torch.rand(12, 1, 6, 6, generator=rng()).repeat_interleave(4, 2).repeat_interleave(4, 3).expand(-1, 3, -1, -1)
    )
    other = torch.rand(12, 1, 6, 6, generator=rng(1)).repeat_interleave(4, 2).repeat_interleave(4, 3)
    red = other * torch.tensor([1.0, 0.4, 0.4]).view(1, 3, 1, 1)
    gan = CycleGAN(width=8, blocks=1)
    gan.fit(grey.clone(), red, epochs=25, batch_size=2, lr=1e-3)
    made = gan.transform(grey)
    ratio = (made[:, 0] + 1e-3).mean() / (made[:, 1] + 1e-3).mean()
    assert float(ratio) > 1.4
    assert float((gan.transform(made, back=True) - grey).abs().mean()) < 0.2


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: fourier_swap(X * 3), "targets"),
        (lambda: fourier_swap(X[0]), "targets"),
        (lambda: colour_transfer("/nowhere/at/all"), "does not exist"),
        (lambda: as_perturbation(3, "three"), "function"),
        (lambda: as_perturbation(lambda x: x, ""), "name"),
        (lambda: as_perturbation(lambda x: x[:, :1], "cut")(X, 1), "finite pictures"),
        (lambda: CycleGAN(width=0), "width"),
        (lambda: CycleGAN(2, 1).fit(X, X[..., :40]), "one size"),
        (lambda: CycleGAN(2, 1).fit(X[..., :20, :20], X[..., :20, :20]), "24 pixels"),
        (lambda: CycleGAN(2, 1).fit(X, X, lr=-1), "lr"),
        (lambda: CycleGAN(2, 1).fit(X, X, identity=-1), "identity"),
    ],
)
def test_what_is_refused(call, message):
    with pytest.raises(InputError, match=message):
        call()
