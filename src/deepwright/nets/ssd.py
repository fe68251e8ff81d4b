"""Single-shot detectors: a backbone's feature maps, a 1x1 convolution on each, boxes relative to anchors.

`SSDDetector` is the MobileNetV2 detector of nano-drones (pulp-detector; arXiv 2301.12175): 240 x 320, six levels,
ReLU6. `small_ssd` is the same idea at the size of a test. Sources: "SSD", arXiv 1512.02325; "MobileNetV2",
arXiv 1801.04381.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn
from torch.nn import functional as F

from deepwright.core.boxes import Detections, box_iou, class_nms, decode, encode, require_boxes
from deepwright.core.devices import back_to, device_of, dtype_of, to_model
from deepwright.core.errors import InputError
from deepwright.core.inference import evaluating
from deepwright.core.requirements import require_whole, require_within


def _conv(a: int, b: int, size: int = 3, stride: int = 1, groups: int = 1, act: bool = True) -> nn.Sequential:
    layers: list[nn.Module] = [
        nn.Conv2d(a, b, size, stride, size // 2, groups=groups, bias=False),
        nn.BatchNorm2d(b, eps=1e-3),
    ]
    return nn.Sequential(*layers, nn.ReLU6()) if act else nn.Sequential(*layers)


class InvertedResidual(nn.Module):
    """Expand by 1x1, depthwise 3x3, project by 1x1; a shortcut where the shape stays.

    Args:
        a: channels of the input.
        b: channels of the output.
        stride: of the depthwise convolution.
        expansion: width inside over a.
    """

    def __init__(self, a: int, b: int, stride: int, expansion: int) -> None:
        super().__init__()
        wide = a * expansion
        self.expand = _conv(a, wide, 1) if expansion > 1 else nn.Identity()
        self.depthwise = _conv(wide, wide, 3, stride, groups=wide)
        self.project = _conv(wide, b, 1, act=False)
        self.shortcut = stride == 1 and a == b

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n d h2 w2"]:
        """The block's output."""
        out = self.project(self.depthwise(self.expand(x)))
        return x + out if self.shortcut else out


def anchor_boxes(
    sizes: Sequence[tuple[int, int]], lowest: float = 0.2, highest: float = 0.95, reduced: bool = True
) -> tuple[Float[Tensor, "a 4"], list[int]]:
    """Anchors of all levels as corners relative to the image, and how many stand at each place of a level.

    Level i of n has scale s_i, linear from lowest to highest (s_n = 1), ratios 1, 2, 1/2, 3, 1/3 and one more square of
    scale sqrt(s_i s_{i+1}); the first level has ratios 1 (at scale 0.1), 2, 1/2 when `reduced`.

    Args:
        sizes: (height, width) of each level's map.
        lowest: scale of the first level.
        highest: scale of the last level.
        reduced: three anchors on the first level.
    """
    n = len(sizes)
    scales = [lowest + (highest - lowest) * i / max(n - 1, 1) for i in range(n)] + [1.0]
    rows, counts = [], []
    for i, (h, w) in enumerate(sizes):
        s = scales[i]
        shapes = [(s, r) for r in (1.0, 2.0, 0.5, 3.0, 1 / 3)] + [((s * scales[i + 1]) ** 0.5, 1.0)]
        if i == 0 and reduced:
            shapes = [(0.1, 1.0), (s, 2.0), (s, 0.5)]
        counts.append(len(shapes))
        wh = torch.tensor([(a * r**0.5, a / r**0.5) for a, r in shapes])
        y, x = torch.meshgrid((torch.arange(h) + 0.5) / h, (torch.arange(w) + 0.5) / w, indexing="ij")
        centre = torch.stack([x, y], -1).reshape(-1, 1, 2).expand(-1, len(shapes), -1)
        half = (wh / 2).expand(len(centre), -1, -1)
        rows.append(torch.cat([centre - half, centre + half], -1).reshape(-1, 4))
    return torch.cat(rows), counts


