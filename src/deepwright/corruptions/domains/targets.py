"""Pictures of the domain that others are moved to."""

from __future__ import annotations

from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from deepwright.core.errors import InputError
from deepwright.core.randomness import Streams
from deepwright.corruptions.levels import described
from deepwright.data.files.archives import Decoding, ImageSource, decode, none_read

_SIDE = 256  # pixels: what is taken from targets, means and low frequencies, needs no more


def target_pictures(targets: Tensor | Path | str) -> Float[Tensor, "m 3 h w"]:
    """Pictures in [0, 1] from a tensor, or from a folder or a zip file of them.

    Args:
        targets: (M, 3, h, w), floats in [0, 1] or uint8; or a path, of which all pictures are taken, 256 x 256.

    Raises:
        InputError: another shape, type or range; a path without pictures, or with broken ones.
    """
    if isinstance(targets, Path | str):
        source = ImageSource(targets)
        names = source.images()
        if not names:
            raise none_read(source)
        return decode(source, names, Decoding(size=(_SIDE, _SIDE)))[0].float() / 255
    good = isinstance(targets, Tensor) and targets.ndim == 4 and len(targets) and targets.shape[1] == 3
    if good and targets.dtype == torch.uint8:
        return targets.float() / 255
    if not good or not targets.is_floating_point() or not bool(((targets >= 0) & (targets <= 1)).all()):
        hint = "a folder of pictures will do, too"
        raise InputError("targets", given=described(targets), expected="(M, 3, h, w) in [0, 1] or uint8", hint=hint)
    return targets.detach().float().clone()


def drawn(targets: Float[Tensor, "m 3 h w"], streams: Streams) -> Float[Tensor, "n 3 h w"]:
    """A target for each sample.

    Args:
        targets: to choose from.
        streams: one a sample.
    """
    which = streams.integers(0, len(targets))
    return targets.to(which.device)[which]
