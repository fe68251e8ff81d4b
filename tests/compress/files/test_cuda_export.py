"""`torch.export` of networks on CUDA, seen without a GPU through fake CUDA tensors (shapes and guards, no numbers)."""

import pytest
import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode

from deepwright.compress.exporting import export_program


# to train on CUDA is left to machines that have it: a torch that is built without it can't follow the gradients
@pytest.mark.parametrize(("device", "training"), [("cuda", False), ("cpu", False), ("cpu", True)])
def test_batch_norm_is_exported_with_a_free_batch(device, training):
    layers = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2)
    network = nn.Sequential(*layers).to("meta").requires_grad_(False)
    with FakeTensorMode(allow_non_fake_inputs=True):
        example = torch.empty(2, 3, 8, 8, device=device)
        network = network.to_empty(device=device)
        program = export_program(network, (example,), dynamic_batch=True, training=training)
    (limits,) = program.range_constraints.values()
    assert (limits.lower, limits.upper) == (1, 65535)
