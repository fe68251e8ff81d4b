"""Products of modules: their MACs are those that torch counts, and the module is left as it was."""

import copy
import warnings

import pytest
import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from deepwright.compress.counting import cost
from deepwright.compress.counting.products import formulas
from deepwright.core.errors import InputError
from deepwright.hardware import SISA, EnergyModel, gemms_from_module, simulate


def counted(module, *inputs):
    """MACs by torch's counter, where nothing is hidden from it."""
    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    counter = FlopCounterMode(display=False)
    try:
        with torch.no_grad(), sdpa_kernel(SDPBackend.MATH), counter:
            module.eval()(*inputs)
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)
    return counter.get_total_flops() // 2


class Residual(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem, self.norm = nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8)
        self.deep, self.wide = nn.Conv2d(8, 8, 3, padding=1, groups=8), nn.Conv2d(8, 8, 1)
        self.head = nn.Linear(8, 10)

    def forward(self, x):
        x = self.norm(self.stem(x)).relu()
        x = x + self.wide(self.deep(x))
        return self.head(x.mean((2, 3)))


MODULES = {
    "residual": (Residual, (4, 3, 9, 9)),
    "transformer": (
        lambda: nn.TransformerEncoder(nn.TransformerEncoderLayer(32, 4, 64, batch_first=True), 2),
        (2, 5, 32),
    ),
    "transposed": (lambda: nn.ConvTranspose2d(8, 6, 3, 2, groups=2), (2, 8, 5, 5)),
    "one-dimensional": (lambda: nn.Conv1d(4, 6, 3, dilation=2), (2, 4, 20)),
    "three-dimensional": (lambda: nn.Conv3d(2, 4, 2), (1, 2, 5, 5, 5)),
    "linear": (lambda: nn.Linear(7, 5), (2, 3, 7)),
    "without a batch": (lambda: nn.Linear(7, 5), (7,)),
}


@pytest.mark.parametrize("name", MODULES)
def test_macs_are_those_that_torch_counts(name):
    build, shape = MODULES[name]
    module, x = build(), torch.randn(shape)
    found = gemms_from_module(module, x)
    assert found.macs == counted(module, x) > 0
    assert (found.unmapped, found.batch) == ((), shape[0] if len(shape) > 1 else 1)


def test_the_transformers_macs_by_hand():
    found = gemms_from_module(nn.TransformerEncoderLayer(32, 4, 64, batch_first=True), torch.randn(2, 5, 32))
    assert found.macs == 85_120
    assert sum(g.macs for g in found if "scores" not in g.name and "values" not in g.name) == 81_920


@pytest.mark.slow
def test_macs_are_those_of_our_own_counter():
    module, x = Residual(), torch.randn(4, 3, 9, 9)
    assert gemms_from_module(module, x).macs == 4 * cost(module, x).macs


def test_a_convolution_is_a_product_of_patches():
    (found,) = gemms_from_module(nn.Conv2d(6, 8, 3, stride=2, groups=2), torch.randn(3, 6, 9, 9))
    assert (found.M, found.K, found.N, found.count, found.parallel) == (3 * 16, 27, 4, 1, 2)


RECURRENT = {
    "lstm": lambda: nn.LSTM(6, 8, 2, bidirectional=True),
    "projected": lambda: nn.LSTM(6, 8, 2, proj_size=3),
    "gru": lambda: nn.GRU(6, 8, 2),
    "rnn": lambda: nn.RNN(6, 8),
}


@pytest.mark.filterwarnings("ignore:LSTM with projections")
@pytest.mark.parametrize("name", RECURRENT)
def test_recurrent_layers_are_read_step_by_step(name):
    layer, x = RECURRENT[name](), torch.randn(5, 2, 6)
    counter = FlopCounterMode(display=False, custom_mapping=formulas())  # it doesn't know the fused layers itself
    with counter:
        layer(x)
    found = gemms_from_module(layer, x)
    assert found.macs == counter.get_total_flops() // 2
    if name == "lstm":
        assert [(g.M, g.K, g.N, g.count) for g in found][:2] == [(10, 6, 32, 1), (2, 8, 32, 5)]


def test_packed_sequences_end_one_by_one():
    packed = nn.utils.rnn.pack_padded_sequence(torch.randn(5, 3, 6), [5, 4, 2])
    found = gemms_from_module(nn.LSTM(6, 8), (packed,))
    assert [(g.M, g.count) for g in found] == [(11, 1), (3, 2), (2, 2), (1, 1)]
    assert found.batch == 3


class Odd(nn.Module):
    """Something bilinear, which no array takes, beside a product with a vector."""

    def __init__(self):
        super().__init__()
        self.pair, self.last = nn.Bilinear(3, 4, 5), nn.Linear(5, 2)

    def forward(self, x):
        return self.last(self.pair(x, x[:, :1].expand(-1, 4))) @ torch.ones(2, device=x.device)


def test_what_is_not_mapped_is_told():
    with pytest.warns(UserWarning, match="_trilinear in pair"):
        found = gemms_from_module(Odd(), torch.randn(7, 3))
    assert (found.unmapped, found.unmapped_macs) == (("_trilinear in pair",), 7 * 3 * 4 * 5)
    assert [(g.M, g.K, g.N) for g in found] == [(7, 5, 2), (7, 2, 1)]
    assert "_trilinear" in simulate(found, SISA).table().caption


