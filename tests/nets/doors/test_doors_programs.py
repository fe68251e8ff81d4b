"""Exported, TorchScript and compiled networks: the same outputs as the module that they were made from."""

import copy

import pytest
import torch
from torch import nn
from torch.export import Dim, export, save
from torch.utils.data import DataLoader, TensorDataset

import deepwright as dw
from deepwright.compress import cost
from deepwright.core.errors import InputError
from deepwright.core.features import extract
from deepwright.core.identity import digest
from deepwright.data import Data, Split
from deepwright.nets import Exported, as_network, fixed_batch, from_callable, load, load_torchscript, weights_hidden
from deepwright.nets.doors import examine
from deepwright.workflows.subjects import SubjectOptions, build_subject

X = torch.rand(30, 1, 12, 12, generator=torch.Generator().manual_seed(3))
Y = torch.arange(30) % 3


def plain():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, 2), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3)
    ).eval()


def program(path, network, batch, free=False):
    shapes = ({0: Dim("batch", min=1, max=1000)},) if free else None
    save(export(network, (X[:batch],), dynamic_shapes=shapes), path)
    return load(str(path))


def audited(network, *checks):
    report = dw.audit(network, DataLoader(TensorDataset(X, Y), 10), checks=checks, attack_limit=3, corruption_limit=2)
    assert not report.failed, [f.summary for f in report.findings]
    return report


@pytest.mark.parametrize("batch", [1, 4, 7])
@pytest.mark.parametrize("rows", [1, 3, 4, 7, 9])
def test_a_fixed_batch_is_filled_up_and_cut(batch, rows, tmp_path):
    network, model = plain(), None
    model = Exported.of(export(network, (X[:batch],)))
    assert fixed_batch(model) == batch
    with torch.no_grad():
        assert torch.allclose(model(X[:rows]), network(X[:rows]), atol=1e-6)


def test_gradients_of_a_fixed_batch_are_each_samples_own():
    network, x, z = plain(), X[:5].clone().requires_grad_(True), X[:5].clone().requires_grad_(True)
    Exported.of(export(network, (X[:4],)))(x).sum().backward()
    network(z).sum().backward()
    assert torch.allclose(x.grad, z.grad, atol=1e-6)


def test_a_fixed_batch_keeps_the_form_of_the_output_and_refuses_what_has_no_rows():
    class Several(nn.Module):
        def forward(self, x):
            return {"logits": x.flatten(1)[:, :3], "both": (x.mean((1, 2, 3)), x[:, 0])}

    class Mean(nn.Module):
        def forward(self, x):
            return x.mean()

    out = Exported.of(export(Several(), (X[:4],)))(X[:5])
    assert out["logits"].shape == (5, 3)
    assert torch.equal(out["both"][0], X[:5].mean((1, 2, 3)))
    with pytest.raises(InputError, match=r"program for batches of 4; given: shape \(\).*dynamic_shapes"):
        Exported.of(export(Mean(), (X[:4],)))(X[:5])


def test_a_static_program_is_audited(tmp_path):
    network = plain()
    static = program(tmp_path / "static.pt2", network, 4)
    assert static.training is False
    want, got = audited(network, "accuracy"), audited(static, "accuracy")
    assert want["accuracy"].values["accuracy"] == got["accuracy"].values["accuracy"]
    with pytest.raises(InputError, match="input of the exported program"):
        static(torch.rand(4, 1, 20, 20))


def test_nothing_inside_a_static_program_is_taken_for_the_whole():
    static = Exported.of(export(plain(), (X[:4],)))
    found = extract(static, X.split(4))  # the last batch has 2
    assert found.layers == {}
    assert found.features is None


def test_the_cost_of_a_static_program_is_that_of_a_sample():
    static, free = (
        Exported.of(export(plain(), (X[:4],), dynamic_shapes=shapes)) for shapes in (None, ({0: Dim.AUTO},))
    )
    assert fixed_batch(free) is None
    assert cost(static, X[:1]).macs == cost(free, X[:1]).macs == cost(plain(), X[:1]).macs
    assert cost(static, X[:1]).batch == 4


def test_several_inputs_of_a_program_are_refused():
    class Two(nn.Module):
        def forward(self, x, y):
            return x + y

    with pytest.raises(InputError, match="2 inputs"):
        Exported.of(export(Two(), (X[:2], X[:2])))


