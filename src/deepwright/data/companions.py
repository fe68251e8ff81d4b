"""Sets that belong to none of the classes, made from the data itself: the "near" and "far" of an OOD test."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Shaped
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor
from torch.nn import functional as F

from deepwright.core.devices import back_to
from deepwright.core.errors import InputError
from deepwright.core.randomness import generator
from deepwright.core.requirements import require_whole
from deepwright.core.rows import pieces
from deepwright.core.texts import SEGMENT, to_codes, to_texts
from deepwright.data.dataset import Data, to_float

_KNOWN = 10_000  # training series of which means and deviations are taken


def ood_companions(data: Data, n: int = 400, seed: int = 0) -> dict[str, Shaped[Tensor, "n ..."]]:
    """The companions that suit a data set, inputs by name ("near ..." or "far ...").

    Images: uniform noise, patches of two photographs, inverted and pixel-shuffled test images (far); blends of two
    classes' test images, and letters for digit data (near). Tables: shuffled columns (near), far-out rows (far).
    Texts: their words out of order (near), words of random letters (far). Token ids: out of order (near), drawn evenly
    from those that occur (far), all but the first and the last of each row. Series: their time out of order (near),
    constant ones, and ones of ten times the deviation (far).
    Sets that the data brings itself (`data.ood`) come first. All are where the data are.

    Args:
        data: whose test split they are made from.
        n: samples of each, at most.
        seed: of all draws.
    """
    require_whole(1, n=n)
    given = {name: to_float(x[:n]) for name, x in data.ood.items()}
    if data.kind == "tabular":
        return given | _table_companions(data, n, seed)
    x = data.test.inputs(torch.randperm(len(data.test), generator=generator(seed, "companions"))[:n])
    if data.kind == "text":
        return given | _text_companions(x, seed)
    if data.kind == "tokens":
        return given | _token_companions(x, seed)
    if data.kind == "series":
        return given | _series_companions(x, data, seed)
    sets = {
        "far uniform noise": torch.rand(min(n, 400), *x.shape[1:], generator=generator(seed, "noise")),
        "far photo patches": photo_patches(min(n, 400), tuple(x.shape[1:]), seed),
        "far inverted": 1 - x,
        "far shuffled pixels": shuffle_pixels(x, seed),
    }
    if isinstance(data.test.y, Tensor) and data.test.y.ndim == 1 and not data.test.y.is_floating_point():
        sets["near class blends"] = class_blends(data, n, seed)
    if data.name in ("mnist", "digits"):
        sets["near letters"] = letters(n, data.shape[-1], seed)
    return given | back_to(sets, x)


def photo_patches(n: int, shape: tuple[int, ...], seed: int = 0) -> Float[Tensor, "n c h w"]:
    """Random patches of scikit-learn's two photographs (grey for one channel), scaled up where the patch is larger.

    Args:
        n: how many.
        shape: (channels, height, width).
        seed: of the draws.
    """
    if len(shape) != 3:
        raise InputError("shape", given=shape, expected="(channels, height, width)")
    require_whole(1, n=n, channels=shape[0], height=shape[1], width=shape[2])
    channels, h, w = shape
    photos = _photos()
    rng = generator(seed, "patches")
    patches = []
    for which in torch.randint(0, len(photos), (n,), generator=rng).tolist():
        photo = photos[which]
        scale = max(1.0, h / photo.shape[1], w / photo.shape[2])
        ph, pw = int(h / scale), int(w / scale)
        top = int(torch.randint(0, photo.shape[1] - ph + 1, (), generator=rng))
        left = int(torch.randint(0, photo.shape[2] - pw + 1, (), generator=rng))
        patch = photo[None, :, top : top + ph, left : left + pw]
        patches.append(patch if scale == 1.0 else F.interpolate(patch, size=(h, w), mode="bilinear", antialias=True))
    x = torch.cat(patches)
    if channels == 1:
        return (x * torch.tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1)).sum(1, keepdim=True)
    return x if channels == 3 else x[:, :1].expand(-1, channels, -1, -1).clone()


@lru_cache(maxsize=1)
def _photos() -> list[Tensor]:
    from sklearn.datasets import load_sample_images

    return [torch.from_numpy(np.array(image)).permute(2, 0, 1).float() / 255 for image in load_sample_images().images]


def shuffle_pixels(x: Float[Tensor, "n c h w"], seed: int = 0) -> Float[Tensor, "n c h w"]:
    """Every image under one and the same permutation of the pixels.

    Args:
        x: images.
        seed: of the permutation.
    """
    if x.ndim != 4:
        raise InputError("images", given=f"shape {tuple(x.shape)}", expected="(N, C, H, W)")
    n, c, h, w = x.shape
    order = torch.randperm(h * w, generator=generator(seed, "shuffle")).to(x.device)
    return x.reshape(n, c, h * w)[:, :, order].reshape(n, c, h, w)


def class_blends(data: Data, n: int, seed: int = 0) -> Float[Tensor, "n c h w"]:
    """Means of two test images of different classes: neither one nor the other.

    Args:
        data: whose test split is blended.
        n: pairs that are drawn; the few of one class are left out.
        seed: of the draws.
    """
    require_whole(1, n=n)
    rng = generator(seed, "blends")

    def drawn() -> Tensor:
        return torch.randint(0, len(data.test), (n,), generator=rng).to(data.test.y.device)

    first, second = drawn(), drawn()
    for _ in range(20):
        same = data.test.y[first] == data.test.y[second]
        second = torch.where(same, drawn(), second)
    differ = data.test.y[first] != data.test.y[second]
    return (data.test.inputs(first[differ]) + data.test.inputs(second[differ])) / 2


def letters(n: int, size: int, seed: int = 0) -> Float[Tensor, "n 1 size size"]:
    """Printed capital letters (without O and I, which are digits too) in several type faces, white on black.

    Args:
        n: how many.
        size: of the sides in pixels.
        seed: of the draws.
    """
    import matplotlib

    require_whole(1, n=n, size=size)
    fonts = sorted((Path(matplotlib.get_data_path()) / "fonts" / "ttf").glob("DejaVu*.ttf"))
    rng = generator(seed, "letters")
    alphabet = "ABCDEFGHJKLMNPQRSTUVWXYZ"
    images = []
    canvas = 4 * size
    for _ in range(n):
        letter, font, angle, grow = torch.rand(4, generator=rng).tolist()
        face = ImageFont.truetype(str(fonts[int(font * len(fonts))]), int(canvas * (0.62 + 0.16 * grow)))
        image = Image.new("L", (canvas, canvas))
        ImageDraw.Draw(image).text(
            (canvas / 2, canvas / 2), alphabet[int(letter * len(alphabet))], 255, face, anchor="mm"
        )
        turned = image.rotate(20 * (angle - 0.5), Image.Resampling.BILINEAR).resize(
            (size, size), Image.Resampling.LANCZOS
        )
        images.append(torch.from_numpy(np.array(turned)))
    return torch.stack(images)[:, None].float() / 255


def _table_companions(data: Data, n: int, seed: int) -> dict[str, Tensor]:
    count, width = data.test.x.shape
    rng = generator(seed, "table-companions")
    columns = torch.stack([torch.randperm(count, generator=rng)[:n] for _ in range(width)], 1)
    rows, places = columns.unique(return_inverse=True)  # only those are read
    x = data.test.inputs(rows)
    far = torch.stack([piece.amax(0) for piece in pieces(data.train.x)]).amax(0) * 3
    return {
        "near shuffled columns": x.gather(0, places.to(x.device)),
        "far beyond the range": far * (1 + torch.rand(min(n, count), width, generator=rng).to(far.device)),
    }


def _text_companions(codes: Tensor, seed: int) -> dict[str, Tensor]:
    """The words of each text out of order; and as many words as long, of letters drawn evenly."""
    rng = generator(seed, "text-companions")
    shuffled, random = [], []
    for text in to_texts(codes):
        words = text.split()
        shuffled.append(" ".join(words[i] for i in torch.randperm(len(words), generator=rng).tolist()) or text)
        letters = [torch.randint(97, 123, (len(word),), generator=rng).tolist() for word in words]
        random.append(" ".join("".join(map(chr, word)) for word in letters) or text)
    return {
        "near words out of order": to_codes(shuffled).to(codes.device),
        "far random letters": to_codes(random).to(codes.device),
    }


def _token_companions(tokens: Tensor, seed: int) -> dict[str, Tensor]:
    """The first and the last token of a row, which often are signs of the tokenizer, stay in their places."""
    rng = generator(seed, "token-companions")
    known = (tokens[tokens >= 0] % SEGMENT).unique()
    shuffled, random = tokens.clone(), tokens.clone()
    for row, text in enumerate(tokens):
        places = (text >= 0).nonzero().flatten()[1:-1]
        shuffled[row, places] = text[places[torch.randperm(len(places), generator=rng).to(places.device)]]
        drawn = torch.randint(0, max(1, len(known)), (len(places),), generator=rng).to(places.device)
        random[row, places] = known[drawn] + text[places] // SEGMENT * SEGMENT
    return {"near tokens out of order": shuffled, "far random tokens": random}


def _series_companions(x: Tensor, data: Data, seed: int) -> dict[str, Tensor]:
    """In units of each channel over the training samples (the test samples where there are none)."""
    known = (data.train if len(data.train) else data.test).take(_KNOWN, seed).inputs()
    known = known.reshape(-1, known.shape[-1]) if known.ndim == 3 else known.reshape(-1, 1)
    mean, deviation = known.mean(0), known.std(0, correction=min(1, len(known) - 1))
    flat = x if x.ndim == 3 else x[..., None]
    orders = torch.stack([torch.randperm(flat.shape[1], generator=generator(seed, "time", i)) for i in range(len(x))])
    level = flat[torch.arange(len(x)), orders[:, 0].to(x.device)][:, None]
    sets = {
        "near time out of order": flat.gather(1, orders.to(x.device)[..., None].expand_as(flat)),
        "far constant": level.expand_as(flat).contiguous(),
        "far ten times the deviation": mean + 10 * torch.where(deviation > 0, (flat - mean), 1.0),
    }
    return {name: each.reshape(x.shape) for name, each in sets.items()}