class SSD(nn.Module):
    """A detector over named feature maps.

    Args:
        features: module whose children run one after the other; `taps` name those whose outputs feed a head.
        taps: names of the children.
        num_classes: classes without a background.
        in_channels: of the input.
        image_size: its height and width.
        lowest: scale of the first level's anchors.
        highest: scale of the last level's.
        reduced: three anchors on the first level.
    """

    anchors: Tensor

    def __init__(
        self,
        features: nn.Sequential,
        taps: Sequence[str],
        num_classes: int,
        in_channels: int,
        image_size: tuple[int, int],
        lowest: float = 0.2,
        highest: float = 0.95,
        reduced: bool = True,
    ) -> None:
        super().__init__()
        self.features, self.taps = features, tuple(taps)
        self.num_classes, self.in_channels, self.image_size = num_classes, in_channels, image_size
        device, dtype = device_of(features), dtype_of(features)
        with evaluating(features), torch.no_grad():
            maps = self._maps(torch.zeros(1, in_channels, *image_size, device=device, dtype=dtype))
        anchors, counts = anchor_boxes([(m.shape[-2], m.shape[-1]) for m in maps], lowest, highest, reduced)
        self.register_buffer("anchors", anchors.to(device, dtype))
        self.heads = nn.ModuleList(nn.Conv2d(m.shape[1], k * (4 + num_classes), 1) for m, k in zip(maps, counts))
        for head in self.heads:
            nn.init.normal_(head.weight, std=0.03)  # type: ignore[arg-type]
            nn.init.constant_(head.bias, 0.0)  # type: ignore[arg-type]
            k = head.bias.numel() // (4 + num_classes)  # type: ignore[union-attr,operator]
            with torch.no_grad():  # rare objects: begin with a low probability
                head.bias.view(k, -1)[:, 4:] = -4.0  # type: ignore[union-attr,operator]
        self.heads.to(device, dtype)

    def _maps(self, x: Tensor) -> list[Tensor]:
        found = []
        for name, child in self.features.named_children():
            x = child(x)
            if name in self.taps:
                found.append(x)
        return found

    def forward(self, x: Float[Tensor, "n c h w"]) -> dict[str, Tensor]:
        """{"codes": (N, anchors, 4), "logits": (N, anchors, classes)}."""
        rows = []
        for m, head in zip(self._maps(x), self.heads):
            rows.append(head(m).permute(0, 2, 3, 1).flatten(1).unflatten(1, (-1, 4 + self.num_classes)))
        joined = torch.cat(rows, 1)
        return {"codes": joined[..., :4], "logits": joined[..., 4:]}

    def detect(self, x: Tensor, *, score: float = 0.05, iou: float = 0.5, limit: int = 100) -> list[Detections]:
        """Boxes in pixels of each image, best first, where the images are.

        Args:
            x: images, brought to where the detector lives and its dtype.
            score: least score of a box.
            iou: overlap with a better box of its class from which a box is suppressed.
            limit: most boxes an image.

        Raises:
            InputError: images of another size or type, NaN in them; options out of range.
        """
        require_within(0, 1, score=score, iou=iou)
        require_whole(1, limit=limit)
        self._check(x)
        with evaluating(self), torch.no_grad():
            found = self.postprocess(self(to_model(x, self)), score=score, iou=iou, limit=limit)
        return [Detections(*back_to((d.boxes, d.labels, d.scores), x)) for d in found]

    def postprocess(
        self, raw: dict[str, Tensor], *, score: float = 0.05, iou: float = 0.5, limit: int = 100
    ) -> list[Detections]:
        """Decode, drop what scores too low, suppress doubles within each class, keep the best.

        Args:
            raw: as `forward` gives it.
            score: least score of a box.
            iou: overlap with a better box of its class from which a box is suppressed.
            limit: most boxes an image.
        """
        boxes = self.boxes(raw["codes"])
        chances = raw["logits"].sigmoid()
        results = []
        for corners, p in zip(boxes, chances):
            place, label = torch.nonzero(p >= score, as_tuple=True)
            value = p[place, label]
            if len(value) > 400:  # suppression is quadratic
                best = value.topk(400).indices
                place, label, value = place[best], label[best], value[best]
            keep = class_nms(corners[place], value, label, iou)[:limit]
            results.append(Detections(corners[place][keep], label[keep], value[keep]))
        return results

    def boxes(self, codes: Float[Tensor, "n anchors 4"]) -> Float[Tensor, "n anchors 4"]:
        """Corners in pixels.

        Args:
            codes: as `forward` gives them.
        """
        height, width = self.image_size
        scale = torch.tensor([width, height, width, height], dtype=codes.dtype, device=codes.device)
        return decode(codes, self.anchors).clamp(0, 1) * scale

    def no_detections(self) -> Detections:
        """What is said of an empty frame."""
        device = self.anchors.device
        return Detections(
            torch.zeros(0, 4, device=device),
            torch.zeros(0, dtype=torch.long, device=device),
            torch.zeros(0, device=device),
        )

    def _check(self, x: Tensor) -> None:
        if x.ndim != 4 or tuple(x.shape[1:]) != (self.in_channels, *self.image_size) or not x.is_floating_point():
            raise InputError(
                "images",
                given=f"{x.dtype} of shape {tuple(x.shape)}",
                expected=f"floats of shape (N, {self.in_channels}, {self.image_size[0]}, {self.image_size[1]})",
                hint="divide 8-bit images by 255 and resize them",
            )
        if not torch.compiler.is_compiling() and not bool(torch.isfinite(x).all()):
            raise InputError("images", given="NaN or infinity", expected="finite numbers")


