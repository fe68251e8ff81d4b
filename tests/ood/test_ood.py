"""Detectors against hand cases, closed forms and scikit-learn; BBAS's exact containment and optimality."""

import numpy as np
import pytest
import torch
from scipy.cluster.hierarchy import fcluster, linkage
from sklearn.metrics import adjusted_rand_score, average_precision_score, roc_auc_score
from torch import nn

from deepwright.core.errors import InputError, NotCalibratedError, NotFittedError
from deepwright.core.features import Activations, extract, layer_names
from deepwright.core.tasks import Classification
from deepwright.data import boxes_ood
from deepwright.nets import cifar_resnet, mlp
from deepwright.ood import (
    ALL,
    BBAS,
    DICE,
    KNN,
    MDS,
    ODIN,
    ConformalFusion,
    DetectorSuite,
    DriftAlarm,
    Energy,
    Entropy,
    OutsideTheBox,
    aupr,
    auroc,
    complete_linkage,
    detection_error,
    fpr_at_tpr,
    wrap_pytorch_ood,
)


def acts_of(x, y, classes=None):
    logits = 4.0 * nn.functional.one_hot(y, classes or int(y.max()) + 1).float()
    return Activations(logits, y, features=x, layers={"x": x}, kinds={"x": "vector"})


@pytest.fixture(scope="module")
def conv_acts():
    torch.manual_seed(0)
    model = cifar_resnet(8, channels=1).eval()
    x = torch.rand(120, 1, 12, 12)
    y = torch.arange(120) % 10
    return model, x, y, extract(model, [(x, y)])


def test_hand_case():
    points = torch.tensor([[0.0, 0], [1, 2], [10, 10], [12, 11]])
    detector = BBAS(n_clusters=2, aggregate=False).fit(acts_of(points, torch.zeros(4).long(), 1))
    # the clusters of the hand case are {(0,0), (1,2)} and {(10,10), (12,11)}
    detector.remember(
        boxes_low_=torch.tensor([[0.0, 0], [10, 10]]),
        boxes_high_=torch.tensor([[1.0, 2], [12, 11]]),
        box_class_=torch.zeros(2).long(),
        scale_=torch.ones(2),
    )
    queries = acts_of(torch.tensor([[2.0, 3], [11, 10.5], [0.5, 4]]), torch.zeros(3).long(), 1)
    assert detector.score(queries).tolist() == pytest.approx([1.0, 0.0, 1.0])
    detector.kind = "count"
    assert detector.score(queries).tolist() == pytest.approx([1.0, 0.0, 0.5])


@pytest.mark.parametrize(
    "options",
    [
        *(
            {"kind": kind, **more}
            for kind in ("distance", "count")
            for more in ({}, {"layer_reduce": "mean"}, {"margin": 0.1})
        ),
        {"scale": "width"},
        {"scale": "none"},
    ],
)
def test_training_samples_score_exactly_zero(conv_acts, options):
    _, _, y, acts = conv_acts
    detector = BBAS(n_clusters=3, **options).fit(acts)
    own = detector.class_scores(acts).gather(1, y[:, None])
    assert bool((own == 0).all())


def test_containment_survives_another_batch_size(conv_acts):
    model, x, y, acts = conv_acts
    detector = BBAS(n_clusters=3).fit(acts)
    again = extract(model, [(x[i : i + 7], y[i : i + 7]) for i in range(0, 120, 7)])
    assert bool((detector.class_scores(again).gather(1, y[:, None]) == 0).all())


def test_partial_fit(conv_acts):
    _, _, _, acts = conv_acts
    a, b = acts[torch.arange(60)], acts[torch.arange(60, 120)]
    one = BBAS(n_clusters=1).fit(a).partial_fit(b)
    both = BBAS(n_clusters=1).fit(acts)
    assert torch.equal(one.boxes_low_, both.boxes_low_)
    assert torch.equal(one.boxes_high_, both.boxes_high_)
    many = BBAS(n_clusters=3).fit(a).partial_fit(b)
    assert bool((many.class_scores(b).gather(1, b.labels[:, None]) == 0).all())
    shuffled = BBAS(n_clusters=3).fit(a).partial_fit(b[torch.randperm(60)])
    assert torch.equal(many.boxes_low_, shuffled.boxes_low_)
    for cls in (MDS, KNN):
        joined, split = cls().fit(acts), cls().fit(a).partial_fit(b)
        assert torch.allclose(joined.score(acts), split.score(acts), rtol=1e-4, atol=1e-3)


