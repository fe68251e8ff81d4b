"""Detectors of attacked inputs against closed forms, scikit-learn, and what conformal calibration promises."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from deepwright import InputError
from deepwright.adversarial.semantic import (
    ClassDistances,
    DenseFeatureDetector,
    DenseFeatures,
    FeatureSqueezing,
    ImageFeatures,
    JpegDifference,
    LocalDimension,
    Monitored,
    NearestFeatures,
    OneClassUncertainty,
    SupervisedFeatures,
    Uncertainty,
    Watch,
    frames_needed,
    measure_detection,
)
from deepwright.adversarial.semantic.detector import spread
from deepwright.adversarial.semantic.features import classes_at, dense_features, image_features
from deepwright.adversarial.semantic.rivals import logistic
from deepwright.adversarial.semantic.squeezing import median
from deepwright.core.covariances import inverse_root, ledoit_wolf
from deepwright.core.errors import NotCalibratedError
from deepwright.core.statistics import conformal_alarm_rate, most_conformal_alarms
from deepwright.core.tasks import MultiLabel, Regression, Segmentation
from deepwright.nets import cifar_resnet, write_weights
from deepwright.nets.weights_files import load_weights


def drawn(*shape, seed=0):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


class Pixels(nn.Module):
    """Each pixel's class by its own numbers; what is looked at are the pixels themselves."""

    def __init__(self, pool=1):
        super().__init__()
        self.body = nn.Conv2d(2, 2, 1, bias=False)
        self.act = nn.ReLU(inplace=True)
        self.head = nn.Conv2d(2, 3, 1)
        self.pool = pool
        torch.manual_seed(0)
        nn.init.normal_(self.head.weight)
        nn.init.zeros_(self.head.bias)
        with torch.no_grad():
            self.body.weight.copy_(torch.eye(2).reshape(2, 2, 1, 1))

    def forward(self, x):
        return self.head(self.act(self.body(x)))


TASK = Segmentation(3)


@pytest.fixture(scope="module")
def scenes():
    return Pixels().eval(), drawn(60, 2, 6, 8), drawn(60, 2, 6, 8, seed=1), drawn(20, 2, 6, 8, seed=2)


def test_ledoit_and_wolf_is_scikit_learn_s():
    from sklearn.covariance import ledoit_wolf as reference

    x = drawn(15, 30).double() ** 2
    found, r = ledoit_wolf(x)
    wanted, shrinkage = reference(x.numpy())
    assert r == pytest.approx(shrinkage, rel=1e-10)
    assert np.allclose(found, wanted, rtol=1e-10)


def test_the_inverse_root_gives_mahalanobis_distances():
    a = torch.randn(5, 5, generator=torch.Generator().manual_seed(1)).double()
    s, x = a @ a.T + torch.eye(5), drawn(4, 5).double()
    wanted = torch.einsum("ni,ij,nj->n", x, torch.linalg.inv(s), x)
    assert torch.allclose((x @ inverse_root(s)).square().sum(1), wanted)


def test_a_matrix_that_has_no_root_is_refused():
    with pytest.raises(InputError, match="positive definite"):
        inverse_root(-torch.eye(2).double())


def test_maps_are_those_that_enter_the_activation_though_it_writes_over_them(scenes):
    model, x = scenes[0], scenes[1] - 0.5
    seen = Watch(model, task=TASK)(x)
    assert list(seen.maps) == ["body"]
    assert torch.equal(seen.maps["body"], x)


def test_statistics_of_channels():
    maps = {"a": drawn(3, 2, 4, 5), "b": drawn(3, 7)}
    found = image_features(maps, ("mean", "std", "max", "quantiles"))
    flat = maps["a"].flatten(2)
    assert found.shape == (3, 2 + 2 + 2 + 8 + 7)
    assert torch.allclose(found[:, :2], flat.mean(2))
    assert torch.allclose(found[:, 2:4], flat.std(2, correction=0), atol=1e-6)
    assert torch.equal(found[:, 4:6], flat.amax(2))
    quarter = np.quantile(flat.numpy(), 0.25, axis=2)
    assert np.allclose(found[:, 6:14].reshape(3, 4, 2)[:, 1], quarter, atol=1e-6)
    assert torch.equal(found[:, 14:], maps["b"])


