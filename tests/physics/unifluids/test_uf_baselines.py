"""Operators that go frame by frame, and no operator at all."""

import pytest
import torch
from torch import nn

from deepwright.core.errors import InputError
from deepwright.physics.unifluids import (
    FNO,
    UNet,
    extrapolation,
    persistence,
    train_next_frame,
)


def test_baselines(corpus):
    data, test = corpus["advection"]
    assert torch.equal(persistence(test)[:, :, 9], test.u[:, :, 3])
    line = extrapolation(test)
    assert torch.allclose(line[:, :, 4] - line[:, :, 3], test.u[:, :, 3] - test.u[:, :, 2], atol=1e-6)
    for dim, name in ((1, "advection"), (2, "navier-stokes"), (3, "advection-diffusion-3d")):
        few = corpus[name][1]
        fno = FNO(1, 4, dim, 6, 3, 2)
        with torch.no_grad():
            assert fno.rollout(few).shape == few.u.shape
        unet = UNet(1, 4, dim, 4, 2, bc=few.bc)
        assert unet.rollout(few).shape == few.u.shape
        turned = few.u[:, 0, :4, ..., 0].roll(4, 2) if dim == 2 else None
        if turned is not None:  # a wrapped domain has no edge: shifting by a coarse cell commutes
            with torch.no_grad():
                assert torch.allclose(unet(turned), unet(few.u[:, 0, :4, ..., 0]).roll(4, 2), atol=1e-5)
    with pytest.raises(InputError, match="multiples of 8"):
        UNet(1, 4, 1, 4, 3)(torch.zeros(1, 4, 12))
    for wrong in (FNO(1, 6, 1, 6, 3, 2), FNO(1, 4, 2, 6, 3, 2), FNO(2, 4, 1, 6, 3, 2)):
        with pytest.raises(InputError, match="4 frames of 1 channels on 1 axes"):
            wrong.rollout(test)
    x, y = FNO(1, 4, 1, 6, 3, 2).windows(data, 2)
    assert len(x) == 11 * len(data)
    assert torch.equal(x[: len(data), 3], data.u[:, 0, 3, :, 0, 0])
    assert torch.equal(y[: len(data), 1], data.u[:, 0, 5, :, 0, 0])
    fno = FNO(1, 4, 1, 8, 6, 2)
    losses = [row["loss"] for row in train_next_frame(fno, data, epochs=4).history]
    assert losses[-1] < losses[0]
    losses = [row["loss"] for row in train_next_frame(UNet(1, 4, 1, 8, 2), data, epochs=4, push=True).history]
    assert losses[-1] < losses[0]
    assert isinstance(fno.lift, nn.Conv1d)
