"""What is kept of each sample to tell copies: a hash of all of it, hashes that copies nearly share, and details."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor
from torch.nn import functional as F

from deepwright.core.errors import InputError
from deepwright.dataquality.hashes import (
    SIDE,
    content_hashes,
    grey,
    projection_hashes,
    shingles,
    text_hashes,
    text_sketches,
    textured,
    wave_hashes,
)

_BLUR = 5  # pixels whose mean is taken off: what is left is a picture's detail, which tells pictures apart
_MOVES = ((0, 0), (0, 1), (1, 0), (0, -1), (-1, 0))  # two pictures meet in one of these where one lies two pixels aside
_SHIFT = 2
_WAVES = 10  # along either side: what of a detail is compared first
_SPARE = 1e-3  # of a distance, for rounding
_CHUNK = 2000


@dataclass(frozen=True)
class Fingerprints:
    """Small traces of N samples.

    Attributes:
        exact: (N, 2) 128 bits that only equal samples share.
        near: (N, variants) 64 bits each; copies nearly share one of them.
        detail: (N, ...) what two samples are compared by: details of small grey pictures, or standardised columns.
        telling: (N,) whether a sample has what near copies are told by; of a blank picture only equal ones are copies.
        texts: of texts, themselves.
    """

    exact: Int64[Tensor, "n 2"]
    near: Int64[Tensor, "n variants"]
    detail: Float[Tensor, "n ..."]
    telling: Bool[Tensor, " n"]
    texts: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.exact)

    @property
    def of_pictures(self) -> bool:
        """Whether they are of pictures."""
        return self.detail.ndim == 3

    @classmethod
    def cat(cls, parts: Sequence[Fingerprints]) -> Fingerprints:
        """Several sets as one. Rows must have been standardised alike.

        Args:
            parts: at least one.
        """
        if not parts:
            raise InputError("fingerprints", given="none", expected="at least one set")
        exact, near, detail, telling = (
            torch.cat([getattr(p, name) for p in parts]) for name in ("exact", "near", "detail", "telling")
        )
        return cls(exact, near, detail, telling, tuple(text for p in parts for text in p.texts))

    def distance(
        self, a: Int64[Tensor, " pairs"], b: Int64[Tensor, " pairs"], up_to: float = math.inf
    ) -> Float[Tensor, " pairs"]:
        """How far the samples of each pair are apart.

        Of pictures sqrt(2 (1 - c)) with the correlation c of their details in the best of 25 small shifts (by up to two
        of 32 pixels along each axis; `find_duplicates` meets those pairs whose shift is by up to two along one axis, or
        by one along both); of rows the Euclidean distance; of texts 1 - Jaccard similarity of their runs of three
        words.

        Args:
            a: the first sample of each pair.
            b: the second.
            up_to: what is farther apart may be said to be infinitely far, which is quicker.
        """
        if self.texts:
            return torch.tensor([_unlike(self.texts[i], self.texts[j]) for i, j in zip(a.tolist(), b.tolist())])
        if self.of_pictures and up_to < math.inf:
            near = self._within(a, b, up_to)
            out = torch.full((len(a),), math.inf)
            out[near] = self.distance(a[near], b[near])
            return out
        parts = [torch.zeros(0)]
        for i, j in zip(a.split(_CHUNK), b.split(_CHUNK)):
            first, second = self.detail[i].float(), self.detail[j].float()
            parts.append(_shifted(first, second) if self.of_pictures else (first - second).norm(dim=1))
        return torch.cat(parts)

    def _within(self, a: Tensor, b: Tensor, limit: float) -> Tensor:
        """Indices of pairs, among them all that aren't farther apart than a limit: those whose low waves aren't.

        Low waves are a projection of the details, and no projection moves two points apart.
        """
        whole, of_first = a.unique(return_inverse=True)
        inner = slice(_SHIFT, SIDE - _SHIFT)
        first = torch.cat([_waves(self.detail[part, inner, inner].float()) for part in whole.split(_CHUNK)])[:, 0]
        kept = [torch.zeros(0, dtype=torch.long)]
        for part in b.argsort(stable=True).split(_CHUNK):
            second, of_second = b[part].unique(return_inverse=True)
            windows, one = _waves(self.detail[second].float()), first[of_first[part]]
            squares = windows.square().sum(-1)[of_second] + one.square().sum(-1, keepdim=True)
            apart = (squares - 2 * (windows[of_second] @ one[..., None])[..., 0]).amin(1).clamp_min(0).sqrt()
            kept.append(part[apart <= limit + _SPARE])
        return torch.cat(kept).sort().values

    def points(self, rows: Tensor) -> Float[Tensor, "m d"]:
        """Samples as points whose distances are those of `distance`, but for shifts.

        Args:
            rows: which ones.
        """
        flat = self.detail[rows].float().flatten(1)
        return _unit(flat) if self.of_pictures else flat


def picture_fingerprints(batches: Iterable[Float[Tensor, "n channels height width"]]) -> Fingerprints:
    """Fingerprints of pictures, batch by batch: 2 kB of each are kept.

    Args:
        batches: floats in [0, 1].
    """
    parts = [_of_pictures(batch) for batch in batches]
    if not parts:
        nothing = torch.zeros(0, 2, dtype=torch.long)
        return Fingerprints(
            nothing, nothing[:, :1].expand(0, len(_MOVES)), torch.zeros(0, SIDE, SIDE), nothing[:, 0] > 0
        )
    return Fingerprints.cat(parts)


def _of_pictures(batch: Tensor) -> Fingerprints:
    small = grey(batch)
    edge = F.pad(small[:, None], (1, 1, 1, 1), mode="replicate")[:, 0]
    moved = (edge[:, 1 + i : 1 + i + SIDE, 1 + j : 1 + j + SIDE] for i, j in _MOVES)
    near = torch.stack([wave_hashes(picture) for picture in moved], dim=1)
    around = F.pad(small[:, None], (_BLUR // 2,) * 4, mode="replicate")
    detail = small - F.avg_pool2d(around, _BLUR, 1)[:, 0]
    return Fingerprints(content_hashes(batch).cpu(), near.cpu(), detail.half().cpu(), textured(small).cpu())


def row_fingerprints(rows: Float[Tensor, "n columns"], seed: int = 0) -> Fingerprints:
    """Fingerprints of a table's rows; all rows that shall be compared go in together.

    Args:
        rows: as they are; they are standardised here, and columns that never move left out.
        seed: of the random planes.
    """
    if not isinstance(rows, Tensor) or rows.ndim != 2 or not rows.is_floating_point():
        raise InputError("rows", given=type(rows).__name__, expected="a tensor of floats (N, columns)")
    x = rows.cpu()
    scale = x.double().std(0, correction=0) if len(x) else torch.zeros(x.shape[1])
    moving = scale > 0
    detail = ((x - x.double().mean(0)) / scale)[:, moving].float() if len(x) else x[:, moving]
    near = projection_hashes(detail, seed)[:, None]
    return Fingerprints(content_hashes(x), near, detail, torch.full((len(x),), bool(moving.any())))


def text_fingerprints(texts: Sequence[str], seed: int = 0) -> Fingerprints:
    """Fingerprints of texts.

    Args:
        texts: one a sample.
        seed: of the orders of shingles.
    """
    if isinstance(texts, str) or not all(isinstance(text, str) for text in texts):
        raise InputError("texts", given=type(texts).__name__, expected="a sequence of texts")
    long = torch.tensor([len(text.split()) >= 5 for text in texts], dtype=torch.bool)
    detail = torch.zeros(len(texts), 0)
    return Fingerprints(text_hashes(texts), text_sketches(texts, seed)[:, None], detail, long, tuple(texts))


def _unit(flat: Float[Tensor, "n d"]) -> Float[Tensor, "n d"]:
    centred = flat - flat.mean(1, keepdim=True)
    return centred / centred.norm(dim=1, keepdim=True).clamp_min(1e-9)


def _shifted(a: Float[Tensor, "n side side"], b: Float[Tensor, "n side side"]) -> Float[Tensor, " n"]:
    side = a.shape[1] - 2 * _SHIFT
    inner = _unit(a[:, _SHIFT:-_SHIFT, _SHIFT:-_SHIFT].flatten(1))
    best = torch.full((len(a),), -1.0)
    for i in range(2 * _SHIFT + 1):
        for j in range(2 * _SHIFT + 1):
            best = torch.maximum(best, (inner * _unit(b[:, i : i + side, j : j + side].flatten(1))).sum(1))
    return (2 * (1 - best.clamp(-1, 1))).sqrt()


def _waves(pictures: Float[Tensor, "n high wide"]) -> Float[Tensor, "n shifts waves"]:
    """Low waves (of a cosine transform) of each window of a picture, made of mean 0 and length 1.

    The windows are those that `_shifted` compares; a picture that has one window's size is its only one.
    """
    side, steps = SIDE - 2 * _SHIFT, pictures.shape[1] - SIDE + 2 * _SHIFT + 1
    at = (torch.arange(side) + 0.5) * math.pi / side
    cosines = torch.cos(torch.arange(_WAVES)[:, None] * at) * math.sqrt(2 / side)
    cosines[0] = math.sqrt(1 / side)
    moved = torch.stack([F.pad(cosines, (i, steps - 1 - i)) for i in range(steps)]).flatten(0, 1)
    waves = (moved @ pictures @ moved.T).unflatten(1, (steps, _WAVES)).unflatten(3, (steps, _WAVES))
    waves = waves.transpose(2, 3).flatten(3).flatten(1, 2)[..., 1:]  # without the first, the mean
    total, squares = (F.avg_pool2d(x[:, None], side, 1).flatten(1) * side**2 for x in (pictures, pictures.square()))
    length = (squares - total.square() / side**2).clamp_min(0).sqrt()
    return waves / length.clamp_min(1e-9)[..., None]


def _unlike(a: str, b: str) -> float:
    first, second = shingles(a), shingles(b)
    return 1 - len(first & second) / max(1, len(first | second))
