"""Sixty-four bits that nearly equal samples nearly share, and 128 that only equal ones do."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn import functional as F

from deepwright.core.errors import InputError
from deepwright.core.randomness import generator

SIDE = 32  # pixels a side of what is hashed and compared
_LOW = 8  # frequencies a direction
_LUMA = (0.299, 0.587, 0.114)
_FLAT = 1e-3  # deviation of a grey picture below which it shows nothing


def content_hashes(x: Tensor) -> Int64[Tensor, "n 2"]:
    """128 bits of each sample's values: equal for equal ones, and never by chance (BLAKE2b).

    Args:
        x: (N, ...) samples of one shape and dtype.
    """
    if not isinstance(x, Tensor) or x.ndim == 0:
        raise InputError("samples to hash", given=type(x).__name__, expected="a tensor (N, ...)")
    rows = (x + 0.0 if x.is_floating_point() else x).detach().cpu().contiguous()  # -0 and 0 are one value
    flat = rows.reshape(len(rows), -1) if rows.numel() else rows.reshape(len(rows), 0)
    raw = (hashlib.blake2b(row.tobytes(), digest_size=16).digest() for row in _bytes(flat))
    found = np.frombuffer(b"".join(raw), dtype="<i8").reshape(len(rows), 2)
    return torch.from_numpy(found.copy()).to(x.device)


def _bytes(rows: Tensor) -> np.ndarray:
    return rows.view(torch.uint8).numpy() if rows.element_size() > 1 and rows.numel() else rows.numpy()


def text_hashes(texts: Sequence[str]) -> Int64[Tensor, "n 2"]:
    """128 bits of each text, whatever its case and spaces.

    Args:
        texts: one a sample.
    """
    raw = (hashlib.blake2b(" ".join(t.lower().split()).encode(), digest_size=16).digest() for t in texts)
    return torch.from_numpy(np.frombuffer(b"".join(raw), dtype="<i8").reshape(len(texts), 2).copy())


def grey(images: Float[Tensor, "n channels height width"]) -> Float[Tensor, "n side side"]:
    """Grey pictures of 32 x 32 pixels.

    Args:
        images: of any size; of three channels the luminance, else the mean.
    """
    if not isinstance(images, Tensor) or images.ndim != 4 or not images.is_floating_point() or 0 in images.shape[1:]:
        given = f"{images.dtype} of shape {tuple(images.shape)}" if isinstance(images, Tensor) else type(images)
        raise InputError("pictures", given=given, expected="floats (N, C, H, W), not empty")
    weight = _LUMA if images.shape[1] == 3 else [1 / images.shape[1]] * images.shape[1]
    plain = torch.einsum("nchw,c->nhw", images.float(), images.new_tensor(weight, dtype=torch.float32))[:, None]
    if min(plain.shape[2:]) >= SIDE:
        return F.adaptive_avg_pool2d(plain, SIDE)[:, 0]
    return F.interpolate(plain, size=(SIDE, SIDE), mode="bilinear", align_corners=False)[:, 0]


def perceptual_hashes(images: Float[Tensor, "n channels height width"]) -> Int64[Tensor, " n"]:
    """64 bits of each picture's low frequencies: which of its 8 x 8 cosine coefficients lie above their median.

    Brightness, contrast, size and compression hardly move them; a shift by a few pixels flips some. The first row and
    column of coefficients (pure stripes) are left out, as is usual.

    Args:
        images: in [0, 1].
    """
    return wave_hashes(grey(images))


def wave_hashes(pictures: Float[Tensor, "n side side"]) -> Int64[Tensor, " n"]:
    """`perceptual_hashes` of grey pictures.

    Args:
        pictures: as `grey` gives them.
    """
    k = torch.arange(1, _LOW + 1, device=pictures.device)[:, None]
    j = torch.arange(SIDE, device=pictures.device)[None]
    basis = torch.cos(math.pi * k * (2 * j + 1) / (2 * SIDE))
    waves = (basis @ pictures @ basis.T).flatten(1)
    return packed(waves > waves.median(dim=1, keepdim=True).values)


def packed(bits: Tensor) -> Int64[Tensor, " n"]:
    """(N, 64) booleans as one whole number each.

    Args:
        bits: the first becomes the lowest.
    """
    place = torch.arange(64, device=bits.device)
    return (bits.long() << place).sum(1)  # the highest wraps around into the sign


def textured(pictures: Float[Tensor, "n side side"]) -> Tensor:
    """(N,) whether a grey picture shows something: of flat ones the hash is noise.

    Args:
        pictures: as `grey` gives them.
    """
    return pictures.flatten(1).std(dim=1, correction=0) > _FLAT


def projection_hashes(rows: Float[Tensor, "n columns"], seed: int = 0) -> Int64[Tensor, " n"]:
    """64 bits of each row: on which sides of 64 random planes it lies, each through another sample.

    Args:
        rows: standardised, so that columns count alike.
        seed: of the planes.
    """
    if not isinstance(rows, Tensor) or rows.ndim != 2:
        raise InputError("rows to hash", given=type(rows).__name__, expected="a tensor (N, columns)")
    source = generator(seed, "planes")
    planes = torch.randn(rows.shape[1], 64, generator=source).to(rows.device, rows.dtype)
    if not len(rows):
        return torch.zeros(0, dtype=torch.long, device=rows.device)
    through = torch.randint(0, len(rows), (64,), generator=source).to(rows.device)
    places = rows @ planes
    return packed(places > places[through, torch.arange(64, device=rows.device)])


def shingles(text: str, size: int = 3) -> frozenset[int]:
    """Hashes of the runs of words of a text; of fewer words the whole.

    Args:
        text: words between spaces.
        size: words of a run.
    """
    words = text.lower().split()
    runs = [" ".join(words[i : i + size]) for i in range(max(1, len(words) - size + 1))]
    return frozenset(int.from_bytes(hashlib.blake2b(run.encode(), digest_size=4).digest(), "little") for run in runs)


def text_sketches(texts: Sequence[str], seed: int = 0) -> Int64[Tensor, " n"]:
    """64 bits of each text: the lowest bit of the least of its shingles under each of 64 random orders (1-bit MinHash).

    Two texts whose shingles have the Jaccard similarity J differ in 32 (1 - J) bits in the mean.

    Args:
        texts: one a sample.
        seed: of the orders.

    Source: P. Li and C. König, "b-Bit Minwise Hashing", 2010.
    """
    prime = (1 << 31) - 1
    draws = torch.randint(1, prime, (2, 64), generator=generator(seed, "orders")).numpy()
    least = np.zeros((len(texts), 64), dtype=np.int64)
    for i, text in enumerate(texts):
        values = np.fromiter((s % prime for s in shingles(text)), dtype=np.int64)
        least[i] = ((values[:, None] * draws[0] + draws[1]) % prime).min(0)
    return packed(torch.from_numpy(least) & 1)