def test_dense_features_have_the_coarsest_positions():
    maps = {"fine": drawn(2, 3, 8, 8), "coarse": drawn(2, 5, 4, 4), "vector": drawn(2, 9)}
    field = dense_features(maps)
    assert field.shape == (2, 8, 4, 4)
    assert torch.allclose(field[:, :3], nn.functional.avg_pool2d(maps["fine"], 2), atol=1e-6)
    assert torch.equal(classes_at(torch.eye(4)[:2], field)[1], torch.ones(4, 4).long())


def test_the_image_score_is_a_mahalanobis_distance(scenes):
    model, fit, _, new = scenes
    found = ImageFeatures().bind(model, task=TASK).fit(fit).score(new)

    def phi(x):
        flat = x.flatten(2).double()
        return torch.cat([flat.mean(2), flat.std(2, correction=0)], 1)

    mean, std = phi(fit).mean(0), phi(fit).std(0, correction=0)
    s, _ = ledoit_wolf((phi(fit) - mean) / std)
    z = (phi(new) - mean) / std
    assert torch.allclose(found, torch.einsum("ni,ij,nj->n", z, torch.linalg.inv(s), z), rtol=1e-4)


def test_the_dense_score_is_each_position_s_distance_to_its_class(scenes):
    model, fit, _, new = scenes
    detector = DenseFeatures().bind(model, task=TASK).fit(fit.split(7))

    def rows(x):
        with torch.no_grad():
            return x.double().permute(0, 2, 3, 1).reshape(-1, 2), model(x.clone()).argmax(1).flatten()

    h, k = rows(fit)
    means = torch.stack([h[k == c].mean(0) if bool((k == c).any()) else h.mean(0) for c in range(3)])
    within = (h - means[k]).T @ (h - means[k]) / len(h)
    z, c = rows(new)
    gaps = z - means[c]
    d = torch.einsum("ni,ij,nj->n", gaps, torch.linalg.inv(within), gaps).reshape(20, -1)
    assert torch.allclose(detector.score(new), d.mean(1), rtol=1e-3)
    assert detector.unseen == [c for c in range(3) if not bool((k == c).any())]
    top = DenseFeatures(top=0.25).bind(model, task=TASK).fit(fit)
    assert torch.allclose(top.score(new), d.topk(12, 1).values.mean(1), rtol=1e-3)


def test_a_patch_is_seen_where_it_is(scenes):
    model, fit, clean, new = scenes
    detector = DenseFeatureDetector(("image", "dense")).bind(model, task=TASK).fit(fit).calibrate(clean)
    patched = new.clone()
    patched[:, 0, 1:3, 2:5], patched[:, 1, 1:3, 2:5] = 2.0, -0.5
    with pytest.raises(InputError, match="range"):
        detector.heatmap(patched * 3)
    patched[:, 0, 1:3, 2:5], patched[:, 1, 1:3, 2:5] = 1.2, -0.2
    where = detector.attacked_positions(patched)
    inside = torch.zeros(6, 8, dtype=torch.bool)
    inside[1:3, 2:5] = True
    assert bool(where[:, inside].all())
    assert float(where[:, ~inside].double().mean()) < 0.12
    assert detector.heatmap(new).shape == (20, 6, 8)


@pytest.mark.parametrize(
    ("kind", "wanted"),
    [("entropy", 0.5623351446188083 / math.log(2)), ("variation", 0.25), ("margin", 0.5)],
)
def test_uncertainties_of_one_logit(kind, wanted):
    class Single(nn.Module):
        def forward(self, x):
            return x[:, :1] * 0 + math.log(3)

    found = Uncertainty(kind).bind(Single(), layers=["x"])
    found._network[1]._names = ()
    assert found.score(drawn(2, 4)).tolist() == pytest.approx([wanted, wanted])


def test_labels_of_their_own_are_two_classes_each():
    model = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 3)).eval()
    x = drawn(9, 4)
    with torch.no_grad():
        p = model(x).sigmoid().double()
    wanted = -(p * p.log() + (1 - p) * (1 - p).log()).mean(1) / math.log(2)
    found = Uncertainty().bind(model, task=MultiLabel(3)).score(x)
    assert torch.allclose(found, wanted, atol=1e-6)


