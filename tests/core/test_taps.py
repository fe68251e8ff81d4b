"""What a tap sees of networks whose activations are written in other ways than `nn.ReLU`."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from deepwright.core.errors import InputError
from deepwright.core.features import extract
from deepwright.nets import cifar_resnet
from deepwright.ood import BBAS

X = torch.rand(5, 1, 8, 8, generator=torch.Generator().manual_seed(0))


class Net(nn.Module):
    """Two convolutions and a linear layer, with one activation after each convolution."""

    def __init__(self, act):
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(0)
            self.c1, self.c2, self.fc = nn.Conv2d(1, 4, 3), nn.Conv2d(4, 4, 3), nn.Linear(4, 3)
        self.act = act

    def forward(self, x):
        return self.fc(self.act(self.c2(self.act(self.c1(x)))).mean((2, 3)))


class Custom(torch.autograd.Function):
    """max(x, 0)^2 with a backward pass of its own."""

    @staticmethod
    def forward(ctx, x):
        return x.clamp(min=0) ** 2


class Softsign(nn.Module):
    """A user's own activation."""

    def forward(self, x):
        return x / (1 + x.abs())


WAYS = {
    "clamp": lambda x: x.clamp(min=0),
    "clamp in place": lambda x: x.clamp_(min=0),
    "clamp_min": lambda x: torch.clamp_min(x, 0),
    "maximum": lambda x: torch.maximum(x, torch.zeros_like(x)),
    "max of two": lambda x: torch.max(torch.zeros(()), x),
    "custom autograd": Custom.apply,
    "own module": Softsign(),
    "where": lambda x: torch.where(x > 0, x, 0.1 * x),
    "mask": lambda x: x * (x > 0),
    "gate": lambda x: x * torch.sigmoid(1.7 * x),
    "hand-written gelu": lambda x: 0.5 * x * (1 + torch.erf(x / 2**0.5)),
    "softsign": F.softsign,
    "over a power": lambda x: x / (1 + x**2),
    "over the root of a power": lambda x: x / (1 + x.square()).sqrt(),
    "times the exponential of a power": lambda x: x * torch.exp(-x.pow(2)),
}


@pytest.mark.parametrize("act", WAYS.values(), ids=WAYS)
def test_each_pre_activation_is_found_under_the_name_of_its_convolution(act):
    acts = extract(Net(act), [X])
    assert list(acts.layers) == ["c1", "c2"]
    assert acts.unmonitored == ()
    assert list(extract(Net(act), [X], ["c2"]).layers) == ["c2"]


@pytest.mark.parametrize("way", ["clamp", "maximum", "mask", "own module"])
def test_what_is_found_is_the_pre_activation(way):
    with torch.no_grad():
        pre = Net(None).c1(X)
    expected = torch.cat([(pre > 0).float().mean((2, 3)), pre.amax((2, 3)), pre.amin((2, 3))], 1)
    torch.testing.assert_close(extract(Net(WAYS[way]), [X]).layers["c1"], expected)


def test_a_layer_that_exists_is_taken_though_no_non_linearity_follows():
    acts = extract(Net(nn.Identity()), [X], ["c1", "fc"])
    torch.testing.assert_close(acts.layers["fc"], acts.logits)
    assert acts.layers["c1"].shape == (5, 12)


def test_every_convolution_of_a_residual_network_can_be_named():
    model = cifar_resnet(8, channels=1).eval()
    names = [name for name, module in model.named_modules() if isinstance(module, nn.Conv2d)]
    assert set(extract(model, [torch.rand(2, 1, 12, 12)], names).layers) >= set(names)


def test_both_uses_of_a_module_are_kept():
    class Twice(Net):
        def forward(self, x):
            x = torch.relu(self.c2(self.act(self.c1(x))))
            return self.fc(self.act(torch.relu(self.c2(x))).mean((2, 3)))

    model = Twice(nn.Tanh())
    assert list(extract(model, [X]).layers) == ["c1", "c2", "c2#2", "c2#3"]
    shared = extract(model, [X], ["act", "c2"]).layers
    assert set(shared) == {"act", "act#2", "c2", "c2#2", "c2#3"}
    assert set(extract(model, [X], ["act#2"]).layers) == {"act#2"}
    with torch.no_grad():
        second = model.act(torch.relu(model.c2(torch.relu(model.c2(model.act(model.c1(X)))))))
    torch.testing.assert_close(shared["act#2"][:, 4:8], second.amax((2, 3)))


class Hidden(nn.Module):
    """An activation in NumPy: no torch function is seen."""

    def forward(self, x):
        return torch.from_numpy(abs(x.detach().numpy()))


def test_a_network_that_is_monitored_in_part_says_which():
    model = Net(Hidden())
    model.c2 = nn.Sequential(nn.Conv2d(4, 4, 3), nn.ReLU())
    with pytest.warns(UserWarning, match=r"in part: 'c2.0'; not 'c1'"):
        acts = extract(model, [X])
    assert acts.unmonitored == ("c1",)
    assert list(extract(model, [X], ["c1", "c2.0"]).layers) == ["c2.0", "c1"]


