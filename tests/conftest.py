"""Fixtures that several rooms use; shapes and types of every annotation are checked while the tests run."""

import os
import random
from pathlib import Path

import typechecking

if "DEEPWRIGHT_UNCHECKED" not in os.environ:  # `make test-slow` times long work without the checker
    typechecking.install()  # before the first import of the package

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

torch.set_num_threads(1)

# Only tests that ask for `data_root` see the real data: it would change what every other test loads. The second name
# carries the folder on to the worker processes.
if "DEEPWRIGHT_DATA" in os.environ:
    os.environ["DEEPWRIGHT_TEST_DATA"] = os.environ.pop("DEEPWRIGHT_DATA")


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup():
    """What a test and its fixtures draw from global generators doesn't depend on the tests before it."""
    random.seed(0)
    np.random.seed(0)  # noqa: NPY002
    torch.manual_seed(0)


@pytest.fixture(scope="session")
def data_root():
    """The real data, where there is some."""
    root = os.environ.get("DEEPWRIGHT_TEST_DATA")
    if root is None:
        pytest.skip("set DEEPWRIGHT_DATA to run on real data")
    return Path(root)


@pytest.fixture
def image_folder(tmp_path):
    """A folder of two classes of 12 x 12 pictures, bright and dark."""
    rng = torch.Generator().manual_seed(0)
    for name, level in (("bright", 180), ("dark", 60)):
        (tmp_path / "images" / name).mkdir(parents=True)
        for i in range(20):
            pixels = (level + 40 * torch.rand(12, 12, 3, generator=rng)).to(torch.uint8).numpy()
            Image.fromarray(pixels).save(tmp_path / "images" / name / f"{i}.png")
    return tmp_path / "images"


@pytest.fixture
def unchecked():
    """Annotations aren't checked in this test: it gives what they forbid, to see the package's own refusal."""
    from jaxtyping import config

    config.update("jaxtyping_disable", True)
    yield
    config.update("jaxtyping_disable", False)


class Small(nn.Module):
    """A convolutional network of two classes."""

    def __init__(self, classes=2, channels=3):
        super().__init__()
        self.conv = nn.Conv2d(channels, 8, 3, padding=1)
        self.fc = nn.Linear(8, classes)

    def forward(self, x):
        return self.fc(torch.relu(self.conv(x)).mean((2, 3)))


@pytest.fixture
def small():
    torch.manual_seed(0)
    return Small().eval()


def convolutional():
    """A convolutional network of ten classes, and images with the classes that it gives them."""
    torch.manual_seed(1)
    model = nn.Sequential(
        nn.Conv2d(1, 8, 3, 2, 1), nn.ReLU(), nn.Conv2d(8, 16, 3, 2, 1), nn.ReLU(), nn.Flatten(), nn.Linear(16 * 16, 10)
    )
    x = torch.rand(24, 1, 16, 16)
    with torch.no_grad():
        model[-1].weight *= 8
        y = model(x).argmax(1)
    return model.eval(), x, y


@pytest.fixture
def conv():
    return convolutional()


@pytest.fixture(scope="session")
def make_conv():
    """For fixtures that outlive a test, each of which makes its own."""
    return convolutional


@pytest.fixture(scope="session")
def photos():
    from skimage import data

    picks = [data.astronaut(), data.coffee(), data.chelsea()]
    return torch.stack(
        [torch.from_numpy(np.array(Image.fromarray(p).resize((80, 60)))).permute(2, 0, 1) for p in picks]
    )
