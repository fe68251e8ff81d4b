"""What a pruning search moves in: bits over coupled units, or over single weights.

Both spaces offer the same few things: layers of variables with an importance each, masks from thresholds, the cost of
many masks at once, and predictions of many masked networks.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from deepwright.compress.counting.polynomial import CostPolynomial
from deepwright.compress.coupling.graph import ShrinkGraph
from deepwright.compress.surgery.cutting import shrink
from deepwright.compress.surgery.plans import Plan
from deepwright.compress.surgery.scores import importance
from deepwright.core.errors import InputError
from deepwright.core.files import hash_tensors
from deepwright.core.inference import device_of, evaluating, fast_layout

COSTS = ("params", "macs", "bytes")


class Space:
    """Base of both spaces.

    Attributes:
        size: number of bits D.
        layer: (D,) index of each bit's layer; `names` of the layers.
        score: (D,) importance, higher = keep.
        scale: (L,) what a threshold of 1 means in each layer.
        min_keep: bits that every layer keeps.
    """

    granularity = ""

    def __init__(
        self, layer: np.ndarray, names: Sequence[str], score: np.ndarray, scale: np.ndarray, min_keep: int
    ) -> None:
        if len(layer) == 0:
            raise InputError(
                "the network", given="nothing that can be pruned", expected="a convolution or linear layer"
            )
        self.layer, self.names = layer, list(names)
        self.score, self.scale, self.min_keep = score, np.maximum(scale, 1e-30), min_keep
        self.size = len(layer)
        self.layer_sizes = np.bincount(layer, minlength=len(self.names))
        self.rank = percentiles(score, layer)

    def from_thresholds(self, thresholds: np.ndarray) -> np.ndarray:
        """(P, L) thresholds in units of `scale` -> (P, D) masks: a bit stays when its score is above."""
        cut = thresholds * self.scale
        return self.repair(self.score > cut[:, self.layer])

    def repair(self, masks: np.ndarray) -> np.ndarray:
        """Give every layer its `min_keep` most important bits where it has fewer."""
        kept = np.stack([np.bincount(self.layer[m], minlength=len(self.names)) for m in masks])
        short = kept < np.minimum(self.min_keep, self.layer_sizes)
        if not short.any():
            return masks
        masks = masks.copy()
        for layer in np.flatnonzero(short.any(0)):
            inside = np.flatnonzero(self.layer == layer)
            best = inside[np.argsort(-self.score[inside], kind="stable")[: self.min_keep]]
            masks[np.ix_(np.flatnonzero(short[:, layer]), best)] = True
        return masks

    def costs(self, masks: np.ndarray, names: Sequence[str]) -> np.ndarray:
        """(P, len(names)) shares of the dense network's cost."""
        raise NotImplementedError

    def predict(self, masks: np.ndarray, x: Tensor) -> Tensor:
        """(P, N, classes) outputs of the masked networks."""
        raise NotImplementedError

    def build(self, mask: np.ndarray) -> nn.Module:
        """The network of one mask."""
        raise NotImplementedError


def percentiles(score: np.ndarray, layer: np.ndarray) -> np.ndarray:
    """(D,) rank of each score within its layer, in [0, 1]."""
    order = np.lexsort((score, layer))
    sizes = np.bincount(layer, minlength=int(layer.max()) + 1 if len(layer) else 0)
    starts = np.cumsum([0, *sizes[:-1]])
    rank = np.empty(len(score))
    rank[order] = np.arange(len(score)) - starts[layer[order]]
    return rank / np.maximum(sizes[layer] - 1, 1)