def test_numbers_have_no_uncertainty_but_features():
    model = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 2)).eval()
    task = Regression(2, tolerance=0.1)
    with pytest.raises(InputError, match="classes"):
        Uncertainty().bind(model, task=task).score(drawn(3, 4))
    found = (
        DenseFeatureDetector(("image", "dense"))
        .bind(model, task=task)
        .fit(drawn(60, 4))
        .calibrate(drawn(60, 4, seed=1))
    )
    assert bool(found.predict(drawn(3, 4) * 0 - 0.2).all())


def test_one_class_machine_is_scikit_learn_s(scenes):
    from sklearn.svm import OneClassSVM

    model, fit, _, new = scenes
    detector = OneClassUncertainty(0.1).bind(model, task=TASK).fit(fit)
    three = [
        [Uncertainty(k).bind(model, task=TASK).score(x) for k in ("entropy", "variation", "margin")] for x in (fit, new)
    ]
    rows, others = (torch.stack(t, 1).numpy() for t in three)
    mean, std = rows.mean(0), rows.std(0)
    machine = OneClassSVM(nu=0.1, gamma="scale").fit((rows - mean) / std)
    wanted = machine.score_samples((others - mean) / std)
    assert np.allclose(-detector.score(new).numpy(), wanted, rtol=1e-4)


def test_neighbours_and_dimension_are_those_of_plain_distances(scenes):
    model, fit, _, new = scenes
    near = NearestFeatures(k=3).bind(model, task=TASK).fit(fit)
    phi = near.known_
    z = near.standardised(image_features({"body": new}, ("mean", "std")))
    assert torch.allclose(near.score(new), torch.cdist(z, phi).sort(1).values[:, 2], rtol=1e-4)
    local = LocalDimension(k=10).bind(model, task=TASK).fit(fit)
    r = torch.cdist(new.mean((2, 3)).double(), fit.mean((2, 3)).double()).sort(1).values[:, :10]
    wanted = -1 / (r / r[:, -1:]).log().mean(1)
    assert torch.allclose(local.score(new), wanted, rtol=1e-3)


def test_a_step_towards_the_class_lowers_the_distance(scenes):
    model, fit, _, new = scenes
    plain, stepped = (ClassDistances(e).bind(model, task=TASK).fit(fit).score(new) for e in (0.0, 0.01))
    assert float((stepped < plain).double().mean()) > 0.9


def test_logistic_weights_are_scikit_learn_s():
    from sklearn.linear_model import LogisticRegression

    x = drawn(80, 3).double()
    y = (x @ torch.tensor([1.0, -2.0, 0.5]).double() + 0.3 * drawn(80, seed=2).double()) > -0.1
    machine = LogisticRegression(C=1 / (0.05 * 80), class_weight="balanced", tol=1e-10, max_iter=1000).fit(x, y)
    found = logistic(x, y, 0.05)
    assert np.allclose(found[:-1], machine.coef_[0], atol=1e-4)
    assert float(found[-1]) == pytest.approx(machine.intercept_[0], abs=1e-4)


def test_labels_tell_what_they_were_shown(scenes):
    model, fit, clean, new = scenes
    with pytest.raises(InputError, match="attacked"):
        SupervisedFeatures().bind(model, task=TASK).fit(fit)
    detector = SupervisedFeatures().bind(model, task=TASK).attacked(clean * 0.8).fit(fit)
    assert float(detector.score(new * 0.8).mean()) > float(detector.score(new).mean()) + 1


def test_squeezing_is_the_largest_move_of_the_probabilities(scenes):
    model, _, _, new = scenes
    x = new[:4]
    padded = nn.functional.pad(x, [1] * 4, mode="reflect").unfold(2, 3, 1).unfold(3, 3, 1)
    assert torch.equal(median(x), padded.flatten(4).median(4).values)

    def p(images):
        with torch.no_grad():
            return model(images.clone()).softmax(1).double()

    moves = [(p(s) - p(x)).abs().sum(1).mean((1, 2)) for s in ((x * 31).round() / 31, median(x))]
    assert torch.allclose(FeatureSqueezing().bind(model, task=TASK).score(x), torch.maximum(*moves))
    with pytest.raises(InputError, match="odd"):
        FeatureSqueezing(size=2)


def test_jpeg_moves_pictures():
    model = cifar_resnet(8, channels=1).eval()
    found = JpegDifference(quality=30).bind(model).score(drawn(3, 1, 12, 12))
    assert bool((found > 0).all())
    flat = JpegDifference(quality=100).bind(model).score(torch.full((1, 1, 16, 16), 128 / 255))
    assert float(flat[0]) < 1e-6


