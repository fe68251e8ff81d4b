"""A forecaster with its detector and threshold beside it, as one module of tensors."""

from __future__ import annotations

import copy

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from deepwright.core.devices import device_of
from deepwright.core.errors import InputError
from deepwright.core.requirements import require_finite, require_positive, require_whole
from deepwright.ood.neighbours import kth_distance, rows_at_once


class WatchedForecaster(nn.Module):
    """A forecaster that also says how strange each window is, by its distance to the k-th nearest benign one.

    Forecasts stay what they are. It keeps copies, all in tensors, so that it goes into a safetensors file and through
    `torch.export`.

    Args:
        network: windows -> forecasts.
        windows: benign ones that it has seen, of the entities that the detector was trained on.
        threshold: distances above it are alarms.
        centre: of each channel, taken off before distances are measured.
        spread: of each channel, that they are divided by.
        k: which neighbour.
    """

    bank: Tensor
    threshold: Tensor
    centre: Tensor
    spread: Tensor

    def __init__(
        self,
        network: nn.Module,
        windows: Float[Tensor, "n steps channels"],
        threshold: float,
        centre: Float[Tensor, " channels"],
        spread: Float[Tensor, " channels"],
        k: int = 7,
    ) -> None:
        super().__init__()
        require_whole(1, k=k)
        require_positive(threshold=threshold)
        if windows.ndim != 3 or len(windows) < k:
            raise InputError("windows", given=f"shape {tuple(windows.shape)}", expected=f"{k} or more, three axes")
        require_finite(windows, "windows")
        for name, value in (("centre", centre), ("spread", spread)):
            if value.shape != windows.shape[2:] or not bool(torch.isfinite(value).all()):
                given, expected = f"shape {tuple(value.shape)}", f"{windows.shape[2]} finite numbers, one a channel"
                raise InputError(name, given=given, expected=expected)
        if not bool((spread > 0).all()):
            raise InputError("spread", given="0 or less", expected="above 0; 1 where a channel never moves")
        self.network = copy.deepcopy(network).eval().requires_grad_(False)
        self.k = int(k)
        where = device_of(network)
        for name, value in (("centre", centre), ("spread", spread)):
            self.register_buffer(name, value.detach().to(where, windows.dtype))
        self.register_buffer("bank", self._placed(windows.detach().to(where)))
        self.register_buffer("threshold", torch.tensor(float(threshold), device=where, dtype=windows.dtype))

    def forward(self, x: Float[Tensor, "n steps channels"]) -> Tensor:
        """The network's forecast.

        Args:
            x: windows.
        """
        return self.network(x)

    def score(self, x: Float[Tensor, "n steps channels"]) -> Float[Tensor, " n"]:
        """Distance over the threshold: above 1, or NaN where a reading is missing, is an alarm; gradients flow.

        Args:
            x: windows.
        """
        rows = self._placed(x)
        parts = [kth_distance(part, self.bank, self.k) for part in rows.split(rows_at_once(self.bank))]
        return torch.cat(parts) / self.threshold

    def watched(self, x: Float[Tensor, "n steps channels"]) -> tuple[Tensor, Float[Tensor, " n"], Bool[Tensor, " n"]]:
        """Forecasts, scores and alarms; a window with a missing reading is one.

        Args:
            x: windows.
        """
        score = kth_distance(self._placed(x), self.bank, self.k) / self.threshold
        return self.network(x), score, ~(score <= 1)

    def program(self) -> nn.Module:
        """A module whose forward is `watched`, for `torch.export`."""
        return _Program(self)

    def train(self, mode: bool = True) -> WatchedForecaster:
        """It stays in eval mode.

        Args:
            mode: not looked at.
        """
        return super().train(False)

    def _placed(self, x: Tensor) -> Tensor:
        if x.ndim != 3 or x.shape[2] != len(self.centre):
            given, expected = f"shape {tuple(x.shape)}", f"(N, steps, {len(self.centre)})"
            raise InputError("windows", given=given, expected=expected)
        return ((x.to(self.centre) - self.centre) / self.spread).flatten(1)


class _Program(nn.Module):
    def __init__(self, watched: WatchedForecaster) -> None:
        super().__init__()
        self.watched = watched

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        return self.watched.watched(x)
