"""What every perturbation of texts shares: severities, per-sample streams, code points in and out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Int32, Int64
from torch import Tensor

from deepwright.core.errors import InputError
from deepwright.core.randomness import Streams
from deepwright.core.texts import are_codes
from deepwright.corruptions.levels import described, identities, severities_of


@dataclass(frozen=True)
class TextPerturbation:
    """A perturbation of texts with the same call as one of images; no text becomes empty.

    Attributes:
        name: as listed.
        function: (code points, share, streams) -> code points, of any width.
        levels: the share of letters, marks or words that are hit at each severity 1..5: each with that chance.
        unit: what the share is of.
        label_preserving: False where what a text says may change.
    """

    name: str
    function: Callable[[Tensor, float, Streams], Tensor]
    levels: tuple[float, ...]
    unit: str
    label_preserving: bool = True

    def __call__(
        self,
        texts: Int32[Tensor, "n characters"],
        severity: float,
        seed: int = 0,
        t: int | None = None,
        *,
        ids: Tensor | None = None,
    ) -> Int32[Tensor, "n width"]:
        """Perturbed texts; severity 0 is the identity.

        Args:
            texts: code points, as `core.texts.to_codes` gives them.
            severity: 0..5.
            seed: of the streams.
            t: time step, part of the streams.
            ids: (N,) identity of each text (0..N-1 by default).

        Raises:
            InputError: no code points; a severity outside 0..5.
        """
        if not are_codes(texts):
            hint = "core.texts.to_codes(list of strings)"
            raise InputError("texts", given=described(texts), expected="int32 code points (N, characters)", hint=hint)
        level = int(severities_of(severity, 1))
        if level == 0 or not texts.numel():
            return texts.clone()
        streams = Streams(seed, identities(ids, len(texts)), self.name, t, texts.device)
        moved = self.function(texts, self.levels[level - 1], streams)
        empty = (moved == 0).all(1)
        if not bool(empty.any()):
            return moved
        width = max(moved.shape[1], texts.shape[1])
        moved, kept = (torch.nn.functional.pad(x, (0, width - x.shape[1])) for x in (moved, texts))
        return torch.where(empty[:, None], kept, moved)


def rebuilt(
    codes: Int32[Tensor, "n characters"], copies: Int64[Tensor, "n characters"]
) -> tuple[Int32[Tensor, "n width"], Int64[Tensor, "n width"]]:
    """Texts in which each character stands so many times, and which copy of it each place is (0 behind the end).

    Args:
        codes: code points.
        copies: 0 or more; what is behind the end of a text isn't copied.
    """
    n, width = codes.shape
    copies = torch.where(codes == 0, 0, copies)
    source = torch.arange(n * width, device=codes.device).repeat_interleave(copies.flatten())
    begins = copies.flatten().cumsum(0) - copies.flatten()
    which = torch.arange(len(source), device=codes.device) - begins[source]
    lengths = copies.sum(1)
    longest = max(1, int(lengths.max()))
    filled = torch.arange(longest, device=codes.device) < lengths[:, None]
    found, copy = codes.new_zeros(n, longest), torch.zeros(n, longest, dtype=torch.long, device=codes.device)
    found[filled] = codes.flatten()[source]
    copy[filled] = which
    return found, copy


def mapped(codes: Int32[Tensor, "n characters"], change: Callable[[str], int]) -> Int32[Tensor, "n characters"]:
    """A function of single characters on all of them; it is asked once for each that occurs.

    Args:
        codes: code points.
        change: character -> a number.
    """
    kinds, places = codes.unique(return_inverse=True)
    table = [0 if code == 0 else change(chr(code)) for code in kinds.tolist()]
    return torch.tensor(table, dtype=torch.int32, device=codes.device)[places]
