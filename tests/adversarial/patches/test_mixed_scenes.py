"""Scenes of several sizes: each comes back as it does by itself, and padding changes nothing that is its own."""

import pytest
import torch

from deepwright.adversarial.patches import PSF, SAAP, attack_scenes
from deepwright.core.errors import InputError
from deepwright.core.tasks import CandidateDetection
from deepwright.nets import CentreDetector, small_ssd

TASK = CandidateDetection(1)
BOX = torch.tensor([[2.0, 2.0, 10.0, 10.0]])


def scenes(*sizes):
    return [torch.rand(1, *size, generator=torch.Generator().manual_seed(i)) for i, size in enumerate(sizes)]


@pytest.fixture
def detector():
    torch.manual_seed(0)
    return CentreDetector(width=4).eval()


SIZES = ((16, 16), (24, 16), (16, 16), (32, 40))


def test_each_size_is_attacked_as_by_itself(detector):
    given, attack = scenes(*SIZES), SAAP(TASK, 0.2, steps=4)
    found = attack_scenes(attack, detector, given, [BOX] * 4, tau=[torch.tensor([t]) for t in (0.1, 0.2, 0.3, 0.4)])
    for i, (scene, share) in enumerate(zip(given, (0.1, 0.2, 0.3, 0.4))):
        alone = attack(detector, scene[None], [BOX], ids=torch.tensor([i]), tau=share)
        assert torch.allclose(found.images[i], alone.images[0], atol=1e-6)
        assert float(found.energy_share[i]) == pytest.approx(share, abs=1e-4)
        assert bool(found.hidden[i] == alone.hidden[0])
    assert list(found.flags) == [(16, 16), (24, 16), (32, 40)]
    assert len(found.steps) == 4


def test_padded_scenes_lose_their_own_amplitude_and_keep_their_size():
    torch.manual_seed(0)
    fixed = small_ssd(1, image_size=(48, 64)).eval()
    given = scenes((16, 16), (48, 64), (40, 20))
    found = attack_scenes(SAAP(TASK, 0.25, steps=3), fixed, given, [BOX] * 3, size=(48, 64))
    for scene, image, share in zip(given, found.images, found.energy_share):
        assert image.shape == scene.shape
        assert bool((image <= scene + 1e-6).all())
        assert float(share) == pytest.approx(0.25, abs=1e-4)
        inside = torch.zeros_like(scene, dtype=torch.bool)
        inside[:, 2:10, 2:10] = True
        assert torch.equal(image[~inside], scene[~inside])


def test_what_is_claimed_beyond_a_scene_is_no_object():
    torch.manual_seed(0)
    anywhere = small_ssd(1, image_size=(48, 64)).eval()
    with torch.no_grad():
        for head in anywhere.heads:
            head.bias.fill_(0.5)  # it claims everywhere
    given = scenes((16, 20), (48, 64))
    found = attack_scenes(SAAP(TASK, 0.2, steps=1), anywhere, given, size=(48, 64))
    for scene, boxes in zip(given, found.boxes):
        limit = torch.tensor([scene.shape[2], scene.shape[1]] * 2)
        assert len(boxes) > 0
        assert bool(((boxes >= 0) & (boxes <= limit)).all())


def test_what_is_refused(detector):
    attack = SAAP(TASK, 0.2, steps=1)
    for given, word in (
        ([], "list of scenes"),
        ([torch.rand(16, 16)], "scene 0"),
        ([torch.rand(1, 16, 16), torch.rand(3, 16, 16)], "scene 1"),
    ):
        with pytest.raises(InputError, match=word):
            attack_scenes(attack, detector, given)
    with pytest.raises(InputError, match="up to 8 x 8"):
        attack_scenes(attack, detector, scenes((16, 16)), size=(8, 8))
    with pytest.raises(InputError, match="receiver"):
        attack_scenes(SAAP(TASK, 0.2, physical=PSF()), detector, scenes((16, 16)))
