"""What a forward camera sees of roads: each pixel's place on the ground, and its colour there."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from deepwright.core.randomness import Streams
from deepwright.core.requirements import require_positive, require_whole, require_within
from deepwright.corruptions.driving.road_tiles import TILE, Tiles, tiles_of
from deepwright.corruptions.driving.roads import Road

_LINE, _DASH = 0.25, 3.0  # metres: width of the lines; length of a dash and of the gap behind it
_GREY = {"asphalt": 0.38, "verge": 0.25, "line": 0.85, "sky": 0.7}
_COLORS = {
    "asphalt": (0.38, 0.38, 0.40),
    "verge": (0.22, 0.34, 0.16),
    "line": (0.88, 0.87, 0.80),
    "sky": (0.58, 0.72, 0.88),
}
_SHIFT = 2  # 2^2 grains along each side of a tile
_TEXTURE, _ROADSIDE = 128, 64  # grains and tiles of a side, after which the ground repeats
_CHUNK = 1 << 17  # ground pixels at a time: they stay in the cache


@dataclass(frozen=True)
class Camera:
    """A pinhole camera that looks ahead and down.

    Attributes:
        size: (height, width) in pixels.
        rgb: three channels, of which palette, light and bushes at the roadside hang on the seed; else one, grey.
        height: of the camera above the ground, in metres.
        pitch: degrees downwards.
        field_of_view: degrees across.
        far: metres up to which the road is seen.
        texture: standard deviation of the ground's grain.
        noise: standard deviation of the sensor's noise, drawn anew in each frame.
    """

    size: tuple[int, int] = (40, 80)
    rgb: bool = False
    height: float = 1.5
    pitch: float = 10.0
    field_of_view: float = 80.0
    far: float = 45.0
    texture: float = 0.04
    noise: float = 0.015

    def __post_init__(self) -> None:
        require_whole(8, **{"height of the picture": self.size[0], "width of the picture": self.size[1]})
        require_positive(height=self.height, far=self.far)
        require_within(0, 60, pitch=self.pitch)
        require_within(0, 170, ends="()", field_of_view=self.field_of_view)
        require_within(0, 1, texture=self.texture, noise=self.noise)

    def ground(self) -> Float[Tensor, "k 3"]:
        """Where the last k pixels, row by row, meet the ground: metres ahead, to the left, and across one pixel."""
        h, w = self.size
        focal = w / 2 / math.tan(math.radians(self.field_of_view) / 2)
        v, u = torch.meshgrid(
            (torch.arange(h, dtype=torch.float64) + 0.5 - h / 2) / focal,
            (torch.arange(w, dtype=torch.float64) + 0.5 - w / 2) / focal,
            indexing="ij",
        )
        sine, cosine = math.sin(math.radians(self.pitch)), math.cos(math.radians(self.pitch))
        down = sine + v * cosine
        scale = self.height / down.clamp_min(1e-9)
        ahead = scale * (cosine - v * sine)
        seen = ((down > 0) & (ahead <= self.far)).flatten()
        return torch.stack([ahead, -scale * u, scale / focal], 2).reshape(-1, 3)[seen]

    def horizon(self) -> int:
        """Rows above the horizon."""
        h, w = self.size
        focal = w / 2 / math.tan(math.radians(self.field_of_view) / 2)
        level = h / 2 - focal * math.tan(math.radians(self.pitch))
        return min(h, max(0, math.ceil(level - 0.5)))


class Scenery:
    """Roads as a camera sees them, for a batch of vehicles.

    Args:
        camera: of all vehicles.
        roads: one a vehicle.
        seeds: of textures, palettes and noise, one a vehicle.
        device: where pictures are wanted.
    """

    def __init__(self, camera: Camera, roads: Sequence[Road], seeds: Sequence[int], device: torch.device) -> None:
        self.camera, self.device = camera, device
        self.seeds = torch.tensor(list(seeds), dtype=torch.long)
        table = camera.ground()
        self._table = table.float().to(device)
        self._first_pixel = camera.size[0] * camera.size[1] - len(table)  # all that follow are ground, row by row
        self._start = torch.tensor([road.points[0].tolist() for road in roads], dtype=torch.float64, device=device)
        self._half = torch.tensor([road.width / 2 for road in roads], dtype=torch.float32, device=device)[:, None]
        self._take(list(map(tiles_of, roads)))
        self._look()

    def _take(self, tiles: list[Tiles]) -> None:
        """One flat table for all roads, so that a place is looked up by one number."""
        cells = torch.tensor([t.nearest.size for t in tiles]).cumsum(0)
        lines = torch.tensor([len(t.lines) for t in tiles]).cumsum(0)
        self._first_cell = torch.cat([cells.new_zeros(1), cells[:-1]])[:, None].to(self.device)
        first = torch.cat([lines.new_zeros(1), lines[:-1]]).tolist()
        flat = [torch.from_numpy(t.nearest).flatten().long() + at for t, at in zip(tiles, first)]
        self._nearest = torch.cat(flat).to(self.device)
        self._lines = torch.cat([torch.from_numpy(t.lines) for t in tiles]).T.contiguous().to(self.device)
        shapes = torch.tensor([[t.nearest.shape[1], t.nearest.shape[0]] for t in tiles])
        low = torch.tensor([t.low for t in tiles])
        self._columns, self._rows = (shapes[:, i : i + 1].to(self.device) for i in (0, 1))
        self._low_x, self._low_y = (low[:, i : i + 1].to(self.device) for i in (0, 1))

    def _look(self) -> None:
        """Grain, palettes and bushes of each vehicle's world."""
        camera, n = self.camera, len(self.seeds)
        streams = Streams(0, self.seeds, "road texture", device=self.device)
        self._grain = streams.normal(_TEXTURE * _TEXTURE) * camera.texture
        names = ("asphalt", "verge", "line", "sky")
        if not camera.rgb:
            palette = torch.tensor([[[_GREY[name]] for name in names]], device=self.device).expand(n, -1, -1)
            self._palette = palette
            return
        base = torch.tensor([[_COLORS[name] for name in names]], device=self.device)
        tint = streams.uniform(4, 3, low=0.95, high=1.05) * streams.uniform(4, 1, low=0.85, high=1.1)
        light = streams.uniform(1, 1, low=0.85, high=1.1)
        self._palette = (base * tint * light).clamp(0, 1)
        coarse = streams.uniform(1, _ROADSIDE // 4, _ROADSIDE // 4)
        bushes = torch.nn.functional.interpolate(coarse, size=(_ROADSIDE, _ROADSIDE), mode="bicubic")
        self._bushes = (bushes.flatten(1) > 0.8).float() * 0.45

    def picture(
        self, position: Float[Tensor, "n 2"], heading: Float[Tensor, " n"], frame: int
    ) -> Float[Tensor, "n c h w"]:
        """What each vehicle sees.

        Args:
            position: in metres, float64.
            heading: radians, float64.
            frame: number of the frame, of which the sensor's noise hangs.
        """
        h, w = self.camera.size
        n, channels = len(position), 3 if self.camera.rgb else 1
        sky, verge = self._palette[:, 3], self._palette[:, 1]
        picture = sky[:, :, None].repeat(1, 1, h * w)
        picture[:, :, self.camera.horizon() * w :] = verge[:, :, None]
        step = max(1, _CHUNK // max(1, len(self._table)))
        for rows in (slice(first, first + step) for first in range(0, n, step)):
            at = (position[rows] - self._start[rows]).float()
            picture[rows, :, self._first_pixel :] = self._ground(rows, at, heading[rows])
        if self.camera.noise:
            picture += self._sensor_noise(frame, channels * h * w).view(n, channels, h * w)
        return picture.clamp_(0, 1).view(n, channels, h, w)

    def _ground(self, rows: slice, at: Tensor, heading: Tensor) -> Tensor:
        """(n, channels, k) colours of the pixels below the horizon."""
        ahead, left, foot = self._table.unbind(1)
        cosine, sine = heading.cos().float()[:, None], heading.sin().float()[:, None]
        x = at[:, :1] + cosine * ahead - sine * left
        y = at[:, 1:] + sine * ahead + cosine * left
        column, row = ((v * (2**_SHIFT / TILE)).floor_().long() for v in (x, y))
        grain = ((row & (_TEXTURE - 1)) * _TEXTURE) + (column & (_TEXTURE - 1))
        column, row = column >> _SHIFT, row >> _SHIFT
        bush = ((row & (_ROADSIDE - 1)) * _ROADSIDE) + (column & (_ROADSIDE - 1)) if self.camera.rgb else None
        column = torch.minimum((column - self._low_x[rows]).clamp_min_(0), self._columns[rows] - 1)
        row = torch.minimum((row - self._low_y[rows]).clamp_min_(0), self._rows[rows] - 1)
        cell = self._first_cell[rows] + row * self._columns[rows] + column
        segment = self._nearest[cell]
        a, b, c, d, e, f = (line[segment] for line in self._lines)
        across = (x * a + y * b + c).abs_()
        along = x * d + y * e + f
        return self._painted(rows, across, along, 1 / foot, grain, bush)

    def _painted(
        self, rows: slice, across: Tensor, along: Tensor, sharp: Tensor, grain: Tensor, bush: Tensor | None
    ) -> Tensor:
        """Colours of places: how much of a pixel is road, border line and dash."""
        half, width = self._half[rows], _LINE / 2
        most = (_LINE * sharp).clamp_max(1.0)
        border = (0.5 + (width - (across - half).abs()) * sharp).clamp_min_(0).minimum(most)
        dash = (0.5 + (width - across) * sharp).clamp_min_(0).minimum(most)
        turns = along * (0.5 / _DASH)
        dash = dash * (turns - turns.floor() < 0.5)
        road = (0.5 + (half - across) * sharp).clamp_(0, 1)
        line = torch.maximum(border, dash)
        texture = self._grain[rows].gather(1, grain)
        shade = None if bush is None else 1 - self._bushes[rows].gather(1, bush) * (1 - road)
        colors = self._palette[rows]
        channels = []
        for channel in range(colors.shape[2]):
            asphalt, verge, paint = (colors[:, i, channel, None] for i in (0, 1, 2))
            ground = verge + (asphalt - verge) * road
            if shade is not None:
                ground = ground * shade
            channels.append(torch.lerp(ground, paint.expand_as(ground), line) + texture)
        return torch.stack(channels, 1)

    def _sensor_noise(self, frame: int, count: int) -> Tensor:
        """(n, count) nearly normal numbers: the four bytes of each hash added up (their excess is -0.3)."""
        bits = Streams(0, self.seeds, "sensor noise", frame, self.device).bits(count)
        pairs = (bits & 0x00FF00FF) + ((bits >> 8) & 0x00FF00FF)
        total = (pairs + (pairs >> 16)) & 0xFFFF
        spread = self.camera.noise / math.sqrt(4 * (256**2 - 1) / 12)
        return total.float().sub_(510).mul_(spread)