BENDING = {
    "maxout": lambda x: x.unflatten(1, (2, 2)).amax(2).repeat(1, 2, 1, 1),
    "maximum pool": lambda x: F.max_pool2d(x, 2, 1),
    "polynomial": lambda x: x + 0.1 * x**2,
    "quotient": lambda x: x / (3 + x),
}


@pytest.mark.parametrize("act", BENDING.values(), ids=BENDING)
def test_a_form_that_may_be_part_of_another_is_named_where_none_follows(act):
    model = Net(nn.ReLU())
    model.c1 = nn.Sequential(model.c1, Of(act))
    assert extract(model, [X]).unmonitored == ()
    assert extract(Net(act), [X]).unmonitored == ("c1", "c2")
    assert extract(Net(torch.square), [X]).unmonitored == ("c1", "c2")


class Of(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


NORMS = {
    "rms": lambda x: x * torch.rsqrt(x.pow(2).mean(1, keepdim=True) + 1e-5),
    "layer": lambda x: (x - x.mean(1, keepdim=True)) / ((x - x.mean(1, keepdim=True)) ** 2).mean(1, True).sqrt(),
    "moments": lambda x: x / (x.square().mean(1, keepdim=True) - x.mean(1, keepdim=True) ** 2 + 1).sqrt(),
    "length": lambda x: x / x.norm(dim=1, keepdim=True),
    "sum": lambda x: x / x.sum(1, keepdim=True),
}


@pytest.mark.parametrize("norm", NORMS.values(), ids=NORMS)
def test_a_hand_written_norm_is_no_non_linearity(norm):
    model = Net(nn.ReLU())
    model.c1 = nn.Sequential(model.c1, Of(norm))
    for batch in (X, X[:1]):
        acts = extract(model, [batch])
        assert (list(acts.layers), acts.unmonitored) == (["c1.0", "c2"], ())
    with torch.no_grad():
        torch.testing.assert_close(extract(model, [X]).layers["c1.0"][:, 4:8], model.c1(X).amax((2, 3)))


def test_the_weights_of_a_recurrent_layer_are_said_to_be_hidden():
    class Recurrent(nn.Module):
        def __init__(self):
            super().__init__()
            self.rnn, self.fc, self.head = nn.GRU(4, 6, batch_first=True), nn.Linear(6, 5), nn.Linear(5, 2)

        def forward(self, x):
            return self.head(torch.relu(self.fc(self.rnn(x)[0].mean(1))))

    x = torch.rand(3, 7, 4)
    with pytest.warns(UserWarning, match="not 'rnn'"):
        assert list(extract(Recurrent(), [x]).layers) == ["fc"]
    assert extract(Recurrent(), [x], ["rnn"]).layers["rnn"].shape == (3, 18)


def test_nothing_is_said_of_a_network_that_is_monitored_whole(recwarn):
    block = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
    model = nn.Sequential(nn.Linear(4, 8), block, nn.Flatten(), nn.Linear(40, 3))
    assert "1.linear1" in extract(model, [torch.rand(3, 5, 4)]).layers
    assert extract(cifar_resnet(8, channels=1), [torch.rand(2, 1, 12, 12)]).unmonitored == ()
    assert not [w for w in recwarn if "monitored" in str(w.message)]


def test_a_detector_names_what_it_could_not_see():
    acts = extract(Net(Hidden()), [(X, torch.tensor([0, 1, 2, 0, 1]))])
    with pytest.raises(InputError, match="nothing was seen of c1, c2"):
        BBAS().fit(acts)


def test_weights_without_a_module_of_their_own_name_their_layer():
    class Raw(nn.Module):
        def __init__(self):
            super().__init__()
            self.block = nn.ParameterDict({"w": nn.Parameter(torch.randn(6, 4)), "v": nn.Parameter(torch.randn(6, 2))})

        def forward(self, x):
            return F.linear(torch.relu(F.linear(x, self.block["w"])), self.block["v"].T)

    assert list(extract(Raw(), [torch.rand(3, 4)]).layers) == ["block"]


def test_bounded_logits_are_no_hidden_layer():
    model = nn.Sequential(nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 3), nn.Hardsigmoid())
    assert list(extract(model, [torch.rand(3, 4)]).layers) == ["0"]


def test_rows_that_are_no_samples_are_not_recorded():
    """Two patches a sample are folded into the batch: their rows belong to no single sample."""

    class Folded(nn.Module):
        def __init__(self):
            super().__init__()
            self.c1, self.fc1, self.fc2 = nn.Linear(4, 6), nn.Linear(12, 5), nn.Linear(5, 3)

        def forward(self, x):
            x = torch.relu(self.c1(x.reshape(-1, 4)))
            return self.fc2(torch.relu(self.fc1(x.reshape(-1, 12))))

    with pytest.warns(UserWarning, match="not 'c1'"):
        assert {k: len(v) for k, v in extract(Folded(), [torch.rand(3, 8)]).layers.items()} == {"fc1": 3}


@pytest.mark.parametrize(
    ("layers", "words"),
    [
        (["c9"], "unknown layer.*one of c1, c2, fc, spare"),
        (["spare"], "layer 'spare'.*nothing that can be recorded.*called"),
    ],
)
def test_names_that_give_nothing_are_refused(layers, words):
    model = Net(torch.relu)
    model.spare = nn.Linear(2, 2)
    with pytest.raises(InputError, match=words):
        extract(model, [X], layers)