@pytest.mark.parametrize("n", [19, 99])
def test_false_alarms_keep_the_rate_on_exchangeable_scores(n):
    rng, alarms, rounds = torch.Generator().manual_seed(n), 0, 1000
    detector = Uncertainty()
    scores = torch.randn(rounds, n + 1, generator=rng, dtype=torch.float64)
    for row in scores:
        detector.calibrate(row[:n], tpr=0.95)
        alarms += int(detector.alarms(row[n:, None])[0])
    assert abs(alarms / rounds - 0.05) <= 3 * math.sqrt(0.05 * 0.95 / rounds)  # (n + 1) / 20 is whole: 0.05 exactly
    rate = conformal_alarm_rate(n, 0.05)
    assert rate.value == pytest.approx(0.05)
    assert rate.low < 0.05 < rate.high


def test_rates_of_one_calibration_are_the_published_ones():
    one = conformal_alarm_rate(80, 0.05)
    assert one.value == pytest.approx(4 / 81)
    assert most_conformal_alarms(80, 60, 0.05) / 60 == pytest.approx(0.167, abs=1e-3)
    assert most_conformal_alarms(80, 200, 0.05) / 200 == pytest.approx(0.135, abs=1e-3)
    assert most_conformal_alarms(400, 200, 0.05) / 200 == pytest.approx(0.10, abs=6e-3)
    assert conformal_alarm_rate(10, 0.05).value == 0


def test_alarms_are_p_values_within_the_rate(scenes):
    model, fit, clean, new = scenes
    three = ("image", "entropy", "margin")
    detector = DenseFeatureDetector(three).bind(model, task=TASK).fit(fit).calibrate(clean, tpr=0.95)
    wild = torch.cat([new, new * 0.6, new * 0 + 0.5])
    p = detector.pvalues(wild)
    assert torch.equal(detector.predict(wild), p <= 0.05 + 1e-9)
    assert torch.allclose(detector.score(wild), -p.log())
    with pytest.raises(InputError, match="119"):
        six = ("image", "dense", "top", "entropy", "variation", "margin")
        DenseFeatureDetector(six).bind(model, task=TASK).fit(fit).calibrate(clean)


@pytest.mark.parametrize("fuse", ["fisher", "logistic"])
def test_other_fusions_are_calibrated_again(scenes, fuse):
    model, fit, _, new = scenes
    clean = drawn(400, 2, 6, 8, seed=5)
    detector = DenseFeatureDetector(("image", "entropy"), fuse=fuse).bind(model, task=TASK).fit(fit)
    if fuse == "logistic":
        with pytest.raises(InputError, match="examples"):
            detector.calibrate(clean)
        detector.examples(new * 0.7)
    detector.calibrate(clean)
    fresh = drawn(400, 2, 6, 8, seed=6)
    assert float(detector.predict(fresh).double().mean()) < 0.12
    assert torch.equal(detector.predict(fresh), detector.pvalues(fresh) <= 0.05 + 1e-9)
    assert bool(detector.predict(new * 0.7).all())


@pytest.mark.parametrize("fuse", ["min", "fisher", "logistic"])
def test_nearness_is_above_one_where_it_alarms_and_has_a_slope(scenes, fuse):
    model, fit, clean, new = scenes
    detector = DenseFeatureDetector(("image", "entropy"), fuse=fuse).bind(model, task=TASK).fit(fit)
    if fuse == "logistic":
        detector.examples(new * 0.8)
    detector.calibrate(clean if fuse == "min" else drawn(200, 2, 6, 8, seed=5))
    wild = torch.cat([new, new * 0.9, new * 0.7])
    parts = detector.part_scores(wild)
    assert torch.equal(detector.nearness(parts) > 1, detector.alarms(parts))
    assert 0 < int(detector.alarms(parts).sum()) < len(wild)
    x = wild.clone().requires_grad_(True)
    near = detector.nearness(detector.graph_parts(detector.watch(x)))
    (gradient,) = torch.autograd.grad(near.sum(), x)
    assert bool((gradient.abs().flatten(1).sum(1) > 0).all())
    with torch.no_grad():
        ahead = detector.watch(wild + 0.05 * gradient / gradient.abs().amax((1, 2, 3), keepdim=True))
    further = detector.nearness(detector.graph_parts(ahead))[:20]  # of the others ranks may be at their end
    assert float((further > near[:20]).double().mean()) > 0.8


