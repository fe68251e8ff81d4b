"""Pictures of inputs: what was shown comes back, within a size."""

import json
from dataclasses import asdict

import numpy as np
import pytest
import torch
from PIL import Image

from deepwright.core.errors import InputError
from deepwright.core.pictures import Strip, decode, encode, strips
from deepwright.core.results import Figure
from deepwright.report import png, svg

EVIL = "<img src=x onerror=alert(1)>"


def _pixels(code):
    import base64
    import io

    return np.asarray(Image.open(io.BytesIO(base64.b64decode(code))))


@pytest.mark.parametrize("channels", [1, 3])
def test_small_pictures_lose_nothing(channels):
    image = torch.rand(channels, 28, 31)
    found = torch.from_numpy(_pixels(encode(image)).copy()).reshape(28, 31, channels)
    assert torch.equal(found, (image * 255).round().to(torch.uint8).permute(1, 2, 0))
    assert (decode(encode(image)).width, decode(encode(image)).height) == (31, 28)


def test_large_pictures_are_drawn_small():
    code = encode(torch.rand(3, 300, 200), 60)
    assert (decode(code).width, decode(code).height) == (40, 60)
    assert decode(code).uri.startswith("data:image/webp;base64,")
    assert abs(float(_pixels(encode(torch.full((3, 90, 90), 0.5))).mean()) - 127.5) < 2


def test_the_figure_keeps_its_size_and_says_what_is_left_out():
    rows = [Strip(f"row {i}", torch.rand(6, 3, 96, 96)) for i in range(12)]
    figure = strips("t", rows, note="n", limit=30_000)
    codes = [p["png"] for row in figure.series for p in row["pictures"]]
    assert sum(map(len, codes)) <= 30_000
    kept = len(figure.series)
    assert 0 < kept < 12
    assert f"first {kept} of 12" in figure.note
    assert len(strips("t", rows[:1], limit=1).series) == 1


def test_to_json_and_back_and_drawn(tmp_path):
    figure = strips(EVIL, [Strip(EVIL, torch.rand(2, 1, 8, 8), [EVIL, ""], EVIL)], note=EVIL)
    again = Figure.from_dict(json.loads(json.dumps(asdict(figure))))
    assert again == figure
    drawn = svg(again)
    assert "<img src=x" not in drawn
    assert drawn.count("<img ") == 2
    assert png([figure], tmp_path / "f.png").stat().st_size > 1000


@pytest.mark.parametrize(
    "call",
    [
        lambda: strips("t", []),
        lambda: strips("t", [Strip("a", torch.rand(1, 1, 2, 2))], limit=0),
        lambda: Strip("a", torch.rand(2, 2)),
        lambda: Strip("a", torch.rand(0, 1, 2, 2)),
        lambda: Strip("a", torch.rand(2, 1, 2, 2), ["one"]),
        lambda: encode(torch.rand(2, 2)),
        lambda: decode('"><script>'),
        lambda: decode("AAAA"),
    ],
)
def test_what_is_no_picture_is_refused(call):
    with pytest.raises(InputError):
        call()