class FinalDetections(nn.Module):
    """A detector whose output is its boxes, decoded and without doubles, as tasks and audits read them.

    Gradients reach the input through the scores of the boxes that are kept.

    Args:
        network: gives codes and logits of its anchors.
        score: least score of a box.
        iou: overlap with a better box of its class from which a box is suppressed.
        limit: most boxes an image.

    Raises:
        InputError: another network; numbers out of their range.
    """

    def __init__(self, network: SSD, *, score: float = 0.05, iou: float = 0.5, limit: int = 100) -> None:
        super().__init__()
        if not isinstance(network, SSD):
            raise InputError("network", given=type(network).__name__, expected="an SSD of deepwright.nets")
        require_within(0, 1, score=score, iou=iou)
        require_whole(1, limit=limit)
        self.network, self.score, self.iou, self.limit = network, score, iou, limit
        self.training = network.training

    def forward(self, x: Float[Tensor, "n c h w"]) -> list[Detections]:
        """Boxes in pixels of each image, best first.

        Args:
            x: images of the network's size.
        """
        return self.network.postprocess(self.network(x), score=self.score, iou=self.iou, limit=self.limit)


class CandidateBoxes(nn.Module):
    """A detector whose output is all its candidates, (N, anchors, 4 + classes): corners in pixels, and logits.

    As `core.tasks.CandidateDetection` reads them: gradients of attacks reach all of them, not only what is claimed.

    Args:
        network: gives codes and logits of its anchors.

    Raises:
        InputError: another network.
    """

    def __init__(self, network: SSD) -> None:
        super().__init__()
        if not isinstance(network, SSD):
            raise InputError("network", given=type(network).__name__, expected="an SSD of deepwright.nets")
        self.network = network
        self.training = network.training

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n anchors columns"]:
        """Corners and logits of each candidate.

        Args:
            x: images of the network's size.
        """
        raw = self.network(x)
        return torch.cat([self.network.boxes(raw["codes"]), raw["logits"]], -1)


_BLOCKS = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))


class _Tapped(nn.Module):
    """An inverted residual in two children, so that its expansion can feed a head."""

    def __init__(self, block: InvertedResidual) -> None:
        super().__init__()
        self.depthwise, self.project = block.depthwise, block.project

    def forward(self, x: Tensor) -> Tensor:
        """What follows the expansion."""
        return self.project(self.depthwise(x))