@pytest.mark.parametrize("fuse", ["min", "fisher", "logistic"])
@pytest.mark.parametrize("odd", [math.nan, math.inf])
def test_a_score_that_is_no_number_alarms_however_it_is_fused(scenes, fuse, odd):
    model, fit, _, new = scenes
    detector = DenseFeatureDetector(("image", "entropy"), fuse=fuse).bind(model, task=TASK).fit(fit)
    if fuse == "logistic":
        detector.examples(new)
    detector.calibrate(drawn(200, 2, 6, 8, seed=5))
    if fuse == "logistic":
        detector.weights_ = -detector.weights_.abs()
    parts = detector.part_scores(new)
    parts[1, 0], parts[2, 1] = odd, odd
    assert detector.alarms(parts)[1:3].all()


def test_the_number_of_frames_that_are_needed():
    assert frames_needed(1, 0.05) == 19
    assert frames_needed(2, 0.05) == 39
    assert frames_needed(6, 0.05) == 119
    assert frames_needed(2, 0.07) == math.ceil(2 / 0.07) - 1
    detector = Uncertainty()
    for alpha in (0.05, 0.07, 0.3):
        n = frames_needed(1, alpha)
        detector.calibrate(drawn(n), 1 - alpha)
        with pytest.raises(InputError, match=f"at least {n}"):
            detector.calibrate(drawn(n - 1), 1 - alpha)


def test_what_is_kept_of_many_images_is_of_all_of_them():
    rows = torch.arange(5001.0)[:, None]
    assert torch.equal(spread(rows, 6000), rows)
    assert spread(rows, 5)[:, 0].tolist() == [0, 1250, 2500, 3750, 5000]


def test_a_network_that_learns_on_is_noticed(scenes):
    _, fit, clean, new = scenes
    model = Pixels().eval()
    detector = ImageFeatures().bind(model, task=TASK).fit(fit).calibrate(clean)
    detector.predict(new)
    with torch.no_grad():
        model.body.weight.mul_(1.1)
    with pytest.raises(InputError, match="other weights"):
        detector.predict(new)
    with torch.no_grad():
        model.body.weight.copy_(torch.eye(2).reshape(2, 2, 1, 1))
    detector.predict(new)


def test_nothing_that_was_fitted_on_calibrates(scenes):
    model, fit, clean, _ = scenes
    detector = ImageFeatures().bind(model, task=TASK).fit(fit)
    with pytest.raises(InputError, match="fitted on"):
        detector.calibrate(fit)
    with pytest.raises(InputError, match="50%"):
        detector.calibrate(torch.cat([fit, clean]))
    with pytest.raises(NotCalibratedError):
        detector.predict(clean)


def test_the_network_the_size_and_the_range_must_be_those_of_the_fit(scenes, tmp_path):
    model, fit, clean, new = scenes
    detector = DenseFeatureDetector().bind(model, task=TASK).fit(fit).calibrate(clean)
    for wrong, word in ((new[:, :, :4], "size"), (new * 255, "range"), (new - 2, "range")):
        with pytest.raises(InputError, match=word):
            detector.predict(wrong)
    other = Pixels().eval()
    with torch.no_grad():
        other.head.bias += 1
    with pytest.raises(InputError, match="other weights"):
        detector.bind(other)
    copied = DenseFeatureDetector().bind(other, task=TASK)
    copied.load_state_dict(detector.state_dict())
    with pytest.raises(InputError, match="other weights"):
        copied.predict(new)


def test_what_is_no_number_alarms(scenes):
    model, fit, clean, new = scenes
    detector = DenseFeatureDetector().bind(model, task=TASK).fit(fit).calibrate(clean)
    broken = new.clone()
    broken[3, 0, 0, 0] = torch.nan
    assert bool(detector.predict(broken)[3])
    assert math.isinf(float(ImageFeatures().bind(model, task=TASK).fit(fit).score(broken)[3]))


def test_dead_channels_are_dropped(scenes):
    model, fit, clean, _ = scenes
    grey = fit.clone()
    grey[:, 1] = 0.5
    detector = ImageFeatures().bind(model, task=TASK).fit(grey)
    assert detector.dropped == 2
    assert bool(torch.isfinite(detector.score(clean)).all())


