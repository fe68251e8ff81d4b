"""One contract for every detector: batch invariance, determinism, no mutation, save and load, clear errors."""

import pytest
import torch
from torch import nn

from deepwright.adversarial import semantic
from deepwright.core.errors import InputError, NotCalibratedError, NotFittedError
from deepwright.core.features import Activations, extract
from deepwright.core.protocols import Detector as DetectorProtocol
from deepwright.core.tasks import Classification, Regression
from deepwright.core.tracing import observed
from deepwright.nets import cifar_resnet
from deepwright.ood import (
    ALL,
    ASH,
    BBAS,
    DICE,
    GEN,
    KNN,
    MSP,
    ODIN,
    SCALE,
    DetectorSuite,
    Energy,
    OutsideTheBox,
    ReAct,
    ViM,
    aupr,
    fpr_at_tpr,
)

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


each = pytest.mark.parametrize("cls", ON_ACTIVATIONS, ids=lambda c: c.__name__)


@each
def test_it_fits_the_protocol(cls):
    assert isinstance(cls(), DetectorProtocol)


@pytest.mark.parametrize("cls", [c for c in ON_ACTIVATIONS if c.trainable], ids=lambda c: c.__name__)
def test_what_learns_must_be_fitted_first(cls, world):
    with pytest.raises(NotFittedError):
        cls().score(world[2])


@each
def test_fit_gives_the_detector(cls, world):
    detector = cls()
    assert detector.fit(world[2]) is detector


@each
def test_each_sample_has_one_score(cls, world):
    scores = cls().fit(world[2]).score(world[3])
    assert scores.shape == (40,)
    assert scores.is_floating_point()
    assert not torch.isnan(scores).any()


VARIANTS = [
    BBAS(use="single"),
    BBAS(aggregate=False, scale="none"),
    BBAS(kind="count", layer_reduce="mean"),
    BBAS(scale="width", prob_floor=0.3, layer_reduce="concat"),
    KNN(1),
]


@pytest.mark.parametrize("detector", [*(cls() for cls in ON_ACTIVATIONS), *VARIANTS], ids=lambda d: d.name)
def test_the_scores_of_a_graph_are_its_scores(detector, world):
    model, x, known, _ = world
    with torch.no_grad():
        graph = detector.fit(known).graph_score(observed(model, x)[1])
    scores = detector.score(known)
    assert graph.dtype == scores.dtype
    assert torch.allclose(graph, scores, rtol=1e-4, atol=1e-6 + 1e-5 * float(scores.abs().max()))


@each
def test_activations_stay_as_they_are(cls, world):
    _, _, known, other = world
    before = [_copied(acts) for acts in (known, other)]
    cls().fit(known).score(other)
    for acts, kept in zip((known, other), before):
        assert all(torch.equal(kept[name], value) for name, value in _copied(acts).items())


def _copied(acts):
    return {name: v.clone() for name, v in (*acts.layers.items(), ("logits", acts.logits), ("features", acts.features))}


@each
def test_fitted_again_it_gives_the_same_bits(cls, world):
    _, _, known, other = world
    assert torch.equal(cls().fit(known).score(other), cls().fit(known).score(other))


@each
def test_a_sample_has_the_same_score_in_any_batch(cls, world):
    _, _, known, other = world
    detector = cls().fit(known)
    parts = torch.cat([detector.score(other[torch.arange(i, min(i + 9, 40))]) for i in range(0, 40, 9)])
    assert torch.allclose(parts.double(), detector.score(other).double(), rtol=1e-4, atol=1e-5)


@each
def test_it_predicts_after_calibration_only(cls, world):
    _, _, known, other = world
    with pytest.raises(NotCalibratedError):
        cls().fit(known).predict(other)


@each
def test_calibrated_it_accepts_the_share_that_was_asked_for(cls, world):
    known = world[2]
    detector = cls().fit(known)
    detector.calibrate(detector.score(known), tpr=0.9)
    assert float((~detector.predict(known)).double().mean()) >= 0.9


@each
def test_shares_that_cannot_be_accepted_are_refused(cls, world):
    detector = cls().fit(world[2])
    with pytest.raises(InputError, match="tpr"):
        detector.calibrate(detector.score(world[2]), tpr=1.5)


@each
def test_a_saved_detector_gives_the_same_bits(cls, world, tmp_path):
    _, _, known, other = world
    detector = cls().fit(known)
    detector.calibrate(detector.score(known), tpr=0.9)
    torch.save(detector.state_dict(), tmp_path / "d.pt")
    copy = cls()
    copy.load_state_dict(torch.load(tmp_path / "d.pt", weights_only=True))
    assert torch.equal(copy.score(other), detector.score(other))
    assert torch.equal(copy.predict(other), detector.predict(other))


@each
def test_no_samples_are_refused(cls, world):
    with pytest.raises(InputError, match="0 samples"):
        cls().fit(world[2]).score(world[3][torch.arange(0)])


@pytest.mark.parametrize(
    "cls", [c for c in ON_ACTIVATIONS if c().needs & {"features", "weights", "layers"}], ids=lambda c: c.__name__
)
def test_activations_without_what_it_needs_are_refused(cls, world):
    detector = cls().fit(world[2])
    with pytest.raises(InputError, match="needs"):
        detector.score(Activations(world[3].logits))


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