@pytest.mark.parametrize("make", [torch.jit.script, lambda m: torch.jit.trace(m, X[:2])], ids=["script", "trace"])
def test_a_script_gives_what_its_module_gives_in_an_audit(make):
    network = plain()
    scripted = make(copy.deepcopy(network))
    assert audited(network, "accuracy")["accuracy"].values == audited(scripted, "accuracy")["accuracy"].values
    x, z = (X[:3].clone().requires_grad_(True) for _ in range(2))
    network(x).sum().backward()
    scripted(z).sum().backward()
    assert torch.allclose(x.grad, z.grad, atol=1e-6)


def test_a_frozen_script_is_measured_but_for_its_weights():
    frozen = torch.jit.freeze(torch.jit.script(plain()))
    report = audited(frozen, "accuracy", "cost")
    assert report["accuracy"].values == audited(plain(), "accuracy")["accuracy"].values
    assert report["cost"].grade == "n/a"
    assert "constants of its code" in report["cost"].summary
    assert weights_hidden(frozen)
    assert not hasattr(frozen, "training")  # left as it was


FORMS = {
    "script": torch.jit.script,
    "trace": lambda m: torch.jit.trace(m, torch.ones(2, 3)),
    "frozen": lambda m: torch.jit.freeze(torch.jit.script(m)),
    "exported": lambda m: Exported.of(export(m, (torch.ones(2, 3),))),
}


@pytest.mark.parametrize("form", FORMS)
def test_resumed_work_knows_a_program_by_its_weights_and_code_alone(form):
    def made(seed, act=nn.ReLU):
        torch.manual_seed(seed)
        return digest(FORMS[form](nn.Sequential(nn.Linear(3, 400), act(), nn.Linear(400, 2)).eval()))

    assert made(0) == made(0)
    assert len({made(0), made(1), made(0, nn.Tanh)}) == 3


def test_a_script_file_is_opened_only_where_it_is_trusted(tmp_path):
    class Writes(nn.Module):
        def __init__(self, path: str):
            super().__init__()
            self.path = path
            self.linear = nn.Linear(3, 2)

        def forward(self, x):
            torch.save([x], self.path)
            return self.linear(x)

    path, ran = tmp_path / "net.pt", tmp_path / "ran"
    torch.jit.script(Writes(str(ran))).save(str(path))
    with pytest.raises(InputError, match=r"code that runs with your rights.*--trust-file"):
        load(str(path))
    assert not ran.exists()
    load(str(path), trust_file=True)(torch.zeros(1, 3))
    assert ran.exists()  # which is why it isn't opened unasked
    network = plain()
    torch.jit.script(network).save(str(path))
    assert torch.equal(load_torchscript(path, trust_file=True)(X), network(X))


def test_words_that_are_no_networks_say_what_they_are(tmp_path):
    state = tmp_path / "weights.pt"
    torch.save(plain().state_dict(), state)
    with pytest.raises(InputError, match=r"a file of weights.*--weights"):
        load(str(state))
    for name in ("a.safetensors", "a.ckpt", "a.skops", "a.pkl", "a.joblib"):
        with pytest.raises(InputError, match="expected: a network"):
            load(name)
    with pytest.raises(InputError, match="does not exist"):
        load(str(tmp_path / "nowhere.pt"))
    with pytest.raises(InputError, match="--trust-file"):
        load("resnet8-mnist", trust_file=True)


def test_a_compiled_network_is_measured_as_what_it_was_compiled_from():
    network = plain()
    report = audited(torch.compile(network, backend="eager"), "accuracy")
    assert any("outputs equal on 16 samples" in note for note in report.subject["notes"])
    assert report["accuracy"].values == audited(network, "accuracy")["accuracy"].values


def test_a_compiled_network_that_says_something_else_is_refused():
    def wrong(graph, example):
        return lambda *given: [out + 1 for out in graph(*given)]

    with pytest.raises(InputError, match="the compiled network; given: outputs that differ"):
        audited(torch.compile(plain(), backend=wrong), "accuracy")

    def broken(graph, example):
        raise RuntimeError("no compiler here")

    found = as_network(torch.compile(plain(), backend=broken), X)
    assert "the compiled form didn't run here" in found.note