class UnitSpace(Space):
    """Bits on coupled units: every mask is a really smaller network."""

    granularity = "unit"

    def __init__(self, graph: ShrinkGraph, score: np.ndarray, min_keep: int = 1) -> None:
        sizes = [g.size for g in graph.groups]
        layer = np.repeat(np.arange(len(sizes)), sizes)
        means = np.bincount(layer, score) / np.maximum(np.bincount(layer), 1) if len(layer) else np.zeros(0)
        super().__init__(layer, [g.name for g in graph.groups], score, means, min_keep)
        self.graph = graph

    @classmethod
    def of(
        cls, model: nn.Module, example: Any, criterion: str = "l2", data: Any = None, min_keep: int = 1, **options: Any
    ) -> UnitSpace:
        """From a network, its example inputs and an importance criterion."""
        graph = ShrinkGraph.from_module(model, example, **options)
        scores = importance(graph, "l2" if criterion == "magnitude" else criterion, data=data)
        parts = [scores[g].numpy() for g in graph.groups]
        return cls(graph, np.concatenate(parts) if parts else np.zeros(0), min_keep)

    def costs(self, masks: np.ndarray, names: Sequence[str]) -> np.ndarray:
        """Exact, from the polynomial."""
        polynomial = CostPolynomial.of(self.graph)
        dense = polynomial.evaluate(np.ones((1, self.size), bool))
        values = polynomial.evaluate(masks)
        return np.stack([values[n] / dense[n][0] for n in names], 1)

    def predict(self, masks: np.ndarray, x: Tensor) -> Tensor:
        """Each shrunk network in turn: less work the smaller it is."""
        with torch.inference_mode():
            return torch.stack([_outputs(self.build(m), x) for m in masks])

    def build(self, mask: np.ndarray) -> nn.Module:
        """The shrunk network, not proved: `proved` does that."""
        return shrink(self.graph.model, Plan(self.graph, mask), skip_verification=True).model

    def proved(self, mask: np.ndarray) -> Any:
        """The surgery's result with its proof."""
        return shrink(self.graph.model, Plan(self.graph, mask))


def _outputs(model: nn.Module, x: Tensor) -> Tensor:
    with evaluating(model), fast_layout(model):
        return model(x)


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
        score: np.ndarray,
        min_keep: int = 1,
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
        summed = np.bincount(self.bit_of, score, minlength=int(bits.sum()))
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
        min_keep: int = 1,
        frozen: Sequence[str] = (),
        block: int = 1,
    ) -> WeightSpace:
        """From a network and an importance criterion ("magnitude", "taylor" or "fisher").

        Raises:
            InputError: no weight, weights that aren't finite (named), an unknown criterion, missing data.
        """
        from deepwright.compress.surgery.scores import gradient_scores

        own = dict(model.named_parameters())
        kinds = (nn.Linear, nn.modules.conv._ConvNd)
        names = [f"{n}.weight" if n else "weight" for n, m in model.named_modules() if isinstance(m, kinds)]
        names = [n for n in names if n in own and not any(n == f or n.startswith(f"{f}.") for f in frozen)]
        for n in names:
            if not torch.isfinite(own[n]).all():
                raise InputError(f"parameter {n!r}", given="NaN or infinity", expected="finite weights")
        if criterion == "magnitude":
            scored = {n: own[n].detach().abs() for n in names}
        elif criterion in ("taylor", "fisher"):
            if data is None:
                raise InputError("data", given="none", expected=f"batches (inputs, targets) for {criterion!r}")
            scored = gradient_scores(model, data, nn.functional.cross_entropy, squared=criterion == "fisher")
        else:
            raise InputError("importance", given=repr(criterion), expected="'magnitude', 'taylor' or 'fisher'")
        parts = [scored[n].double().cpu().numpy().ravel() for n in names]
        return cls(
            model, names, np.concatenate(parts) if parts else np.zeros(0), min_keep, block, criterion == "magnitude"
        )

    def costs(self, masks: np.ndarray, names: Sequence[str]) -> np.ndarray:
        """The kept share, whatever the name: zeros don't make tensors smaller."""
        share = masks @ self.weights / max(int(self.weights.sum()), 1)
        return np.stack([share for _ in names], 1)

    def split(self, masks: np.ndarray) -> dict[str, Tensor]:
        """(P, D) bits -> parameter -> (P, *shape) bool."""
        masks = masks[:, self.bit_of] if self.block > 1 else masks
        return {
            p: torch.from_numpy(masks[:, self.offsets[i] : self.offsets[i + 1]].reshape(len(masks), *self.shapes[i]))
            for i, p in enumerate(self.parameters)
        }

    def predict(self, masks: np.ndarray, x: Tensor) -> Tensor:
        """All masks in one batched pass, or one after the other, whichever a trial shows to be faster."""
        if threading.current_thread() is not threading.main_thread():
            # neither torch's batching nor its functional calls are safe beside each other: copies are
            with torch.inference_mode():
                return torch.stack([_outputs(self.build(m), x.to(device_of(self.model))) for m in masks])
        if self._batched is None and len(masks) > 1:
            self._batched = self._faster_batched(masks[:2], x)
        return self._together(masks, x) if self._batched else self._in_turn(masks, x)

    def _faster_batched(self, masks: np.ndarray, x: Tensor) -> bool:
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

    def _together(self, masks: np.ndarray, x: Tensor) -> Tensor:
        weights, rest = self._state()
        device = device_of(self.model)
        bits = {k: v.to(device) for k, v in self.split(masks).items()}

        def one(mask: dict[str, Tensor], inputs: Tensor) -> Tensor:
            masked = {k: torch.where(mask[k], weights[k], 0.0) for k in weights}
            return torch.func.functional_call(self.model, {**rest, **masked}, (inputs,))

        with evaluating(self.model), torch.inference_mode():
            return torch.func.vmap(one, in_dims=(0, None))(bits, x.to(device))

    def _in_turn(self, masks: np.ndarray, x: Tensor) -> Tensor:
        weights, rest = self._state()
        device = device_of(self.model)
        out = []
        with evaluating(self.model), torch.inference_mode():
            for mask in masks:
                bits = self.split(mask[None])
                masked = {k: torch.where(bits[k][0].to(device), weights[k], 0.0) for k in weights}
                out.append(torch.func.functional_call(self.model, {**rest, **masked}, (x.to(device),)))
        return torch.stack(out)

    def build(self, mask: np.ndarray) -> nn.Module:
        """A copy with zeros where the mask has them."""
        import copy

        model = copy.deepcopy(self.model)
        bits = self.split(mask[None])
        with torch.no_grad():
            for name, p in model.named_parameters():
                if name in bits:
                    p.mul_(bits[name][0].to(p.device))
        return model