WRONG = [
    (MSP, {"temperature": 0.0}),
    (Energy, {"temperature": -1.0}),
    (GEN, {"gamma": 0.0}),
    (GEN, {"top": 0}),
    (ODIN, {"temperature": 0.0}),
    (ODIN, {"epsilon": -0.1}),
    (KNN, {"k": 0}),
    (ViM, {"dimensions": 0}),
    (ReAct, {"percentile": 101.0}),
    (DICE, {"sparsity": 1.0}),
    (ASH, {"percentile": 100.0}),
    (SCALE, {"percentile": -1.0}),
    (BBAS, {"kind": "area"}),
    (BBAS, {"scale": "wide"}),
    (BBAS, {"layer_reduce": "sum"}),
    (OutsideTheBox, {"use": "all"}),
    (OutsideTheBox, {"tau": 1.0}),
]


@pytest.mark.parametrize(("cls", "option"), WRONG, ids=lambda v: getattr(v, "__name__", str(v)))
def test_values_that_an_option_cannot_have_are_refused_by_name(cls, option):
    with pytest.raises(InputError, match=next(iter(option))):
        cls(**option)


UNUSED = [
    ("aggregate", {"use": "single", "aggregate": False}),
    ("prob_floor", {"use": "single", "prob_floor": 0.1}),
    ("prob_floor", {"aggregate": False, "prob_floor": 0.1}),
    ("scale", {"kind": "count", "scale": "width"}),
]


@pytest.mark.parametrize(("word", "options"), UNUSED)
def test_options_that_would_change_nothing_are_refused_by_name(word, options):
    with pytest.raises(InputError, match=f"^{word}"):
        BBAS(**options)


@pytest.mark.parametrize("metric", [fpr_at_tpr, aupr])
def test_metrics_refuse_unknown_positives(metric):
    with pytest.raises(InputError, match="positive"):
        metric(torch.zeros(3), torch.ones(3), positive="both")


class InATuple(nn.Module):
    """Gives its logits together with something else."""

    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def forward(self, x):
        return self.inner(x), x.mean()


@pytest.mark.parametrize("cls", ALL, ids=lambda c: c.__name__)
def test_outputs_are_read_through_the_task(cls, world):
    """A network that gives (logits, more) scores as the one that gives its logits alone."""
    model, x, known, _ = world
    y = known.labels
    plain = DetectorSuite(model, [cls()]).fit([(x, y)]).score([x[:9]])
    told = DetectorSuite(InATuple(model).eval(), [cls()], task=Classification(3)).fit([(x, y)]).score([x[:9]])
    assert list(told) == [cls.__name__]
    assert torch.allclose(told[cls.__name__], plain[cls.__name__], atol=1e-6)


def test_a_task_without_classes_is_refused(world):
    model, x, _, _ = world
    with pytest.raises(InputError, match="one class"):
        extract(model, [x], task=Regression(3))


WATCHERS = [cls for cls in semantic.ALL if cls is not semantic.SupervisedFeatures]
each_watcher = pytest.mark.parametrize("cls", WATCHERS, ids=lambda c: c.__name__)


@pytest.fixture(scope="module")
def watched(world):
    model, x, _, _ = world
    return model, x[:40], x[40:], torch.rand(9, 1, 10, 10, generator=torch.Generator().manual_seed(3))


def beside(cls, watched):
    """A detector of inputs, fitted on one part of them and calibrated on the other."""
    model, fit, held_out, _ = watched
    detector = cls().bind(model)
    if detector.trainable:
        assert detector.fit(fit) is detector
    return detector.calibrate(held_out, tpr=0.9)


@each_watcher
def test_a_detector_of_inputs_keeps_the_contract(cls, watched, tmp_path):
    """Protocol, one score an input in any batch, the same bits again, saved and loaded, nothing left on the network."""
    model, new = watched[0], watched[3]
    assert isinstance(cls(), DetectorProtocol)
    with pytest.raises(InputError, match=r"bind|fit"):
        cls().part_scores(new)
    fresh = cls().bind(model)
    if fresh.trainable:
        with pytest.raises(NotFittedError):
            fresh.score(new)
        with pytest.raises(NotCalibratedError):
            fresh.predict(new)
    model.train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    detector = beside(cls, watched)
    scores, flags, given = detector.score(new), detector.predict(new), new.clone()
    assert model.training
    model.eval()
    assert torch.equal(new, given)
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert all(p.grad is None and p.requires_grad for p in model.parameters())
    assert scores.shape == flags.shape == (9,)
    assert not torch.isnan(scores).any()
    parts = torch.cat([detector.score(new[i : i + 4]) for i in range(0, 9, 4)])
    assert torch.allclose(parts, scores, rtol=1e-3, atol=1e-5)
    assert torch.equal(detector.score(list(new.split(4))), parts)
    assert torch.equal(beside(cls, watched).score(new), scores)
    torch.save(detector.state_dict(), tmp_path / "d.pt")
    copy = cls().bind(model)
    copy.load_state_dict(torch.load(tmp_path / "d.pt", weights_only=True))
    assert torch.equal(copy.score(new), scores)
    assert torch.equal(copy.predict(new), flags)
    with pytest.raises(InputError, match="0 samples"):
        detector.score(new[:0])


def test_a_state_of_another_detector_of_inputs_is_refused(watched):
    state = beside(semantic.ImageFeatures, watched).state_dict()
    with pytest.raises(InputError, match="class"):
        semantic.NearestFeatures().load_state_dict(state)
    with pytest.raises(InputError, match="stats"):
        semantic.ImageFeatures(stats=("mean",)).load_state_dict(state)
