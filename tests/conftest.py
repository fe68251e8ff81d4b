"""Fixtures that several rooms use."""

import os
from pathlib import Path

import pytest
import torch
from PIL import Image
from torch import nn

torch.set_num_threads(1)


@pytest.fixture(scope="session")
def data_root():
    """The real data, where there is some."""
    root = os.environ.get("DEEPWRIGHT_DATA")
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
