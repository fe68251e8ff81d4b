"""A store of activations: only whole work is finished, and only sensible sizes are taken."""

from __future__ import annotations

import shutil

import pytest
import torch
from torch import nn

from deepwright.core.errors import InputError
from deepwright.core.features import extract


@pytest.fixture
def net():
    return nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3)).eval()


@pytest.fixture
def batches():
    return [torch.rand(5, 4) for _ in range(4)]


@pytest.mark.parametrize("every", [0, -1, 1.5, True])
@pytest.mark.usefixtures("unchecked")
def test_a_shard_has_a_whole_number_of_batches(net, batches, tmp_path, every):
    with pytest.raises(InputError, match="every"):
        extract(net, batches, store=tmp_path, every=every)


def test_a_store_needs_a_name(net, batches):
    with pytest.raises(InputError, match="name of a folder"):
        extract(net, batches, store="")


def test_a_stream_that_gave_nothing_is_not_finished_work(net, batches, tmp_path):
    with pytest.raises(InputError, match="no batch"):
        extract(net, iter([]), store=tmp_path)
    assert len(extract(net, batches, store=tmp_path)) == 20


def test_a_manifest_in_the_place_of_a_shard_is_refused(net, batches, tmp_path):
    extract(net, batches, store=tmp_path, every=2)
    shutil.copy(tmp_path / "manifest.pt", tmp_path / "shard-000000.pt")
    with pytest.raises(InputError, match="other work"):
        extract(net, batches, store=tmp_path, every=2)