def test_layers_of_residual_networks_are_their_blocks():
    model = cifar_resnet(8, channels=1).eval()
    watch = Watch(model)
    assert watch.names(drawn(2, 1, 12, 12)) == ("layer1", "layer2", "layer3")
    with pytest.raises(InputError, match="layer9"):
        Watch(model, ["layer9"])(drawn(2, 1, 12, 12))
    vectors = Watch(nn.Sequential(*(m for _ in range(6) for m in (nn.Linear(3, 3), nn.ReLU())), nn.Linear(3, 2)))
    assert len(vectors.names(drawn(2, 3))) == 4


def test_scores_have_the_gradient_of_their_differences(scenes):
    model, fit, _clean, new = scenes
    detector = DenseFeatureDetector(("image", "dense", "entropy", "margin", "squeezing")).bind(
        model.double(), task=TASK
    )
    detector.fit(fit.double())
    x = (new[:1].double() + 0.003).requires_grad_(True)
    direction = torch.randn(x.shape, generator=torch.Generator().manual_seed(3), dtype=torch.float64)

    def parts(point):
        return detector.graph_parts(detector.watch(point))[0, :4]

    for i in range(4):
        (gradient,) = torch.autograd.grad(parts(x)[i], x)
        step = 1e-3
        with torch.no_grad():
            slope = (parts(x + step * direction)[i] - parts(x - step * direction)[i]) / (2 * step)
        assert float((gradient * direction).sum()) == pytest.approx(float(slope), rel=2e-2, abs=1e-3)
    model.float()


def test_a_monitored_network_says_the_same_and_goes_into_a_file(scenes, tmp_path):
    model, fit, clean, new = scenes
    detector = DenseFeatureDetector().bind(model, task=TASK).fit(fit).calibrate(clean)
    made = Monitored(detector)
    with torch.no_grad():
        assert torch.equal(made(new.clone()), model(new.clone()))
        out, near, alarm = made.watched(new)
    assert torch.equal(alarm, detector.predict(new))
    assert torch.equal(near > 1, alarm)
    assert out.shape == (20, 3, 6, 8)
    write_weights(tmp_path / "weights.safetensors", made)
    again = Monitored(DenseFeatureDetector().bind(Pixels().eval(), task=TASK).fit(clean).calibrate(fit))
    load_weights(again, tmp_path / "weights.safetensors")
    with torch.no_grad():
        assert torch.equal(again.watched(new)[1], near)
    assert made.train().training is False


def test_a_report_counts_what_alarms(scenes):
    model, fit, clean, new = scenes
    detector = ImageFeatures().bind(model, task=TASK).fit(fit).calibrate(clean)
    report = measure_detection(detector, drawn(50, 2, 6, 8, seed=9), {"dark": new * 0.5, "same": new})
    assert report.rows["dark"].auroc.value > 0.99
    assert report.rows["dark"].alarmed.value == 1
    assert 0.3 < report.rows["same"].auroc.value < 0.7
    assert report.as_promised
    assert [row[0] for row in report.table().rows] == ["clean", "dark", "same"]


class Named(nn.Module):
    """Class outputs among others."""

    def __init__(self, network, form):
        super().__init__()
        self.network, self.form = network, form

    def forward(self, x):
        return self.form(self.network(x))


@pytest.mark.parametrize(
    "form", [lambda z: {"logits": z, "beside": z[:, :1]}, lambda z: (z, z[:, :, None])], ids=["dict", "tuple"]
)
def test_class_outputs_are_found_among_others(form):
    network = nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 3)).eval()
    x = drawn(200, 6)
    scores = [
        DenseFeatureDetector().bind(model).fit(x[:100]).calibrate(x[100:], 0.9).score(x[:5])
        for model in (network, Named(network, form).eval())
    ]
    assert torch.equal(*scores)


def test_candidates_of_a_detector_are_no_classes():
    network = Named(nn.Sequential(nn.Linear(6, 16), nn.ReLU()), lambda z: {"logits": z.view(-1, 8, 2)}).eval()
    with pytest.raises(InputError, match="no classes"):
        Uncertainty("entropy").bind(network).fit(drawn(20, 6)).score(drawn(5, 6))