def test_a_module_is_left_as_it_was():
    module = nn.Sequential(Residual(), nn.Dropout()).train()
    module[0].norm.eval()
    before, state = copy.deepcopy(module.state_dict()), torch.get_rng_state()
    hooks = [len(m._forward_hooks) + len(m._forward_pre_hooks) for m in module.modules()]
    fast = torch.backends.mha.get_fastpath_enabled()
    gemms_from_module(module, torch.randn(2, 3, 9, 9, generator=torch.Generator().manual_seed(0)))
    assert module.training
    assert not module[0].norm.training
    assert all(torch.equal(a, b) for a, b in zip(before.values(), module.state_dict().values()))
    assert torch.equal(state, torch.get_rng_state())
    assert hooks == [len(m._forward_hooks) + len(m._forward_pre_hooks) for m in module.modules()]
    assert torch.backends.mha.get_fastpath_enabled() == fast


def test_a_failure_leaves_no_trace():
    module = Residual().train()
    with pytest.raises(InputError, match="inputs that the module takes"):
        gemms_from_module(module, torch.randn(2, 4, 9, 9))
    assert module.training
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in module.modules())


@pytest.mark.parametrize(("dtype", "element"), [(torch.float32, 4), (torch.bfloat16, 2), (torch.float64, 8)])
def test_bytes_are_the_weights(dtype, element):
    found = gemms_from_module(nn.Linear(7, 5).to(dtype), torch.randn(2, 7))
    assert found.bytes_per_element == element
    assert simulate(found, SISA, energy=EnergyModel(element=element)).bytes_per_element == element
    assert simulate(found, SISA, bytes_per_element=1).bytes_per_element == 1


def test_packed_weights_are_asked_for():
    module = nn.Linear(7, 5)
    module.packed = nn.Parameter(torch.zeros(99, dtype=torch.uint8), requires_grad=False)
    with pytest.raises(InputError, match="bytes_per_element"):
        gemms_from_module(module, torch.randn(2, 7))
    assert gemms_from_module(module, torch.randn(2, 7), bytes_per_element=1).bytes_per_element == 1


@pytest.mark.parametrize(
    "inputs", [torch.zeros(0, 7), torch.zeros(2, 0, 7), (), {}, torch.zeros(2, 3), {"nothing": torch.zeros(2, 7)}]
)
def test_inputs_that_do_not_fit_are_refused(inputs):
    with pytest.raises(InputError):
        gemms_from_module(nn.Linear(7, 5), inputs)


def test_nothing_that_multiplies_is_refused():
    with pytest.raises(InputError, match="nothing that multiplies"):
        gemms_from_module(nn.ReLU(), torch.randn(2, 7))


def test_layers_that_run_again_count_again():
    shared = nn.Linear(4, 4)
    (found,) = gemms_from_module(nn.Sequential(shared, shared, shared), torch.randn(2, 4))
    assert found.count == 3


def test_keywords_are_taken():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert gemms_from_module(nn.Linear(7, 5), {"input": torch.randn(2, 7)}).macs == 70


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_programs_are_read_without_hooks():
    for program in (torch.jit.script(nn.Linear(7, 5)), torch.jit.trace(nn.Linear(7, 5), torch.zeros(2, 7))):
        assert gemms_from_module(program, torch.zeros(2, 7)).macs == 70


class Tokens(nn.Module):
    """Steps first, as torch's layers are by default."""

    def __init__(self):
        super().__init__()
        self.words, self.layer = nn.Embedding(9, 4), nn.TransformerEncoderLayer(4, 2, 8)

    def forward(self, ids):
        return self.layer(self.words(ids))


class Scaled(nn.Module):
    """A convolution by function, of what was scaled."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(4, 3, 3, 3))

    def forward(self, x):
        return nn.functional.conv2d((x - 0.5) / 2, self.weight)


@pytest.mark.parametrize(
    ("module", "shape", "samples"),
    [
        (nn.Conv2d(3, 8, 3), (3, 16, 16), 1),
        (nn.Conv2d(3, 8, 3), (2, 3, 16, 16), 2),
        (nn.Conv1d(4, 2, 3), (4, 9), 1),
        (nn.ConvTranspose2d(3, 8, 3), (3, 16, 16), 1),
        (Scaled(), (3, 16, 16), 1),
        (Scaled(), (1, 3, 16, 16), 1),
        (nn.Linear(5, 2), (5,), 1),
        (nn.Linear(5, 2), (7, 5), 7),
        (nn.LSTM(4, 3), (7, 4), 1),
        (nn.LSTM(4, 3), (7, 2, 4), 2),
        (nn.LSTM(4, 3, batch_first=True), (2, 7, 4), 2),
    ],
)
def test_the_batch_is_where_the_layers_have_it(module, shape, samples):
    assert gemms_from_module(module, torch.rand(shape)).batch == samples


def test_the_batch_of_inputs_by_keyword():
    assert gemms_from_module(nn.LSTM(4, 3), {"input": torch.rand(7, 2, 4)}).batch == 2
    packed = nn.utils.rnn.pack_sequence([torch.rand(n, 4) for n in (5, 3, 2)])
    assert gemms_from_module(nn.LSTM(4, 3), {"input": packed}).batch == 3
    x = torch.rand(7, 2, 4)
    assert gemms_from_module(nn.MultiheadAttention(4, 2), {"query": x, "key": x, "value": x}).batch == 2
    assert gemms_from_module(nn.TransformerEncoderLayer(4, 2, 8), x).batch == 2


def test_the_batch_of_steps_that_come_first():
    assert gemms_from_module(Tokens(), torch.zeros(7, 2, dtype=torch.long)).batch == 2