def test_linkage_equals_scipy():
    psi = torch.rand(80, 6, generator=torch.Generator().manual_seed(0))
    expected = fcluster(linkage(psi.double().numpy(), "complete"), 4, "maxclust")
    assert adjusted_rand_score(expected, complete_linkage(psi, 4)) == 1.0
    big = torch.cat([torch.randn(300, 3) + 20 * k for k in range(3)])
    assert adjusted_rand_score(np.repeat([0, 1, 2], 300), complete_linkage(big, 3, most=100)) == 1.0


def test_invariances(conv_acts):
    _, _, _, acts = conv_acts
    detector = BBAS(n_clusters=2).fit(acts[torch.arange(60)])
    scores = detector.score(acts)
    single = torch.cat([detector.score(acts[torch.tensor([i])]) for i in range(120)])
    assert torch.allclose(scores, single, rtol=1e-5, atol=1e-6)
    order = torch.randperm(120)
    assert torch.allclose(detector.score(acts[order]), scores[order], atol=1e-6)
    count = BBAS(kind="count").fit(acts).class_scores(acts)
    assert float(count.min()) >= 0
    assert float(count.max()) <= 1 + 1e-6
    floor = BBAS(n_clusters=2, prob_floor=1e-3).fit(acts[torch.arange(60)])
    largest = float(detector.class_scores(acts).max())
    assert float((floor.score(acts) - scores).abs().max()) <= 1e-3 * 10 * largest + 1e-6


def test_distance_grows_along_a_ray():
    x = torch.rand(50, 4)
    detector = BBAS(n_clusters=1).fit(acts_of(x, torch.zeros(50).long(), 1))
    ray = x.mean(0) + torch.linspace(0, 10, 60)[:, None] * torch.randn(4)
    assert bool((detector.score(acts_of(ray, torch.zeros(60).long(), 1)).diff() >= -1e-6).all())


def test_one_hot_aggregate_is_the_single_score(conv_acts):
    _, _, _, acts = conv_acts
    sharp = Activations(acts.logits * 1e6, acts.labels, acts.features, acts.layers, acts.kinds)
    a, b = BBAS().fit(sharp), BBAS(aggregate=False).fit(sharp)
    assert torch.allclose(a.score(sharp), b.score(sharp), atol=1e-6)


@pytest.mark.parametrize("seed", [0, 1])
def test_boxes_are_optimal_where_they_should_be(seed):
    train, test, ood = boxes_ood(seed)

    def classified(x):
        """Logits of a nearest-neighbour classifier: right on every cube, something on the points between them."""
        distance = torch.cdist(x, train.x)
        nearest = torch.stack([distance[:, train.y == k].amin(1) for k in range(2)], 1)
        return Activations(-20 * nearest, None, x, {"x": x}, {"x": "plain"})

    fit, inside, outside = classified(train.x), classified(test.x), classified(ood)
    fit.labels = train.y

    def value(detector):
        detector.fit(fit)
        return auroc(detector.score(inside), detector.score(outside))

    best = value(BBAS(n_clusters=4, aggregate=False))
    assert best >= 0.99
    assert best - value(BBAS(n_clusters=1, aggregate=False)) >= 0.25
    assert best - value(MDS()) >= 0.25


def test_closed_forms():
    zero = Activations(torch.zeros(3, 10))
    assert torch.allclose(Energy().score(zero), torch.full((3,), -np.log(10.0)).float())
    rng = torch.Generator().manual_seed(1)
    half = torch.randn(4000, 3, generator=rng)
    h = torch.cat([half, -half])
    h = h @ torch.linalg.inv(torch.linalg.cholesky(h.T @ h / len(h))).T  # mean 0 and covariance exactly I
    acts = acts_of(h, torch.zeros(8000).long(), 1)
    assert torch.allclose(MDS().fit(acts).score(acts).float(), h.square().sum(1), rtol=1e-4, atol=1e-4)
    wide = acts_of(torch.randn(500, 64, generator=rng), torch.zeros(500).long(), 1)
    assert float(KNN(k=1).fit(wide).score(wide).abs().max()) == 0.0


