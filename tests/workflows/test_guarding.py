"""A guarded network: its threshold, what it says, and the files that say the same."""

import json

import numpy as np
import pytest
import torch
from torch import nn

import deepwright as dw
from deepwright.compress.files import run, session
from deepwright.core.errors import InputError
from deepwright.core.features import extract
from deepwright.nets import small_ssd
from deepwright.nets.texts import Tokenized
from deepwright.ood import ALL, KNN, ODIN, conformal_threshold
from deepwright.workflows import Guarded, guarded_files
from deepwright.workflows.guarded import EXPORTED, guard_network


def rows(n, seed):
    generator = torch.Generator().manual_seed(seed)
    y = torch.arange(n) % 3
    centres = 3 * torch.eye(3, 6)
    return centres[y] + torch.randn(n, 6, generator=generator), y


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 12), nn.ReLU(), nn.Linear(12, 8), nn.ReLU(), nn.Linear(8, 3)).eval()


@pytest.fixture(scope="module")
def guarded(network):
    return dw.guard(network, [rows(150, 1)], tpr=0.9, validation=[rows(200, 2)])


@pytest.fixture(scope="module")
def files(guarded, tmp_path_factory):
    return guarded.save(tmp_path_factory.mktemp("guard"))


# --- the threshold ----------------------------------------------------------------------------------------------------


def test_the_threshold_is_the_conformal_quantile():
    scores = torch.arange(1.0, 100.0)[torch.randperm(99, generator=torch.Generator().manual_seed(0))]
    assert conformal_threshold(scores, 0.9) == 90  # ceil(100 * 0.9)
    assert conformal_threshold(scores, 0.901) == 91
    assert conformal_threshold(torch.arange(9.0), 0.9) == 8  # the least that will do


def test_new_samples_are_accepted_as_often_as_was_promised():
    rng = np.random.default_rng(0)
    held, new = rng.exponential(size=(2000, 19)), rng.exponential(size=2000)
    thresholds = [conformal_threshold(torch.from_numpy(row), 0.9) for row in held]
    share = np.mean(new <= np.array(thresholds))
    assert abs(share - 18 / 20) < 4 * np.sqrt(0.9 * 0.1 / 2000)  # ceil(20 * 0.9) / 20, exactly


@pytest.mark.parametrize(
    ("scores", "words"),
    [(torch.arange(8.0), "at least 9"), (torch.ones(50), "100% of them the highest"), (torch.tensor([]), "scores")],
)
def test_no_threshold_is_made_up(scores, words):
    with pytest.raises(InputError, match=words):
        conformal_threshold(scores, 0.9)


# --- what it says -----------------------------------------------------------------------------------------------------


def test_it_says_what_network_and_detector_say(guarded, network):
    x, _ = rows(40, 3)
    out, score, foreign = guarded(x)
    acts = extract(network, [x])
    assert torch.equal(out, network(x))
    assert torch.allclose(score, guarded.detector.score(acts), rtol=1e-4, atol=1e-6)
    assert torch.equal(foreign, guarded.detector.predict(acts))


def test_acceptance_is_measured_on_samples_that_set_nothing(guarded):
    facts = guarded.facts
    assert facts["calibrated_on"] == "100 validation samples"
    assert facts["accepted_of"].startswith("100 validation samples")
    share = facts["accepted"]
    fresh = float((~guarded(rows(3000, 7)[0])[2]).double().mean())
    assert share["low"] - 0.02 <= fresh <= share["high"] + 0.02


def test_what_is_not_finite_is_foreign(guarded):
    x, _ = rows(4, 3)
    x[1, 2], x[2, 0] = float("nan"), float("inf")
    assert guarded(x)[2][1:3].all()


def test_it_keeps_to_itself(network):
    model = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Dropout(0.5), nn.Linear(8, 3)).train()
    found = guard_network(model, [rows(90, 1)], KNN(1), 0.8, [rows(60, 2)])
    assert model.training
    x = rows(20, 4)[0]
    before = found.train()(x)
    with torch.no_grad():
        model[0].weight.zero_()
    assert all(map(torch.equal, before, found(x)))


def test_samples_that_the_network_has_seen_are_called_so(network):
    found = guard_network(network, [rows(200, 1)], "msp", 0.8)
    assert "training samples" in found.facts["calibrated_on"]
    assert "never trained on" in found.facts["note"]


def test_what_cannot_leave_is_refused_with_what_can(network):
    assert {ODIN} == set(ALL) - set(EXPORTED)
    with pytest.raises(InputError, match=r"ODIN.*MSP.*BBAS"):
        guard_network(network, [rows(50, 1)], ODIN())
    with pytest.raises(InputError, match="without a threshold"):
        Guarded(network, KNN(1).fit(extract(network, [rows(50, 1)])))


