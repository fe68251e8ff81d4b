"""Digits with a colour that goes with the label, and a watermark that tells the environment: cues of known reliability.

The label is whether the digit is 5 or more, flipped with a probability. The environment e is 1 with another; the
colour is the label where e = 1 and its contrary where e = 0, so that colour alone is wrong (or right) in a known share,
and colour with the environment is always right. A watermark, some bits in the right-most column, is drawn from a bank
of patterns that the two environments don't share: who knows the bank knows e.

Source: "A Compression Perspective on Simplicity Bias", arXiv 2603.25839.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import torch
from jaxtyping import Float, Int64, UInt8
from torch import Tensor
from torch.nn import functional as F

from deepwright.core.errors import InputError
from deepwright.core.randomness import Streams, generator
from deepwright.core.requirements import require_same_length, require_whole, require_within

ATTRIBUTES = ("colour", "digit", "watermark")
"""What can be exchanged between samples."""
_MEAN, _STD = 0.1307, 0.3081
_FOR_THE_BANK = 64  # patterns are drawn again so often before a bank is given up


@dataclass(frozen=True, eq=False)
class WatermarkedColouredDigits:
    """Samples as attributes; `render` makes inputs of them.

    Labels, environments and noise are streams of their own for each sample, so that a subset has the same ones.

    Attributes:
        images: (n, h, w) grey pictures of digits.
        digits: (n,) which digit each shows.
        flip_prob: with which a label is the contrary of what the digit says.
        spur_prob: P(e = 1), with which the colour is the label and not its contrary.
        watermark_bits: pixels of the watermark; 0 for none.
        bank_size: patterns of each environment.
        env_noisiness: with which a sample's watermark is random bits.
        size: side of the rendered pictures.
        channels: red, green and an empty blue one, or the first two.
        seed: of labels, environments, banks and noise.
        ids: (n,) what the streams of each sample are drawn by; its place when None.
    """

    images: UInt8[Tensor, "n h w"]
    digits: Int64[Tensor, " n"]
    flip_prob: float = 0.09
    spur_prob: float = 0.1
    watermark_bits: int = 0
    bank_size: int = 1
    env_noisiness: float = 0.0
    size: int = 32
    channels: int = 3
    seed: int = 0
    ids: Int64[Tensor, " n"] | None = None
    _made: dict[str, Tensor] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        require_same_length(self.images, self.digits, "images and digits")
        if self.images.ndim != 3 or self.images.dtype != torch.uint8:
            given = f"{self.images.dtype} of shape {tuple(self.images.shape)}"
            raise InputError("images", given=given, expected="grey pictures (n, h, w) of bytes from 0 to 255")
        require_within(0, 1, flip_prob=self.flip_prob, spur_prob=self.spur_prob, env_noisiness=self.env_noisiness)
        require_whole(1, bank_size=self.bank_size, size=self.size)
        require_whole(0, watermark_bits=self.watermark_bits)
        if self.channels not in (2, 3):
            raise InputError("channels", given=self.channels, expected="2 or 3")
        if self.watermark_bits > min(32, self.size):
            expected = f"{min(32, self.size)} at most: one column of pixels holds them, and no more than 32"
            raise InputError("watermark_bits", given=self.watermark_bits, expected=expected)
        if self.watermark_bits and 2 * self.bank_size > 2**self.watermark_bits:
            given = f"{self.bank_size} patterns for each of two environments"
            expected = f"{2 ** (self.watermark_bits - 1)} at most, of {self.watermark_bits} bits"
            raise InputError("bank_size", given=given, expected=expected)
        ids = torch.arange(len(self.digits)) if self.ids is None else self.ids.cpu()
        require_same_length(ids, self.digits, "ids and digits")
        object.__setattr__(self, "ids", ids)
        object.__setattr__(self, "_made", self._attributes())

    def __len__(self) -> int:
        return len(self.digits)

    def subset(self, rows: Tensor) -> WatermarkedColouredDigits:
        """Some samples, with the labels, environments and watermarks that they have here.

        Args:
            rows: indices.
        """
        assert self.ids is not None
        here = rows.to(self.images.device)
        return replace(self, images=self.images[here], digits=self.digits[here], ids=self.ids[rows.cpu()])

    @property
    def y(self) -> Int64[Tensor, " n"]:
        """(n,) labels: whether the digit is 5 or more, and flips."""
        return self._made["label"]

    @property
    def attributes(self) -> dict[str, Tensor]:
        """(n,) label, environment, colour and digit, and the (n, bits) watermark: targets or inputs of other tasks."""
        return dict(self._made)

    @property
    def codes(self) -> Mapping[str, Int64[Tensor, " n"]]:
        """Colour, digit (a picture each) and watermark (as a number): samples of equal codes look alike."""
        made = self.attributes
        powers = 2 ** torch.arange(self.watermark_bits, device=self.digits.device)
        mark = (made["watermark"] * powers).sum(1)
        pictures = torch.arange(len(self), device=self.digits.device)
        return {"colour": made["colour"], "digit": pictures} | ({"watermark": mark} if self.watermark_bits else {})

    def banks(self) -> Int64[Tensor, "2 bank bits"]:
        """The patterns of environments 0 and 1, no two alike."""
        total, bits = 2 * self.bank_size, self.watermark_bits
        draw = generator(self.seed, "banks")
        if bits <= 16:
            numbers = torch.randperm(2**bits, generator=draw)[:total]
        else:
            numbers = torch.randint(0, 2**bits, (0,))
            for _ in range(_FOR_THE_BANK):  # of 2^17 patterns and more few come twice
                numbers = _each_once(torch.cat([numbers, torch.randint(0, 2**bits, (total,), generator=draw)]))[:total]
                if len(numbers) == total:
                    break
        return (numbers[:, None] >> torch.arange(bits) & 1).view(2, self.bank_size, bits)

    def _attributes(self) -> dict[str, Tensor]:
        ids = self.ids
        assert ids is not None

        def below(name: str, p: float) -> Tensor:
            return (Streams(self.seed, ids, name).uniform() < p).long()

        place = self.digits.device
        label = (self.digits.cpu() >= 5).long() ^ below("flips", self.flip_prob)
        environment = below("environments", self.spur_prob)
        made = {"label": label, "environment": environment, "colour": torch.where(environment == 1, label, 1 - label)}
        mark = torch.zeros(len(self), 0, dtype=torch.long)
        if self.watermark_bits:
            which = Streams(self.seed, ids, "patterns").integers(0, self.bank_size)
            noise = Streams(self.seed, ids, "noise").integers(0, 2, self.watermark_bits)
            noisy = below("noisy marks", self.env_noisiness).bool()
            mark = torch.where(noisy[:, None], noise, self.banks()[environment, which])
        made |= {"digit": self.digits, "watermark": mark}
        return {name: value.to(place) for name, value in made.items()}

    def render(
        self,
        rows: Int64[Tensor, " k"] | None = None,
        *,
        colour: Int64[Tensor, " k"] | None = None,
        digit: Int64[Tensor, " k"] | None = None,
        watermark: Int64[Tensor, " k"] | None = None,
    ) -> Float[Tensor, "k channels size size"]:
        """Normalised inputs of some samples, each attribute taken from the sample itself or from a donor.

        Args:
            rows: of the samples; all when None.
            colour: rows that the colours are taken from.
            digit: rows that the pictures are taken from.
            watermark: rows that the watermarks are taken from.
        """
        place = self.images.device
        own = torch.arange(len(self), device=place) if rows is None else rows.to(place)
        colours, pictures, marks = (
            own if donors is None else donors.to(place) for donors in (colour, digit, watermark)
        )
        made = self.attributes
        grey = _resized(self.images[pictures].float() / 255, self.size)
        channel = F.one_hot(made["colour"][colours], self.channels).to(grey)
        x = channel[:, :, None, None] * grey[:, None]
        if self.watermark_bits:
            x[:, :, self.size - self.watermark_bits :, -1] = made["watermark"][marks].to(x)[:, None]
        mean = x.new_tensor([_MEAN, _MEAN, 0.0])[: self.channels]
        return (x - mean[:, None, None]) / _STD

    def exchanged(self, attribute: str, rows: Tensor, donors: Tensor) -> Tensor:
        """Inputs of some samples, each with one attribute of its donor.

        Args:
            attribute: "colour", "digit" or "watermark".
            rows: of the samples.
            donors: of those that the attribute is taken from.
        """
        _require_attributes([attribute])
        return self.render(rows, **{attribute: donors})

    def view(
        self, shuffle: Sequence[str] = (), randomise: Sequence[str] = (), seed: int = 0
    ) -> tuple[Float[Tensor, "n channels size size"], Int64[Tensor, " n"]]:
        """Inputs and labels, some attributes made uninformative.

        Args:
            shuffle: attributes that are permuted among the samples, each by a permutation of its own.
            randomise: "watermark": every sample gets random bits in place of its own.
            seed: of permutations and bits.
        """
        _require_attributes([*shuffle, *randomise])
        if any(name != "watermark" for name in randomise):
            raise InputError("randomise", given=list(randomise), expected="watermark: the others are shuffled")
        source = self
        if randomise:
            source = replace(self, env_noisiness=1.0)
        donors = {
            name: torch.randperm(len(self), generator=generator(seed, "shuffle", name)).to(self.images.device)
            for name in shuffle
        }
        return source.render(**donors), self.y

    def with_environment(self, spur_prob: float) -> WatermarkedColouredDigits:
        """The same digits and labels under another P(e = 1); at 1/2 the colour alone tells nothing.

        Args:
            spur_prob: P(e = 1).
        """
        return replace(self, spur_prob=spur_prob)


def _require_attributes(names: Sequence[str]) -> None:
    for name in names:
        if name not in ATTRIBUTES:
            raise InputError("attribute", given=repr(name), expected=", ".join(ATTRIBUTES))


def _resized(grey: Tensor, size: int) -> Tensor:
    if grey.shape[1:] == (size, size):
        return grey
    if size <= min(grey.shape[1:]):
        return F.adaptive_avg_pool2d(grey[:, None], size)[:, 0]
    return F.interpolate(grey[:, None], (size, size), mode="bilinear", antialias=True)[:, 0]


def _each_once(numbers: Tensor) -> Tensor:
    """The different ones, in the order in which they came first."""
    kinds, places = torch.unique(numbers, return_inverse=True)
    first = torch.full((len(kinds),), len(numbers)).scatter_reduce(0, places, torch.arange(len(numbers)), "amin")
    return numbers[first.sort().values]
