"""The controls that saap's study adds to the package's: they spend the same share, and do what their names say."""

import pytest
import torch

from deepwright.adversarial.patches import attenuated, energy_shares
from deepwright.adversarial.patches.objectives import Scene, hide
from deepwright.core.randomness import local_rng
from deepwright.data import sar_ships
from deepwright.nets import CandidateBoxes, CentreDetector, fine_ssd
from deepwright.studies.saap.attacks import CHANGES, Joined, best_of
from deepwright.studies.saap.detectors import TASK, scenes
from deepwright.studies.saap.parts import PARTS


@pytest.fixture
def network():
    with local_rng(0):
        return CentreDetector(width=4).eval()


def test_the_best_of_many_looks_is_one_of_them_and_the_best(network):
    test = sar_ships(3, seed=1)
    image = torch.tensor([i for i, t in enumerate(test.truth) for _ in range(len(t))])
    view = Scene(torch.cat([t.boxes for t in test.truth]), image, torch.full_like(image, -1), 0.0, 0.0)
    draws = [attenuated("pixels", test.images, test.truth, 0.2, seed=5000 + i)[0] for i in range(3)]
    with torch.no_grad():
        values = torch.stack([hide(TASK.read(network(d), 3), view) for d in draws])
    best = best_of(network, test, 0.2, 3, 5)
    assert torch.equal(best, torch.stack([draws[k][i] for i, k in enumerate(values.argmax(0).tolist())]))
    assert torch.allclose(torch.cat(energy_shares(test.images, best, test.truth)[0]), torch.tensor(0.2), atol=1e-5)


def test_two_detectors_as_one_have_the_candidates_of_both(network):
    other = CandidateBoxes(fine_ssd(width=4)).eval()
    x = sar_ships(2, seed=1).images
    with torch.no_grad():
        out = Joined(network, other)(x)
        assert torch.equal(out, torch.cat([network(x), other(x)], 1))


def test_no_two_parts_of_a_seed_nor_two_seeds_share_scenes():
    shown = [scenes(seed, part, True).images[0] for seed in (3, 4) for part in ("training", "validation", "test")]
    assert all(not torch.equal(a, b) for i, a in enumerate(shown) for b in shown[:i])


@pytest.mark.parametrize("name", [*PARTS, *CHANGES])
def test_changes_do_what_they_are_called(name):
    how = {**PARTS, **CHANGES}[name]
    x = torch.rand(40, 1, 8, 8, generator=torch.Generator().manual_seed(0)) * 0.5 + 0.1
    drawn = how.draw(0, torch.arange(40), 0, (8, 8), x.device)
    assert torch.equal(how.images(x, drawn, (0.0, 1.0)), x) == (name == "nothing")
    assert bool(drawn.turns.any()) == name.startswith("turn")
    assert bool((drawn.shift != 0).any()) == ("shift" in name)
    assert bool((drawn.gain != 1).any()) == ("gain" in name or "lit" in name)
