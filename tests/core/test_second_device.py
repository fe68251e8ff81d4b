"""The second device of the tests against CUDA's rules: what it must refuse, and that its numbers are the CPU's."""

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.func import hessian, jacrev, vmap

import second_device

pytestmark = pytest.mark.skipif(not second_device.available(), reason="this torch has no backends from Python")


@pytest.fixture
def device():
    with second_device.one_thread():
        yield second_device.enable()


@pytest.fixture
def x():
    return torch.randn(4, 3, 8, 8, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(
    "call",
    [
        lambda a, b: a + b,
        lambda a, b: b * a,
        lambda a, b: torch.cat([a, b]),
        lambda a, b: a[0, 0] @ b[0, 0],
        lambda a, b: torch.where(b > 0, a, a),
        lambda a, b: F.conv2d(a, b),
        lambda a, b: a.copy_(b).add_(b),
        lambda a, b: torch.gt(a, 0, out=torch.empty(b.shape, dtype=torch.bool)),
        lambda a, b: F.linear(a, a[0, 0], b[0, 0, 0]),
        lambda a, b: torch.linalg.solve(a[0, 0], b[0, 0]),
        lambda a, b: torch.logaddexp(torch.tensor(0.0), a),
        lambda a, b: torch.tensor(1.0).add_(a.sum()),
        lambda a, b: torch.zeros(3).index_add_(0, (a[0, 0, 0, :1] > 9).long(), torch.ones(1)),
    ],
    ids=lambda call: "",
)
def test_mixing_is_refused(device, x, call):
    with pytest.raises(RuntimeError, match=r"same device|Expected all|multi-device"):
        call(x.to(device), x.clone())


def test_quantile_refuses_levels_elsewhere(device, x):
    with pytest.raises(RuntimeError, match="same device"):
        torch.quantile(x.to(device), torch.tensor([0.5]))


@pytest.mark.parametrize(
    "call",
    [
        lambda a: a + torch.tensor(2.0),
        lambda a: torch.tensor(2.0) * a,
        lambda a: torch.where(a > 0, a, torch.tensor(0.0)),
        lambda a: a.masked_fill(a > 0, torch.tensor(1.0)),
        lambda a: a[torch.tensor([0, 2])],
        lambda a: a[:, torch.tensor([True, False, True])],
    ],
    ids=lambda call: "",
)
def test_what_cuda_takes_from_the_cpu(device, x, call):
    assert torch.equal(call(x.to(device)).cpu(), call(x))


def test_cpu_tensors_refuse_indices_of_the_device(device, x):
    with pytest.raises(RuntimeError, match="indices should be either on cpu"):
        x[torch.tensor([0], device=device)]


def test_numpy_is_refused(device):
    with pytest.raises(TypeError, match="to numpy"):
        torch.ones(2, device=device).numpy()


@pytest.mark.parametrize(
    "make", [torch.zeros, torch.ones, torch.empty, torch.arange, torch.rand, torch.randperm, torch.eye]
)
def test_factories_land_there(device, make):
    assert make(3, device=device).device == device


def test_arange_counts(device):
    assert torch.arange(4, device=device).tolist() == [0, 1, 2, 3]


def test_generators_draw_for_their_device_only(device):
    with pytest.raises(RuntimeError, match="device type for generator"):
        torch.randn(3, device=device, generator=torch.Generator())


def test_strict_refuses_a_generator_of_the_device_on_the_cpu(device):
    with second_device.strict(), pytest.raises(RuntimeError, match="device type for generator"):
        torch.randn(3, generator=torch.Generator(device=device))


def test_strict_refuses_to_take_a_network_to_the_cpu(device):
    network = nn.Linear(2, 2).to(device)
    with second_device.strict(), pytest.raises(RuntimeError, match="moved"):
        network.to("cpu")


def test_generators_repeat(device):
    def draw():
        generator = torch.Generator(device=device).manual_seed(3)
        return torch.multinomial(torch.ones(9, device=device), 4, generator=generator).tolist()

    assert draw() == draw()


def test_generators_are_generators(device):
    assert isinstance(torch.Generator(device=device), torch.Generator)
    assert isinstance(torch.Generator(), torch.Generator)


def test_views_share_memory(device, x):
    there, here = x.to(device), x.clone()
    for t in (there, here):
        t[:, 1].add_(1)
        t.view(4, -1).t()[::2] *= 2
        t[t < 0] = 0.5
    assert torch.equal(there.cpu(), here)


def trained(network, x, place):
    network = copy.deepcopy(network).to(place)
    optimizer = torch.optim.SGD(network.parameters(), 0.1, momentum=0.9)
    targets = torch.tensor([0, 1, 2, 0], device=place)
    for _ in range(3):
        optimizer.zero_grad()
        F.cross_entropy(network(x.to(place)), targets).backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
    return {k: v.cpu() for k, v in network.state_dict().items()}


def test_training_equals_the_cpu(device, x):
    torch.manual_seed(0)
    network = nn.Sequential(
        *(nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(8, 8, 3, groups=2)),
        *(nn.SiLU(), nn.ConvTranspose2d(8, 4, 2, groups=2), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3)),
    )
    here, there = trained(network, x, "cpu"), trained(network, x, device)
    assert all(torch.allclose(here[k], there[k], atol=1e-5) for k in here)


@pytest.mark.parametrize("transform", [jacrev, hessian])
def test_function_transforms_equal_the_cpu(device, x, transform):
    def f(v):
        return (v.tanh() ** 2 * v.sin()).sum()

    rows = x[:, :, 0, 0]
    assert torch.allclose(vmap(transform(f))(rows.to(device)).cpu(), vmap(transform(f))(rows), atol=1e-6)


@pytest.mark.parametrize(
    "call",
    [
        lambda a: torch.linalg.eigh(a[0, 0] @ a[0, 0].T)[0],
        lambda a: torch.linalg.lstsq(a[0, 0].double(), a[0, 1].double()).solution,
        lambda a: torch.fft.fft(a).conj().imag,
        lambda a: torch.searchsorted(a[0, 0, 0].sort().values, a[0, 0, 1]),
        lambda a: torch.quantile(a, 0.3),
        lambda a: torch.einsum("nchw,mchw->nm", a, a),
        lambda a: F.interpolate(a, scale_factor=2, mode="bicubic"),
        lambda a: F.scaled_dot_product_attention(a, a, a),
        lambda a: a.unique()[:5],
        lambda a: a.double().cumsum(0).logsumexp(1),
    ],
    ids=lambda call: "",
)
def test_operations_equal_the_cpu(device, x, call):
    assert torch.allclose(call(x.to(device)).cpu(), call(x), atol=1e-5)


def test_storage_goes_to_disk(device, x, tmp_path):
    torch.save({"x": x.to(device)}, tmp_path / "x.pt")
    assert torch.equal(torch.load(tmp_path / "x.pt", map_location="cpu", weights_only=True)["x"], x)
