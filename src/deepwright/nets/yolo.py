"""YOLO detectors of any make, read as candidates: what their eval mode gives, before doubles are suppressed."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from deepwright.core.boxes import to_corners
from deepwright.core.errors import InputError
from deepwright.core.requirements import require_whole

_LEAST = 1e-6  # chances nearer to 0 or 1 have no gradient in single precision anyway


class YoloCandidates(nn.Module):
    """A YOLO detector whose output is all its candidates, (N, candidates, 4 + classes): corners in pixels, and logits.

    As `core.tasks.CandidateDetection` reads them, so that attacks and audits reach it. Two forms of decoded output are
    read, the first tensor of a tuple where there are several: (N, M, 5 + classes), whose fifth number is the chance
    that there is an object, by which those of the classes are multiplied (v3 to v7), and (N, 4 + classes, M) without
    one (v8 to v11); boxes are centre and size in pixels, chances within [0, 1].

    Args:
        network: any module whose eval mode gives one of the two.
        classes: without a background.

    Raises:
        InputError: no module.
    """

    def __init__(self, network: nn.Module, classes: int) -> None:
        super().__init__()
        if not isinstance(network, nn.Module):
            raise InputError("network", given=type(network).__name__, expected="a torch.nn.Module")
        require_whole(1, classes=classes)
        self.network, self.classes = network, int(classes)
        self.training = network.training
        self._looked = False

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n candidates columns"]:
        """Corners and logits of each candidate.

        Args:
            x: images, as the network takes them.

        Raises:
            InputError: an output of another form, as in train mode; chances outside [0, 1], at the first images.
        """
        boxes, chances = self._parted(self.network(x))
        if not self._looked:
            low, high = (float(end) for end in chances.detach().aminmax())
            if not (low >= 0 and high <= 1):
                given = f"numbers from {low:.4g} to {high:.4g} where chances stand"
                hint = "eval mode decodes; raw heads don't"
                raise InputError("the detector's output", given=given, expected="within [0, 1]", hint=hint)
            self._looked = True
        return torch.cat([to_corners(boxes), torch.logit(chances, eps=_LEAST)], -1)

    def _parted(self, out: Any) -> tuple[Tensor, Tensor]:
        """Boxes (N, M, 4) and chances (N, M, classes)."""
        while isinstance(out, tuple | list) and out:
            out = out[0]
        last, middle = 5 + self.classes, 4 + self.classes
        if isinstance(out, Tensor) and out.ndim == 3 and out.numel():
            if out.shape[2] == last and out.shape[1] != middle:
                return out[..., :4], out[..., 4:5] * out[..., 5:]
            if out.shape[1] == middle and out.shape[2] != last:
                out = out.transpose(1, 2)
                return out[..., :4], out[..., 4:]
        given = f"shape {tuple(out.shape)}" if isinstance(out, Tensor) else type(out).__name__
        expected = f"(N, candidates, {last}) or (N, {middle}, candidates)"
        raise InputError("the detector's output", given=given, expected=expected, hint="the number of classes? eval()?")