class SSDDetector(SSD):
    """MobileNetV2 SSD at 240 x 320 with heads at six levels: 4.63 million parameters, 529 million MACs at width 1.

    Args:
        num_classes: without background.
        width: of the backbone, 1.0, 0.75 or 0.5 (no layer below 16 channels).
        in_channels: of the input.
        image_size: its height and width.
    """

    def __init__(
        self, num_classes: int, width: float = 1.0, in_channels: int = 1, image_size: tuple[int, int] = (240, 320)
    ) -> None:
        def wide(c: int) -> int:
            rounded = max(16, int(c * width + 4) // 8 * 8)
            return rounded + 8 if rounded < 0.9 * c * width else rounded

        layers: dict[str, nn.Module] = {"stem": _conv(in_channels, wide(32), 3, 2)}
        current, number = wide(32), 0
        for expansion, channels, repeats, stride in _BLOCKS:
            for i in range(repeats):
                block = InvertedResidual(current, wide(channels), stride if i == 0 else 1, expansion)
                if number == 13:  # the first block of stride 32: its expansion is the first level's map
                    layers["block13_expand"], layers["block13"] = block.expand, _Tapped(block)
                else:
                    layers[f"block{number}"] = block
                current, number = wide(channels), number + 1
        last = wide(1280) if width > 1 else 1280
        layers["last"] = _conv(current, last, 1)
        current = last
        for i, channels in enumerate((512, 256, 256, 128)):
            depth = max(16, int(channels * width))
            layers[f"extra{i}"] = nn.Sequential(_conv(current, depth // 2, 1), _conv(depth // 2, depth, 3, 2))
            current = depth
        taps = ("block13_expand", "last", "extra0", "extra1", "extra2", "extra3")
        features = nn.Sequential()
        for name, layer in layers.items():
            features.add_module(name, layer)
        super().__init__(features, taps, num_classes, in_channels, image_size)


def small_ssd(
    num_classes: int = 2, in_channels: int = 1, image_size: tuple[int, int] = (48, 64), width: float = 1.0
) -> SSD:
    """Five stages of convolutions with heads on the last three: a detector that trains in a minute on a CPU.

    The first two stages hold 6 % of the multiply-accumulates (8 million at 48 x 64), so that an early exit can pay.

    Args:
        num_classes: without background.
        in_channels: of the input.
        image_size: its height and width.
        width: factor of all channels.
    """

    def wide(c: int) -> int:
        return max(4, int(c * width) // 4 * 4)

    features = nn.Sequential()
    current = in_channels
    for i, (channels, stride) in enumerate(((8, 2), (16, 2), (64, 1), (96, 2), (128, 2))):
        c = wide(channels)
        features.add_module(
            f"stage{i}", nn.Sequential(_conv(current, c, 3, stride), _conv(c, c, 3, groups=c), _conv(c, c, 1))
        )
        current = c
    return SSD(features, ("stage2", "stage3", "stage4"), num_classes, in_channels, image_size, 0.25, 0.7, reduced=False)


def fine_ssd(
    num_classes: int = 1, in_channels: int = 1, image_size: tuple[int, int] = (64, 64), width: int = 12
) -> SSD:
    """Five convolutions with heads at strides 4 and 8, for objects of a tenth to a third of the image.

    Args:
        num_classes: without background.
        in_channels: of the input.
        image_size: its height and width.
        width: channels of the first layer; the others have twice as many.
    """
    features, current = nn.Sequential(), in_channels
    for i, (channels, stride) in enumerate(
        ((width, 2), (2 * width, 2), (2 * width, 1), (2 * width, 1), (2 * width, 2))
    ):
        features.add_module(f"layer{i}", _conv(current, channels, 3, stride))
        current = channels
    return SSD(features, ("layer3", "layer4"), num_classes, in_channels, image_size, 0.15, 0.28, reduced=False)


def match_anchors(
    anchors: Float[Tensor, "a 4"], truth: Float[Tensor, "g 4"], threshold: float = 0.5
) -> Int64[Tensor, " a"]:
    """The true box of each anchor, -1 for none.

    An anchor takes the box that it overlaps most, if by the threshold; then each box claims its best anchor, and one
    that is claimed isn't taken away again (boxes in order of falling overlap).

    Args:
        anchors: corners.
        truth: corners, in the same units; brought to the anchors.
        threshold: least overlap.
    """
    truth = truth.to(anchors)
    matched = torch.full((len(anchors),), -1, dtype=torch.long, device=anchors.device)
    if len(truth) == 0:
        return matched
    overlap = box_iou(anchors, truth)
    best, index = overlap.max(1)
    matched = torch.where(best >= threshold, index, matched)
    claimed = torch.zeros(len(anchors), dtype=torch.bool, device=anchors.device)
    for g in torch.argsort(overlap.amax(0), descending=True, stable=True).tolist():
        free = torch.where(claimed, torch.full_like(overlap[:, g], -1.0), overlap[:, g])
        anchor = int(free.argmax())
        claimed[anchor] = True
        matched[anchor] = g
    return matched


@dataclass(frozen=True)
class SSDTargets:
    """What `ssd_loss` asks of each anchor: made once where the same images come again.

    Attributes:
        goal: the classes wanted, 0 or 1.
        positive: anchors that answer for a box.
        codes: of those boxes.
    """

    goal: Float[Tensor, "n anchors classes"]
    positive: Bool[Tensor, "n anchors"]
    codes: Float[Tensor, "n anchors 4"]

    @classmethod
    def of(
        cls, anchors: Float[Tensor, "a 4"], truth: Sequence[Detections], image_size: tuple[int, int], classes: int
    ) -> SSDTargets:
        """Match boxes to anchors.

        Args:
            anchors: corners relative to the image.
            truth: boxes in pixels of each image.
            image_size: height and width.
            classes: without a background.

        Raises:
            InputError: boxes outside the frame, turned round or NaN (the image is named).
        """
        height, width = image_size
        scale = torch.tensor([width, height, width, height], dtype=anchors.dtype, device=anchors.device)
        place, wanted = [], []
        for i, t in enumerate(truth):
            require_boxes(t.boxes, height, width, f"boxes of image {i}")
            targets = t.boxes.to(anchors) / scale
            matched = match_anchors(anchors, targets)
            place.append(matched)
            wanted.append(encode(targets[matched.clamp_min(0)] if len(targets) else anchors, anchors))
        matched_all = torch.stack(place)
        positive = matched_all >= 0
        goal = torch.zeros(*positive.shape, classes, dtype=anchors.dtype, device=anchors.device)
        for i, t in enumerate(truth):
            rows = torch.nonzero(positive[i]).flatten()
            goal[i, rows, t.labels.to(goal.device)[matched_all[i, rows]]] = 1.0
        return cls(goal, positive, torch.stack(wanted))

    def take(self, rows: Tensor) -> SSDTargets:
        """Those of some images.

        Args:
            rows: their indices.
        """
        return SSDTargets(self.goal[rows], self.positive[rows], self.codes[rows])


def ssd_loss(
    raw: dict[str, Tensor],
    anchors: Float[Tensor, "a 4"],
    truth: Sequence[Detections] | SSDTargets,
    image_size: tuple[int, int],
    *,
    negatives: int = 3,
    minimum: int = 3,
) -> Tensor:
    """Sigmoid classification and smooth-L1 on the box codes, over matches, with the hardest negatives.

    Args:
        raw: as `SSD.forward` gives it.
        anchors: corners relative to the image.
        truth: boxes in pixels of each image, or what was made of them before.
        image_size: height and width.
        negatives: for each match.
        minimum: negatives an image at least.

    Raises:
        InputError: boxes outside the frame, turned round or NaN (the image is named).
    """
    logits = raw["logits"]
    if not isinstance(truth, SSDTargets):
        truth = SSDTargets.of(anchors, truth, image_size, logits.shape[-1])
    positive = truth.positive
    losses = F.binary_cross_entropy_with_logits(logits, truth.goal.to(logits), reduction="none").sum(2)
    with torch.no_grad():  # the negatives that are taken for objects most
        hard = losses.masked_fill(positive, -1.0)
        rank = hard.argsort(1, descending=True).argsort(1)
        count = (negatives * positive.sum(1)).clamp_min(minimum)
        chosen_negatives = (rank < count[:, None]) & ~positive
    matches = positive.sum().clamp_min(1)
    classification = losses[positive | chosen_negatives].sum() / matches
    location = F.smooth_l1_loss(raw["codes"][positive], truth.codes[positive], reduction="sum") / matches
    return classification + location
