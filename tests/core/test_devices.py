import collections

import pytest
import torch
from lightning_fabric import Fabric
from torch import nn

import second_device
from deepwright.core.devices import (
    Compute,
    back_to,
    device_of,
    dtype_of,
    home,
    resolve,
    resolve_precision,
    to_model,
)
from deepwright.core.errors import InputError


def linear(dtype=torch.float32):
    return nn.Linear(3, 2).to(dtype)


def test_a_module_without_tensors_is_on_the_cpu_in_the_default_dtype():
    assert (device_of(nn.ReLU()), dtype_of(nn.ReLU())) == (torch.device("cpu"), torch.float32)


def test_dtype_of_skips_integers():
    module = nn.Module()
    module.register_buffer("count", torch.zeros(1, dtype=torch.long))
    module.register_buffer("mean", torch.zeros(1, dtype=torch.float64))
    assert dtype_of(module) == torch.float64


def test_to_model_gives_floats_the_models_dtype():
    assert to_model(torch.ones(2, 3), linear(torch.float64)).dtype == torch.float64


def test_to_model_leaves_integers():
    assert to_model(torch.arange(3), linear(torch.float64)).dtype == torch.int64


def test_to_model_leaves_floats_for_a_module_without_any():
    assert to_model(torch.ones(2, dtype=torch.float64), nn.ReLU()).dtype == torch.float64


def test_to_model_reaches_into_nests():
    pair = collections.namedtuple("pair", "image label")
    found = to_model({"a": [pair(torch.ones(1), "cat")]}, linear(torch.float64))
    assert found["a"][0].image.dtype == torch.float64
    assert found["a"][0].label == "cat"


def test_gradients_flow_to_what_was_given():
    x = torch.ones(2, 3, requires_grad=True)
    linear(torch.float64)(to_model(x, linear(torch.float64))).sum().backward()
    assert x.grad is not None


def test_home_is_the_first_tensors():
    assert home([1, {"x": torch.ones(1, device="meta")}], torch.ones(1)).type == "meta"


def test_home_of_arrays_is_the_default():
    assert home([1.0, 2.0]).type == "cpu"


@pytest.mark.parametrize(
    "like", ["meta", torch.device("meta"), torch.ones(1, device="meta"), nn.Linear(1, 1, device="meta")]
)
def test_back_to_moves_and_keeps_the_dtype(like):
    found = back_to((torch.ones(2, dtype=torch.float64),), like)[0]
    assert (found.device.type, found.dtype) == ("meta", torch.float64)


@pytest.mark.parametrize("word", ["tpu", "gpu", "cuda:99", "cpu0", ""])
def test_resolve_lists_what_there_is(word):
    with pytest.raises(InputError, match=r"--device.*cpu"):
        resolve(word)


def test_resolve_knows_the_cpu():
    assert resolve("cpu") == torch.device("cpu")


@pytest.mark.skipif(torch.cuda.is_available() or torch.backends.mps.is_available(), reason="there is an accelerator")
def test_auto_is_the_cpu_where_nothing_else_is():
    assert resolve("auto") == torch.device("cpu")


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_every_tensor_keeps_its_dtype_unless_asked_for(dtype):
    assert Compute().fabric(linear(dtype))["precision"] == "32-true"  # Fabric's word for that


def test_precision_has_short_names():
    assert resolve_precision("bf16") == "bf16-mixed"


@pytest.mark.parametrize(
    "compute",
    [
        Compute(precision="8"),
        Compute(precision="16-mixed"),
        Compute(devices=0),
        Compute(strategy="fsdp"),
        Compute(device="tpu"),
    ],
)
def test_contradictions_are_refused(compute):
    with pytest.raises(InputError):
        compute.fabric(linear())


def test_two_processes_on_the_cpu():
    found = Compute(devices=2, strategy="ddp").fabric(linear())
    assert (found["accelerator"], found["devices"], found["strategy"]) == ("cpu", 2, "ddp")


@pytest.mark.skipif(not second_device.available(), reason="this torch has no backends from Python")
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_fabric_trains_on_a_device_that_it_does_not_know(dtype):
    device = second_device.enable()
    network = linear(dtype).to(device)
    before = network.weight.detach().clone()
    fabric = Fabric(**Compute().fabric(network))
    fabric.launch()
    with second_device.strict():
        wrapped, optimizer = fabric.setup(network, torch.optim.SGD(network.parameters(), 0.1))
        fabric.backward(wrapped(torch.ones(4, 3, device=device, dtype=dtype)).sum())
        optimizer.step()
    assert (network.weight.device, network.weight.dtype) == (device, dtype)
    assert not torch.equal(network.weight, before)
