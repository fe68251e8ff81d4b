"""One contract for every detector: batch invariance, determinism, no mutation, save and load, clear errors."""

import pytest
import torch

from deepwright.core.errors import InputError, NotCalibratedError, NotFittedError
from deepwright.core.features import Activations, extract
from deepwright.core.protocols import Detector as DetectorProtocol
from deepwright.nets import cifar_resnet
from deepwright.ood import ALL, ODIN

ON_ACTIVATIONS = [cls for cls in ALL if cls is not ODIN]


@pytest.fixture(scope="module")
def world():
    torch.manual_seed(0)
    model = cifar_resnet(8, channels=1, classes=3).eval()
    x = torch.rand(90, 1, 10, 10)
    # labels that the network gets right in part, so that detectors on correct samples have some of every class
    with torch.no_grad():
        model.fc.bias -= model(x).mean(0)
        y = model(x).argmax(1)
    assert y.bincount(minlength=3).min() > 3
    return model, x, extract(model, [(x, y)]), extract(model, [torch.rand(40, 1, 10, 10) ** 4])


@pytest.mark.parametrize("cls", ON_ACTIVATIONS, ids=lambda c: c.__name__)
def test_contract(cls, world, tmp_path):
    _, _, known, other = world
    detector = cls()
    assert isinstance(detector, DetectorProtocol)
    if detector.trainable:
        with pytest.raises(NotFittedError):
            detector.score(known)
    before = {k: v.clone() for k, v in known.layers.items()} | {
        "logits": known.logits.clone(),
        "features": known.features.clone(),
    }
    assert detector.fit(known) is detector
    scores = detector.score(other)
    assert scores.shape == (40,)
    assert scores.is_floating_point()
    assert not torch.isnan(scores).any()
    assert torch.equal(scores, detector.score(other))
    parts = torch.cat([detector.score(other[torch.arange(i, min(i + 9, 40))]) for i in range(0, 40, 9)])
    assert torch.allclose(parts.double(), scores.double(), rtol=1e-4, atol=1e-5)
    assert all(torch.equal(before[k], v) for k, v in known.layers.items())
    assert torch.equal(before["logits"], known.logits)
    assert torch.equal(before["features"], known.features)
    again = cls().fit(known)
    assert torch.equal(again.score(other), scores)
    with pytest.raises(NotCalibratedError):
        detector.predict(other)
    inside = detector.score(known)
    detector.calibrate(inside, tpr=0.9)
    assert float((~detector.predict(known)).double().mean()) >= 0.9
    torch.save(detector.state_dict(), tmp_path / "d.pt")
    copy = cls()
    copy.load_state_dict(torch.load(tmp_path / "d.pt", weights_only=True))
    assert torch.equal(copy.score(other), scores)
    assert torch.equal(copy.predict(other), detector.predict(other))
    with pytest.raises(InputError, match="0 samples"):
        detector.score(other[torch.arange(0)])
    bare = Activations(other.logits)
    if detector.needs & {"features", "weights", "layers"}:
        with pytest.raises(InputError, match="needs"):
            detector.score(bare)
    with pytest.raises(InputError, match="tpr"):
        detector.calibrate(inside, tpr=1.5)


@pytest.mark.parametrize("cls", ALL, ids=lambda c: c.__name__)
def test_raw_inputs_after_bind(cls, world):
    model, x, known, _ = world
    model.train()
    detector = cls().bind(model)
    if cls is not ODIN:
        with pytest.raises(InputError, match=r"bind"):
            cls().fit(known).score(x)
        detector.fit(known)
    assert detector.score(x[:5]).shape == (5,)
    assert model.training
    assert all(p.grad is None for p in model.parameters())
    model.eval()
