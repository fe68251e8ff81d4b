"""Bits over single weights, or over blocks of them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float
from numpy import ndarray as Array
from torch import Tensor, nn

from deepwright.compress.search.space import COSTS, Space, in_turn
from deepwright.compress.surgery import gradient_scores
from deepwright.core.copies import copied
from deepwright.core.devices import device_of, to_model
from deepwright.core.errors import InputError, unknown_name
from deepwright.core.inference import evaluating


class WeightSpace(Space):
    """Bits on weights of convolutions and linear layers (biases and norms stay): sparse, not smaller.

    With `block` > 1 a bit holds so many weights that lie one behind the other (1 x 4 blocks for sparse kernels).

    Args:
        model: the network.
        parameters: names of its prunable weights.
        score: one importance a weight, parameter after parameter.
        min_keep: bits that each parameter keeps.
        block: weights a bit.
        spread: a threshold of 1 means a layer's standard deviation (magnitudes), else its mean score.
    """

    granularity = "weight"

    def __init__(
        self,
        model: nn.Module,
        parameters: Sequence[str],
        score: Float[Array, " weights"],
        min_keep: int = 0,
        block: int = 1,
        spread: bool = True,
    ) -> None:
        if block < 1:
            raise InputError("block", given=block, expected="at least 1")
        self.model, self.block, self.parameters = model, block, list(parameters)
        own = dict(model.named_parameters())
        self.shapes = [tuple(own[p].shape) for p in self.parameters]
        sizes = np.array([own[p].numel() for p in self.parameters], int)
        bits = -(-sizes // block)
        starts = np.cumsum([0, *bits[:-1]]) if len(bits) else bits
        inside = np.arange(int(sizes.sum())) - np.repeat(np.cumsum([0, *sizes[:-1]]) if len(sizes) else sizes, sizes)
        self.bit_of = np.repeat(starts, sizes) + inside // block
        self.weights = np.bincount(self.bit_of, minlength=int(bits.sum()))
        layer = np.repeat(np.arange(len(sizes)), bits)
        summed = np.bincount(self.bit_of, score, minlength=int(bits.sum())).astype(float)
        if spread:
            scale = block * np.array([float(own[p].detach().double().std(correction=0)) for p in self.parameters])
        else:
            scale = np.bincount(layer, summed) / np.maximum(np.bincount(layer), 1)
        super().__init__(layer, self.parameters, summed, scale, min_keep)
        self.offsets = np.cumsum([0, *sizes])
        self._batched: bool | None = None

    @classmethod
    def of(
        cls,
        model: nn.Module,
        criterion: str = "magnitude",
        data: Any = None,
        min_keep: int = 0,
        frozen: Sequence[str] = (),
        block: int = 1,
        loss: Callable[[Tensor, Tensor], Tensor] | None = None,
    ) -> WeightSpace:
        """From a network and an importance criterion.

        Args:
            model: the network.
            criterion: "magnitude", "taylor" or "fisher".
            data: batches (inputs, targets) for "taylor" and "fisher".
            min_keep: bits that each parameter keeps.
            frozen: modules and parameters that stay whole.
            block: weights a bit.
            loss: of the network's output and the targets, for such criteria; cross-entropy by default.

        Raises:
            InputError: no weight, weights that aren't finite (named), an unknown criterion, missing data.
        """
        own = dict(model.named_parameters())
        kinds = (nn.Linear, nn.modules.conv._ConvNd)
        names = [f"{n}.weight" if n else "weight" for n, m in model.named_modules() if isinstance(m, kinds)]
        absent = [f for f in frozen if not any(n == f or n.startswith(f"{f}.") for n in own)]
        if absent:
            raise unknown_name("frozen module", absent[0], [n for n, _ in model.named_modules() if n] + [*own])
        names = [n for n in names if n in own and not any(n == f or n.startswith(f"{f}.") for f in frozen)]
        for n in names:
            if not torch.isfinite(own[n]).all():
                raise InputError(f"parameter {n!r}", given="NaN or infinity", expected="finite weights")
        if criterion == "magnitude":
            for name, unused in (("loss", loss), ("data", data)):
                if unused is not None:
                    expected = "none: it has no use for it"
                    raise InputError(name, given="for the importance 'magnitude'", expected=expected)
            scored = {n: own[n].detach().abs() for n in names}
        elif criterion in ("taylor", "fisher"):
            if data is None:
                raise InputError("data", given="none", expected=f"batches (inputs, targets) for {criterion!r}")
            scored = gradient_scores(model, data, loss or nn.functional.cross_entropy, squared=criterion == "fisher")
        else:
            raise InputError("importance", given=repr(criterion), expected="'magnitude', 'taylor' or 'fisher'")
        parts = [scored[n].double().cpu().numpy().ravel() for n in names]
        return cls(
            model, names, np.concatenate(parts) if parts else np.zeros(0), min_keep, block, criterion == "magnitude"
        )

    @property
    def network(self) -> nn.Module:
        """The whole network."""
        return self.model

    def costs(self, masks: Bool[Array, "p d"], names: Sequence[str]) -> Float[Array, "p names"]:
        """The kept share, whatever the name: zeros don't make tensors smaller."""
        share = masks @ self.weights / max(int(self.weights.sum()), 1)
        return np.stack([share for _ in names], 1)

    def account(self, mask: Bool[Array, " d"], shares: dict[str, float]) -> dict[str, float]:
        """The share of weights that aren't zero beside what they take: all of it dense, less in compressed rows.

        A file of compressed sparse rows holds every kept weight (or block), its column in four bytes, and where each
        row begins. Tensors in memory, parameters and multiplications stay as they were.

        Args:
            mask: which bits stay.
            shares: the costs that the search saw.
        """
        own = dict(self.model.named_parameters())
        dense = sum(p.numel() * p.element_size() for p in own.values())
        sparse = dense
        for name, bits in self.split(mask[None]).items():
            size, rows = own[name].element_size(), len(bits[0])
            kept = int(bits.sum())
            sparse += kept * size + 4 * (-(-kept // self.block) + rows + 1) - own[name].numel() * size
        searched = {name: value for name, value in shares.items() if name not in COSTS}
        kept_share = float(mask @ self.weights / max(int(self.weights.sum()), 1))
        whole = dict.fromkeys(COSTS, 1.0)
        return {"nonzero weights": kept_share, **whole, "bytes as sparse rows": sparse / dense, **searched}

    def split(self, masks: Bool[Array, "p d"]) -> dict[str, Tensor]:
        """Masks by parameter.

        Args:
            masks: one network a row.

        Returns:
            parameter -> (P, *shape) bool, on the CPU.
        """
        masks = masks[:, self.bit_of] if self.block > 1 else masks
        return {
            p: torch.from_numpy(masks[:, self.offsets[i] : self.offsets[i + 1]].reshape(len(masks), *self.shapes[i]))
            for i, p in enumerate(self.parameters)
        }

    def predict(self, masks: Bool[Array, "p d"], x: Tensor) -> Tensor:
        """All masks in one batched pass, or one after the other, whichever a trial shows to be faster."""
        if threading.current_thread() is not threading.main_thread():
            # neither torch's batching nor its functional calls are safe beside each other: copies are
            return in_turn(self, masks, x)
        if self._batched is None and len(masks) > 1:
            self._batched = self._faster_batched(masks[:2], x)
        return self._together(masks, x) if self._batched else self._in_turn(masks, x)

    def _faster_batched(self, masks: Bool[Array, "p d"], x: Tensor) -> bool:
        """Which way is faster here, by trying both on two masks."""
        times = []
        for way in (self._together, self._in_turn):
            try:
                way(masks, x)
                begin = time.perf_counter()
                way(masks, x)
                times.append(time.perf_counter() - begin)
            except RuntimeError:  # an operation without a batching rule
                times.append(float("inf"))
        return times[0] < times[1]

    def _state(self) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        parameters = {k: v.detach() for k, v in self.model.named_parameters()}
        return {k: parameters[k] for k in self.parameters}, {
            **{k: v for k, v in parameters.items() if k not in set(self.parameters)},
            **dict(self.model.named_buffers()),
        }

    def _together(self, masks: Bool[Array, "p d"], x: Tensor) -> Tensor:
        weights, rest = self._state()
        device = device_of(self.model)
        bits = {k: v.to(device) for k, v in self.split(masks).items()}

        def one(mask: dict[str, Tensor], inputs: Tensor) -> Tensor:
            masked = {k: torch.where(mask[k], weights[k], 0.0) for k in weights}
            return torch.func.functional_call(self.model, {**rest, **masked}, (inputs,))

        with evaluating(self.model), torch.inference_mode():
            return torch.func.vmap(one, in_dims=(0, None))(bits, to_model(x, self.model))

    def _in_turn(self, masks: Bool[Array, "p d"], x: Tensor) -> Tensor:
        weights, rest = self._state()
        device, x = device_of(self.model), to_model(x, self.model)
        out = []
        with evaluating(self.model), torch.inference_mode():
            for mask in masks:
                bits = self.split(mask[None])
                masked = {k: torch.where(bits[k][0].to(device), weights[k], 0.0) for k in weights}
                out.append(torch.func.functional_call(self.model, {**rest, **masked}, (x,)))
        return torch.stack(out)

    def build(self, mask: Bool[Array, " d"]) -> nn.Module:
        """A copy with zeros where the mask has them."""
        model = copied(self.model)
        bits = self.split(mask[None])
        with torch.no_grad():
            for name, p in model.named_parameters():
                if name in bits:
                    p.mul_(bits[name][0].to(p.device))
        return model
