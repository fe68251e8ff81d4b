"""The scenes and detectors of the study of detection."""

import torch

from deepwright.adversarial.semantic import InputDetector
from deepwright.studies.semantic.scenes import CLASSES, HEIGHT, WIDTH, SceneNet, road_scenes
from deepwright.studies.semantic.trials import WAYS


def test_scenes_are_what_their_maps_say():
    x, y = road_scenes(40, 3)
    assert x.shape == (40, 3, HEIGHT, WIDTH)
    assert x.is_contiguous()
    assert 0 <= float(x.min()) <= float(x.max()) <= 1
    assert torch.equal((x * 255).round() / 255, x)
    share = torch.bincount(y.flatten(), minlength=len(CLASSES)) / y.numel()
    assert len(share) == len(CLASSES)
    assert (share > 0.003).all()
    assert (y[:, :14] == CLASSES.index("sky")).all()
    assert (y[:, 23:] != CLASSES.index("sky")).all()
    mean = {k: x.movedim(1, -1)[y == i].mean(0) for i, k in enumerate(CLASSES)}
    assert float(mean["lane marking"].mean()) > float(mean["road"].mean()) + 0.2
    assert float(mean["sky"][2]) > float(mean["vegetation"][2]) + 0.3


def test_scenes_are_drawn_by_their_seed():
    assert torch.equal(road_scenes(4, 1)[0], road_scenes(4, 1)[0])
    assert not torch.equal(road_scenes(4, 1)[0], road_scenes(4, 2)[0])


def test_the_network_answers_at_every_position():
    x, _ = road_scenes(2, 0)
    assert SceneNet()(x).shape == (2, len(CLASSES), HEIGHT, WIDTH)


def test_every_detector_has_three_settings_that_differ():
    for tried in WAYS.values():
        made = [make() for make in tried.values()]
        assert len(made) == 3
        assert all(isinstance(d, InputDetector) for d in made)
        assert len({repr(d.options) for d in made}) == 3