def test_metrics_equal_scikit_learn():
    rng = np.random.default_rng(0)
    a, b = rng.integers(0, 20, 300), rng.integers(5, 30, 200)  # many ties
    truth, scores = np.r_[np.zeros(300), np.ones(200)], np.r_[a, b].astype(float)
    ta, tb = torch.tensor(a).double(), torch.tensor(b).double()
    assert auroc(ta, tb) == pytest.approx(roc_auc_score(truth, scores), abs=1e-12)
    assert aupr(ta, tb) == pytest.approx(average_precision_score(truth, scores), abs=1e-12)
    assert aupr(ta, tb, "id") == pytest.approx(average_precision_score(1 - truth, -scores), abs=1e-12)


def test_fpr_has_the_closed_form():
    inside, outside = torch.arange(100.0), torch.arange(50.0, 150.0)
    assert fpr_at_tpr(inside, outside) == pytest.approx(45 / 100)  # threshold 94; 50..94 pass
    assert fpr_at_tpr(inside, outside, positive="ood") == pytest.approx(45 / 100)  # threshold 55; 55..99 alarm
    assert detection_error(torch.zeros(5), torch.ones(5)) == 0.0


def test_suite_skips_with_a_reason_and_leaves_the_model_alone(conv_acts):
    model, x, y, _ = conv_acts
    model.train()
    before = {k: v.clone() for k, v in model.state_dict().items()}
    suite = DetectorSuite(model, [Energy(), BBAS(), MDS()]).fit([(x[:5], y[:5])])
    assert set(suite.skipped) == {"BBAS", "MDS"}
    assert "no samples" in suite.skipped["BBAS"]
    assert model.training
    assert all(torch.equal(before[k], v) for k, v in model.state_dict().items())


def test_report_has_every_detector(conv_acts):
    model, x, y, _ = conv_acts
    table = DetectorSuite(model).fit([(x, y)]).report([x[:40]], {"far noise": [torch.rand(30, 1, 12, 12)]})
    fitted = set(table.column("detector"))
    assert len(fitted) >= len(ALL) - 1  # SHE may miss a class on an untrained network


def test_explanations_name_the_layer(conv_acts):
    model, _, _, acts = conv_acts
    detector = BBAS().fit(acts)
    far = extract(model, [5 * torch.ones(2, 1, 12, 12)])
    rows = detector.explain(far, top=3)
    assert len(rows) == 2
    assert rows[0][0].layer in acts.layers
    assert rows[0][0].deviations >= rows[0][1].deviations