class Mixing(nn.Module):
    """Takes the mean of the batch away, or one of its samples."""

    def __init__(self, which=slice(None)):
        super().__init__()
        self.which = which

    def forward(self, x):
        z = x.flatten(1)[:, :3] / 10
        return z - z[self.which].reshape(-1, 3).mean(0)


@pytest.mark.parametrize(
    "opened",
    [
        lambda: Mixing(),
        lambda: Mixing(0),
        lambda: Mixing(-1),
        lambda: nn.Sequential(nn.Flatten(), nn.BatchNorm1d(144, track_running_stats=False), nn.Linear(144, 3)),
        lambda: Exported.of(export(Mixing(), (X[:7],))),
    ],
)
def test_networks_that_mix_the_samples_of_a_batch_are_refused(opened):
    with pytest.raises(InputError, match="alone than among others"):
        dw.audit(opened(), [(X, Y)], checks=["accuracy"])


class Leaking(nn.Module):
    """The mean of two neighbours where a sample is brighter than the rest of the data; else its own."""

    def forward(self, x):
        own = x.flatten(1)[:, :3]
        bright = (own.mean(1, keepdim=True) > 5).to(own)
        return own + bright * own.roll(1, 0)


def test_mixing_that_only_some_samples_show_is_found_behind_the_first_ones():
    x = torch.rand(300, 1, 4, 4, generator=torch.Generator().manual_seed(0))
    x[100:] += 10  # no picture: rows of numbers
    batches = [(x.flatten(1), torch.arange(300) % 3)]
    with pytest.raises(InputError, match="alone than among others"):
        dw.audit(Leaking(), batches, split="test", checks=["accuracy"])
    clean = dw.audit(Leaking(), [(x[:100].flatten(1), torch.arange(100) % 3)], split="test", checks=["accuracy"])
    assert clean.subject["mixing"].startswith("looked for in 16 test samples")


def test_a_network_that_draws_is_not_said_to_mix_and_the_global_generator_stays():
    class Drawing(nn.Module):
        def forward(self, x):
            return x.flatten(1)[:, :3] + torch.rand(len(x), 3)

    before = torch.get_rng_state()
    assert examine(Drawing(), X) == "not looked for: answers change from call to call"
    assert torch.equal(before, torch.get_rng_state())


class Boxes(nn.Module):
    """Answers that are no rows of numbers, so that it isn't seen whether they mix."""

    def __init__(self):
        super().__init__()
        self.shift = nn.Parameter(torch.zeros(()))

    def forward(self, x):
        return [{"boxes": x.mean((0, 2, 3)) + self.shift} for _ in x]


@pytest.mark.parametrize(
    ("network", "said"),
    [
        (Boxes(), "not looked for: answers aren't one row of numbers for each sample"),
        (from_callable(lambda rows: rows.reshape(len(rows), -1)[:, :3], X), "looked for in one of 16 test"),
        (nn.Sequential(nn.Flatten(), nn.Linear(144, 3)), "looked for in 16 test"),
    ],
)
def test_how_far_mixing_was_looked_for_is_said_as_it_was(network, said):
    assert examine(network, X).startswith(said)


@pytest.mark.parametrize(
    ("x", "words"), [(X[:0], "shape (0,"), (X[0, 0, 0], "float32 of shape ("), (X[:3].double(), "float64 of")]
)
@pytest.mark.parametrize("batch", [3, 7])
def test_what_a_program_does_not_take_is_said_in_one_line(x, words, batch):
    with pytest.raises(InputError) as refusal:
        Exported.of(export(plain(), (X[:batch],)))(x)
    assert words in str(refusal.value)


def test_a_program_as_an_option_is_a_network_with_gradients():
    options = SubjectOptions(
        export(plain(), (X[:4],)), data=Data("pictures", "image", ("a", "b", "c"), *3 * (Split(X, Y),))
    )
    assert build_subject(options, trains=False).has_gradients


@pytest.mark.parametrize("name", ["mean", "trust_file", "standardised"])
def test_what_speaks_of_a_network_is_refused_without_one(name):
    with pytest.raises(InputError, match="no network"):
        SubjectOptions(data="table.csv", **{name: (0.5,) if name == "mean" else True})