class Accuracy:
    """Which validation samples each candidate gets wrong: the usual first objective.

    Args:
        x, y: validation inputs (N, ...) and labels (N,); never the test set.
        batch_size: of the forward passes.
        seed: of the nested, class-stratified subsets that racing uses.
    """

    def __init__(self, x: Tensor, y: Tensor, batch_size: int = 500, seed: int = 0) -> None:
        if len(x) != len(y) or len(y) == 0:
            raise InputError(
                "validation data", given=f"{len(x)} inputs, {len(y)} labels", expected="equally many, at least one"
            )
        self.x, self.y, self.batch_size = x, y, batch_size
        order = torch.randperm(len(y), generator=torch.Generator().manual_seed(seed))
        position = torch.empty(len(y), dtype=torch.double)
        for label in y.unique():
            rows = order[y[order] == label]
            position[rows] = torch.arange(len(rows), dtype=torch.double) / len(rows)
        self.order = position.argsort(stable=True)

    def __len__(self) -> int:
        return len(self.y)

    def fingerprint(self) -> str:
        """A hash of the data and its order: a resumed search must see the same."""
        return hash_tensors({"x": self.x, "y": self.y, "order": self.order})

    def wrong(self, space: Space, masks: np.ndarray, rows: Tensor | None = None) -> np.ndarray:
        """(P, rows) True where a candidate is wrong; all rows by default, in the order of `order`."""
        rows = self.order if rows is None else rows
        parts = []
        for part in rows.split(self.batch_size):
            out = space.predict(masks, self.x[part])
            parts.append((out.argmax(-1).cpu() != self.y[part]).numpy())
        return np.concatenate(parts, 1)


def accuracy_on(x: Tensor, y: Tensor, batch_size: int = 500, seed: int = 0) -> Accuracy:
    """The error on held-out data as a search's objective."""
    return Accuracy(x, y, batch_size, seed)


Evaluate = Accuracy | Callable[[nn.Module], Any]