def test_functional_activations_are_seen():
    class Functional(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = nn.Conv2d(1, 4, 3), nn.Linear(4, 3)

        def forward(self, x):
            x = torch.relu(self.a(x))
            return self.b(nn.functional.gelu(x).mean((2, 3)))

    model = Functional()
    assert layer_names(model, torch.rand(1, 1, 8, 8))[:2] == ["a", "a#2"]
    acts = extract(model, [torch.rand(2, 1, 8, 8)])
    assert acts.features.shape == (2, 4)
    assert acts.layers["a"].shape == (2, 12)


def test_exported_program_is_seen():
    model = mlp(5, 3, (7,)).eval()
    program = torch.export.export(model, (torch.rand(4, 5),), dynamic_shapes=({0: torch.export.Dim("n", min=2)},))
    acts = extract(program.module(), [torch.rand(4, 5)])
    assert acts.features.shape == (4, 7)
    assert [v.shape for v in acts.layers.values()] == [(4, 7)]


def test_extraction_resumes_and_refuses_another_network(tmp_path, conv_acts):
    model, x, _, acts = conv_acts

    def broken():
        yield x[:50]
        yield x[50:100]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        extract(model, broken(), store=tmp_path, every=1)
    batches = [x[:50], x[50:100], x[100:]]
    resumed = extract(model, batches, store=tmp_path, every=1)
    assert torch.allclose(resumed.logits, acts.logits, atol=1e-5)
    torch.manual_seed(1)
    with pytest.raises(InputError, match="another model"):
        extract(cifar_resnet(8, channels=1), batches, store=tmp_path, every=1)


def test_errors(conv_acts):
    model, x, y, acts = conv_acts
    with pytest.raises(NotFittedError):
        BBAS().score(acts)
    with pytest.raises(NotCalibratedError):
        Energy().predict(acts)
    with pytest.raises(InputError, match="did you mean"):
        extract(model, [x], layers=["layer1.0.conv"])
    with pytest.raises(InputError, match="float"):
        extract(model, [(x * 255).byte()])
    with pytest.raises(InputError, match=r"0\.\.9"):
        extract(model, [(x, y + 5)])
    with pytest.raises(InputError, match="NaN"):
        extract(model, [x * float("nan")])
    with pytest.raises(InputError, match="gradients"), torch.inference_mode():
        ODIN().bind(model).score(x)
    other = Activations(acts.logits, acts.labels, acts.features, {"x": torch.rand(120, 3)}, {"x": "vector"})
    with pytest.raises(InputError, match="as at fit"):
        BBAS().fit(acts).score(other)


def test_conformal_false_alarms_stay_under_the_level():
    rng = torch.Generator().manual_seed(0)
    for how in ("min", "fisher"):
        rates = []
        for _ in range(300):
            common = torch.randn(140, generator=rng)
            scores = {"a": common + torch.randn(140, generator=rng), "b": common + torch.randn(140, generator=rng)}
            fusion = ConformalFusion(how).calibrate({k: v[:100] for k, v in scores.items()})
            rates.append(float((fusion.pvalues({k: v[100:] for k, v in scores.items()}) <= 0.1).double().mean()))
        assert np.mean(rates) <= 0.1 + 3 * np.std(rates) / np.sqrt(300)
        assert np.mean(rates) >= 0.02


def test_drift_alarm():
    quiet, loud = DriftAlarm(0.05), DriftAlarm(0.05)
    assert quiet.update(torch.arange(100) % 20 == 0) > 0.2
    assert loud.update(torch.arange(100) % 4 == 0) < 1e-6


def test_adapter():
    class Foreign:
        def predict_features(self, h):
            return -h.norm(dim=1)

    acts = acts_of(torch.rand(5, 3), torch.zeros(5).long(), 2)
    assert wrap_pytorch_ood(Foreign()).fit(acts).score(acts).shape == (5,)


def test_outside_the_box_is_binary(conv_acts):
    _, _, _, acts = conv_acts
    assert set(OutsideTheBox().fit(acts[torch.arange(60)]).score(acts).tolist()) <= {0.0, 1.0}


@pytest.mark.parametrize(
    ("saved", "loaded", "message"),
    [
        (MDS(), KNN(), "class 'MDS'"),
        (KNN(k=1), KNN(), "k 1"),
        (BBAS(kind="count"), BBAS(), "kind 'count'"),
    ],
    ids=["another class", "another k", "another kind"],
)
def test_a_state_of_another_detector_is_refused(saved, loaded, message, conv_acts):
    *_, known = conv_acts
    state = saved.fit(known).state_dict()
    with pytest.raises(InputError, match=message):
        loaded.load_state_dict(state)


def test_options_that_change_no_score_may_differ(conv_acts):
    *_, known = conv_acts
    BBAS(jobs=2).load_state_dict(BBAS().fit(known).state_dict())


def test_two_detectors_of_one_name_are_refused():
    with pytest.raises(InputError, match="KNN"):
        DetectorSuite(torch.nn.Linear(2, 2), [KNN(1), KNN(5)])


def test_dice_that_drops_nothing_is_energy(conv_acts):
    *_, known = conv_acts
    other = known
    torch.testing.assert_close(DICE(sparsity=0.0).fit(known).score(other), Energy().score(other))


def test_probabilities_are_not_taken_for_logits(conv_acts):
    model, x, y, _ = conv_acts
    softmax = nn.Sequential(model, nn.Softmax(1))
    with pytest.raises(InputError, match=r"outputs=.probabilities"):
        extract(softmax, [(x, y)])
    with pytest.raises(InputError, match="look like probabilities"):
        extract(softmax, [(x, y)], task=Classification(10))


def test_the_remedy_for_probabilities_scores_as_logits_do(conv_acts):
    model, x, y, acts = conv_acts
    read = extract(nn.Sequential(model, nn.Softmax(1)), [(x, y)], task=Classification(10, outputs="probabilities"))
    torch.testing.assert_close(Entropy().score(read), Entropy().score(acts), rtol=1e-4, atol=1e-5)