@pytest.mark.parametrize("detector", ["knn", "vim", "bbas"])
def test_one_logit_is_two_classes(detector):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 1)).eval()
    x, y = rows(150, 1)
    found = dw.guard(model, iter([(9 * x[:75], y[:75].clamp_max(1)), (9 * x[75:], y[75:].clamp_max(1))]), detector, 0.8)
    out, score, _ = found(x)
    acts = extract(model, [x], task=found.task)
    assert torch.allclose(acts.features @ acts.weight.T + acts.bias, acts.logits, atol=1e-5)
    assert torch.equal(out, model(x))
    assert torch.allclose(score, found.detector.score(acts), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("model", "x", "words"),
    [
        (small_ssd(2, width=0.25), torch.rand(2, 1, 48, 64), "boxes.*one class a sample"),
        (nn.Conv2d(1, 3, 1), torch.rand(2, 1, 8, 8), "maps of shape.*one class a sample"),
        (Tokenized(nn.Embedding(9, 2), lambda texts: torch.zeros(len(texts), 1).long()), ["a", "b"], "model.encode"),
    ],
)
def test_what_has_no_class_is_refused_in_words(model, x, words):
    with pytest.raises(InputError, match=words):
        dw.guard(model.eval(), [(x, torch.tensor([0, 1]))])


# --- files ------------------------------------------------------------------------------------------------------------


def test_both_files_say_what_the_module_says(guarded, files):
    program, runtime = torch.export.load(files.program).module(), session(files.onnx)
    assert [o.name for o in runtime.get_outputs()] == ["output", "score", "is_foreign"]
    for n in (1, 5, 33):
        x = rows(n, 20 + n)[0] * torch.linspace(0.5, 4, n)[:, None]
        out, score, foreign = guarded(x)
        for said in (program(x), map(torch.from_numpy, run(runtime, (x,)))):
            out_, score_, foreign_ = said
            assert torch.allclose(out_, out, rtol=1e-4, atol=1e-5)
            assert torch.allclose(score_, score, rtol=1e-4, atol=1e-5)
            beside = (score - guarded.threshold).abs() < 1e-4 * score.abs().max()
            assert ((foreign_ == foreign) | beside).all()


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["ViT", "Bert"])
def test_models_of_transformers_leave_with_their_guard(kind, tmp_path):
    transformers = pytest.importorskip("transformers")
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    torch.manual_seed(0)
    if kind == "ViT":
        config = transformers.ViTConfig(image_size=16, patch_size=8, num_labels=3, **sizes)
        model, x = transformers.ViTForImageClassification(config).eval(), torch.rand(150, 3, 16, 16)
    else:
        config = transformers.BertConfig(vocab_size=50, max_position_embeddings=20, num_labels=3, **sizes)
        model, x = transformers.BertForSequenceClassification(config).eval(), torch.randint(0, 50, (150, 9))
    found = dw.guard(model, [(x, torch.arange(150) % 3)], "knn", 0.8)
    files = found.save(tmp_path)
    assert max(files.difference.values()) < 1e-4
    out = run(session(files.onnx), (x[:5],))[0]
    with torch.no_grad():
        assert np.allclose(out, model(x[:5]).logits.numpy(), atol=1e-4)


def test_not_finite_is_foreign_in_the_files_too(files):
    x = rows(3, 3)[0]
    x[1, 2] = float("nan")
    assert torch.export.load(files.program).module()(x)[2][1]
    assert run(session(files.onnx), (x,))[2][1]


def test_the_facts_lie_beside_them(guarded, files):
    facts = json.loads(files.facts.read_text())
    assert facts["threshold"] == float(guarded.threshold)
    assert facts["outputs"] == ["output", "score", "is_foreign"]
    assert facts["accepted"]["low"] < facts["accepted"]["value"] < facts["accepted"]["high"]
    assert max(facts["difference"].values()) <= 1e-4


def test_a_file_that_says_something_else_is_not_written(guarded, files, tmp_path, monkeypatch):
    def off(runtime, x):
        output, score, foreign = run(runtime, x)
        return [output, score * 1.01, foreign]

    monkeypatch.setattr(guarded_files, "export_program", lambda *_, **__: torch.export.load(files.program))
    monkeypatch.setattr(guarded_files, "onnx_bytes", lambda *_: files.onnx.read_bytes())
    monkeypatch.setattr(guarded_files, "run", off)
    with pytest.raises(InputError, match=r"guard\.onnx differs"):
        guarded.save(tmp_path / "other")
    assert not (tmp_path / "other").exists()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["knn", "rmds", "vim", "she", "ash"])
def test_every_kind_of_detector_leaves_with_a_convolutional_network(name, tmp_path):
    from deepwright.nets import cifar_resnet

    torch.manual_seed(0)
    model, x = cifar_resnet(8, channels=1, classes=3).eval(), torch.rand(160, 1, 10, 10)
    with torch.no_grad():
        model.fc.bias -= model(x).mean(0)
        y = model(x).argmax(1)
    found = guard_network(model, [(x[:90], y[:90])], name, 0.9, [x[90:]]).save(tmp_path)
    assert max(found.difference.values()) <= 1e-4
