"""Networks that stop early: heads on intermediate maps, survivors-only batches, certified thresholds, expected cost.

BlankSkip: a detector's early head answers "nothing here", which early features can tell, instead of boxes, which they
can't. For classifiers the same frame holds a head of logits that leaves on its confidence.

Source: arXiv 2603.28149 (head, losses and the threshold rule are ours where the paper leaves them open).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from deepwright.compress.counting.targets import TargetProfile, expected_macs, layers
from deepwright.compress.exits.goals import Levels
from deepwright.compress.exits.policy import ExitPolicy, certify
from deepwright.compress.exits.segments import Segments
from deepwright.core.errors import InputError
from deepwright.core.files import hash_model
from deepwright.core.inference import device_of, evaluating


class ExitHead(nn.Module):
    """Two depthwise-separable convolutions, mean and maximum over space (small objects vanish in the mean), one linear map.

    Args:
        in_channels: of the map.
        hidden: channels inside.
        outputs: 1 for "is anything here", or the number of classes.
        pool: "avg+max", "avg" or "max".
    """

    def __init__(self, in_channels: int, hidden: int = 24, outputs: int = 1, pool: str = "avg+max") -> None:
        super().__init__()
        if pool not in ("avg+max", "avg", "max"):
            raise InputError("pool", given=repr(pool), expected="'avg+max', 'avg' or 'max'")
        self.pool = pool
        self.body = nn.Sequential(
            nn.Conv2d(in_channels, in_channels, 3, 2, 1, groups=in_channels, bias=False),
            nn.Conv2d(in_channels, hidden, 1, bias=False), nn.BatchNorm2d(hidden), nn.ReLU6(),
            nn.Conv2d(hidden, hidden, 3, 1, 1, groups=hidden, bias=False),
            nn.Conv2d(hidden, hidden, 1, bias=False), nn.BatchNorm2d(hidden), nn.ReLU6(),
        )  # fmt: skip
        self.last = nn.Linear(hidden * (2 if pool == "avg+max" else 1), outputs)

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n outputs"]:
        """Logits."""
        x = self.body(x)
        parts = [x.mean((2, 3))] if "avg" in self.pool else []
        parts += [x.amax((2, 3))] if "max" in self.pool else []
        return self.last(torch.cat(parts, 1))


class VectorHead(nn.Module):
    """The same question to a vector: one hidden layer."""

    def __init__(self, in_features: int, hidden: int = 32, outputs: int = 1) -> None:
        super().__init__()
        self.body, self.last = nn.Linear(in_features, hidden), nn.Linear(hidden, outputs)

    def forward(self, x: Float[Tensor, "n d"]) -> Float[Tensor, "n outputs"]:
        """Logits."""
        return self.last(F.relu(self.body(x)))


@dataclass(frozen=True)
class ExitCost:
    """Expected cost of one sample.

    Attributes:
        shares: of samples that leave at each cut, and that run to the end.
        paths: MACs of each way, heads included.
        macs: expected; worst: of a sample that runs to the end; static: of the network without exits.
        speedup: static / expected.
        seconds: the same on a target, *estimated*: (expected, static), or None.
        worth: whether the exits pay at all.
    """

    shares: tuple[float, ...]
    paths: tuple[int, ...]
    macs: float
    worst: int
    static: int
    seconds: tuple[float, float] | None = None

    @property
    def speedup(self) -> float:
        """Static over expected MACs."""
        return self.static / self.macs

    @property
    def worth(self) -> bool:
        """Whether the network is cheaper with its exits than without."""
        return self.macs < self.static

    def __str__(self) -> str:
        verdict = f"{self.speedup:.2f}x fewer MACs on average" if self.worth else "exits do not pay here"
        return f"{verdict} ({self.macs / 1e6:.2f} of {self.static / 1e6:.2f} million, worst {self.worst / 1e6:.2f})"


class AdaptiveModel(nn.Module):
    """A network with exits. Make it with `attach_exits`.

    In training mode `forward` gives (outputs, {cut: head's logits}) of the whole network. In eval mode it runs piece after
    piece on the samples that are still there, which needs a policy (`calibrate_exits`) or explicit thresholds.
    """

    def __init__(
        self,
        model: nn.Module,
        cuts: Sequence[str],
        heads: Sequence[nn.Module],
        example: Tensor,
        exit_output: str,
        empty: Callable[[], Any] | None,
    ) -> None:
        super().__init__()
        self.model, self.cuts, self.exit_output, self.empty = model, tuple(cuts), exit_output, empty
        self.heads = nn.ModuleList(heads)
        self.example = example
        self.policy: ExitPolicy | None = None
        self._pieces: list[nn.Module] | None = None
        self._segments: Segments | None = None

    # --- training ----------------------------------------------------------------------------------------------

    def exit_logits(self, x: Tensor) -> tuple[Any, dict[str, Tensor]]:
        """(the network's outputs, each head's logits), by one ordinary forward pass with hooks on the cuts."""
        seen: dict[str, Tensor] = {}
        modules = dict(self.model.named_modules())

        def keep(name: str) -> Callable[..., None]:
            def hook(module: nn.Module, args: Any, output: Tensor) -> None:
                seen[name] = output

            return hook

        handles = [modules[c].register_forward_hook(keep(c)) for c in self.cuts]
        try:
            out = self.model(x)
        finally:
            for handle in handles:
                handle.remove()
        return out, {c: head(seen[c]) for c, head in zip(self.cuts, self.heads)}

    # --- inference ---------------------------------------------------------------------------------------------

    def pieces(self) -> list[nn.Module]:
        """The network between its cuts; the pieces share its parameters."""
        if self._pieces is None:
            self._segments = Segments(self.model, self.example)
            self._pieces = list(self._segments.build([self._segments.position(c) for c in self.cuts]))
        return self._pieces

    @property
    def segments(self) -> Segments:
        """The exported network."""
        self.pieces()
        assert self._segments is not None
        return self._segments

    def readiness(self, logits: Tensor) -> Tensor:
        """(N,) how ready a sample is to leave: -logit of "something is here", or the largest class probability."""
        return -logits[:, 0] if self.exit_output == "blank" else logits.softmax(1).amax(1)

    def forward(self, x: Tensor, *, thresholds: Sequence[float] | None = None, return_exit: bool = False) -> Any:
        """See the class.

        Args:
            x: a batch.
            thresholds: of readiness per cut; the policy's by default.
            return_exit: give (outputs, (N,) index of the cut where each sample left, len(cuts) at the end) as well.

        Raises:
            RuntimeError: eval mode without a policy or thresholds: there is no silent default.
        """
        if self.training:
            return self.exit_logits(x)
        if thresholds is None:
            if self.policy is None:
                raise RuntimeError("no thresholds: calibrate_exits(model, loader, ...) first, or pass thresholds=")
            thresholds = self.policy.thresholds
        pieces = self.pieces()
        with evaluating(self), torch.no_grad():
            left = torch.full((len(x),), len(self.cuts), dtype=torch.long, device=x.device)
            rows = torch.arange(len(x), device=x.device)
            early: list[tuple[Tensor, Tensor]] = []
            for k, (piece, head) in enumerate(zip(pieces, self.heads)):
                x = piece(x)
                logits = head(x)
                leaving = self.readiness(logits) >= thresholds[k]
                left[rows[leaving]] = k
                if self.exit_output == "logits":
                    early.append((rows[leaving], logits[leaving]))
                rows, x = rows[~leaving], x[~leaving]
                if len(rows) == 0:
                    break
            last = self.segments.unflatten(pieces[-1](x)) if len(rows) else None
        outputs = self._gather(left, rows, last, early)
        return (outputs, left) if return_exit else outputs

    def _gather(self, left: Tensor, rows: Tensor, last: Any, early: list[tuple[Tensor, Tensor]]) -> Any:
        if self.exit_output == "logits":
            parts = [*early, *([(rows, last)] if last is not None else [])]
            out = parts[0][1].new_zeros(len(left), parts[0][1].shape[1])
            for where, values in parts:
                out[where] = values
            return out
        assert self.empty is not None
        found: list[Any] = [self.empty() for _ in range(len(left))]
        if last is not None:
            ready = self._finish(last)
            for row, item in zip(rows.tolist(), ready):
                found[row] = item
        return found

    def _finish(self, last: Any) -> list[Any]:
        """One answer a sample from the last piece's outputs."""
        finish: Any = getattr(self.model, "postprocess", None)
        return _unbatch(last) if finish is None else finish(last)

    def fingerprint(self) -> str:
        """A hash of the network and its heads, for policies."""
        return hash_model(self.model) + hash_model(self.heads)


def _unbatch(tree: Any) -> list[Any]:
    flat, spec = torch.utils._pytree.tree_flatten(tree)
    return [torch.utils._pytree.tree_unflatten([v[i] for v in flat], spec) for i in range(len(flat[0]))]


def attach_exits(
    model: nn.Module,
    cuts: Sequence[str],
    example: Tensor,
    head_factory: Callable[[int], nn.Module] | None = None,
    *,
    exit_output: str = "blank",
    outputs: int | None = None,
    empty_output: Callable[[], Any] | None = None,
) -> AdaptiveModel:
    """Put a head behind each named module.

    Args:
        model: any network that `torch.export` takes with a free batch size.
        cuts: names of modules, in order; no shortcut may pass a cut.
        example: an input batch.
        head_factory: channels -> head; an `ExitHead` (maps) or `VectorHead` (vectors) by default.
        exit_output: "blank" (leave with an empty answer) or "logits" (leave with the head's classes).
        outputs: classes of the heads, for "logits".
        empty_output: makes the answer of a blank frame (`model.no_detections` where the network has it).

    Raises:
        CutError: an unknown module, or several tensors cross a cut (named).
        InputError: no cuts, cuts out of order, missing outputs or empty_output.
    """
    if not cuts:
        raise InputError("cuts", given="none", expected="names of modules")
    if exit_output not in ("blank", "logits") or (exit_output == "logits" and not outputs):
        raise InputError(
            "attach_exits",
            given=f"exit_output={exit_output!r}, outputs={outputs}",
            expected="'blank', or 'logits' with outputs",
        )
    empty = empty_output or getattr(model, "no_detections", None)
    if exit_output == "blank" and empty is None:
        raise InputError("empty_output", given="nothing", expected="a function that makes the answer of an empty frame")
    segments = Segments(model, example)
    positions = [segments.position(c) for c in cuts]
    if positions != sorted(set(positions)):
        raise InputError("cuts", given=list(cuts), expected="different cuts in the order of the network")
    heads = []
    for position in positions:
        shape = segments.nodes[position - 1].meta["val"].shape
        channels, vector = int(shape[1]), len(shape) == 2
        count = outputs or 1
        default = VectorHead(channels, outputs=count) if vector else ExitHead(channels, outputs=count)
        heads.append(head_factory(channels) if head_factory is not None else default)
    return AdaptiveModel(model, cuts, heads, example, exit_output, empty).to(device_of(model))


class BlankSkipLoss(nn.Module):
    """detector's loss + weight * sum over exits of BCE(is anything here); frames marked undefined (-1) count for nothing.

    Args:
        weight: of the exits; pos_weight: of frames with an object.
    """

    def __init__(self, weight: float = 1.0, pos_weight: float = 1.0) -> None:
        super().__init__()
        self.weight, self.pos_weight = weight, pos_weight

    def forward(self, detector_loss: Tensor | float, exit_logits: dict[str, Tensor], occupied: Tensor) -> Tensor:
        """A scalar; `occupied` is (N,) 1, 0 or -1 (only boxes that don't count)."""
        defined = (occupied >= 0).float()
        total = torch.as_tensor(detector_loss, dtype=torch.float32)
        for logits in exit_logits.values():
            losses = F.binary_cross_entropy_with_logits(
                logits[:, 0], occupied.clamp_min(0).float(), reduction="none",
                pos_weight=torch.tensor(self.pos_weight, device=logits.device),
            )  # fmt: skip
            total = total + self.weight * (losses * defined).sum() / defined.sum().clamp_min(1)
        return total


@torch.no_grad()
def head_logits(model: AdaptiveModel, batches: Iterable[Tensor]) -> dict[str, Tensor]:
    """Every head's logits on every sample, by the whole network: computed once, swept for free."""
    rows: dict[str, list[Tensor]] = {c: [] for c in model.cuts}
    device = device_of(model)
    with evaluating(model):
        for x in batches:
            for c, z in model.exit_logits(x.to(device))[1].items():
                rows[c].append(z.cpu())
    return {c: torch.cat(v) for c, v in rows.items()}


def calibrate_exits(
    model: AdaptiveModel,
    batches: Iterable[Tensor],
    relevant: Tensor,
    *,
    max_false_skip: float | None = None,
    confidence: float = 0.95,
    harmful: dict[str, Tensor] | None = None,
    target_speedup: float | None = None,
    utility: tuple[float, float] | None = None,
    max_map_drop: float | None = None,
    metric: Callable[[Tensor], float] | None = None,
) -> ExitPolicy:
    """Thresholds for one goal; the model takes them at once.

    Only `max_false_skip` certifies a share chosen beforehand. The other goals pick a level on these data, and the policy's
    bounds are then wider ones that hold for every level.

    Args:
        model: with trained heads.
        batches: calibration inputs, never test data.
        relevant: (N,) bool, frames with an object (or, for classifiers, all that count).
        max_false_skip: alpha, the largest P(leave in harm | relevant) of each cut; 0.05 where no other goal is given.
        confidence: 1 - delta, shared by the cuts.
        harmful: cut -> (N,) whether leaving there harms (all relevant samples by default).
        target_speedup: the safest thresholds with so many times fewer MACs on these data.
        utility: (cost of a harmful exit, cost of a sample run to the end): the least expected cost.
        max_map_drop: the boldest thresholds whose `metric` falls by no more.
        metric: (N,) the cut where each sample leaves (len(cuts): at the end) -> mAP, or any number to keep high.

    Raises:
        CalibrationError: too few relevant samples; no sample of one kind; a goal that can't be reached.
        InputError: two goals at once; max_map_drop without metric.
    """
    goals = {"target_speedup": target_speedup, "utility": utility, "max_map_drop": max_map_drop}
    given = [k for k, v in ({"max_false_skip": max_false_skip} | goals).items() if v is not None]
    if len(given) > 1 or (max_map_drop is None) != (metric is None):
        raise InputError(
            "calibrate_exits", given=", ".join(given + ["metric"] * (metric is not None)) or "nothing",
            expected="one goal (max_map_drop together with metric)",
        )  # fmt: skip
    logits = head_logits(model, batches)
    ready = {c: model.readiness(logits[c]) for c in model.cuts}
    harm = {c: relevant if harmful is None else harmful[c] for c in model.cuts}
    if len(relevant) != len(ready[model.cuts[0]]):
        raise InputError(
            "relevant", given=f"{len(relevant)} flags", expected=f"{len(ready[model.cuts[0]])}, as samples"
        )
    if given in ([], ["max_false_skip"]):
        alpha = 0.05 if max_false_skip is None else max_false_skip
        share = 1 - (1 - confidence) / len(model.cuts)
        found = [certify(ready[c], relevant, harm[c], max_harm=alpha, confidence=share) for c in model.cuts]
        thresholds, bounds = tuple(f[0] for f in found), tuple(f[2] for f in found)
        events = tuple(f[1] for f in found)
    else:
        levels = Levels(
            torch.stack([ready[c] for c in model.cuts], 1), relevant.bool(),
            torch.stack([harm[c].bool() for c in model.cuts], 1), path_macs(model),
        )  # fmt: skip
        if target_speedup is not None:
            level = levels.for_speedup(target_speedup, model.segments.macs)
        elif utility is not None:
            level = levels.for_utility(*utility)
        else:
            assert metric is not None
            assert max_map_drop is not None
            level = levels.for_metric(metric, max_map_drop)
        thresholds = levels.thresholds(level)
        events = tuple(levels.harms(levels.left(thresholds)))
        bounds = levels.bounds(events, confidence)
        alpha = max(bounds)
    model.policy = ExitPolicy(
        model.cuts, thresholds, alpha, confidence, int(relevant.sum()), events, bounds, model.fingerprint(),
        goal=given[0] if given else "max_false_skip",
    )  # fmt: skip
    return model.policy


def path_macs(model: AdaptiveModel) -> tuple[int, ...]:
    """MACs of leaving at each cut and of running to the end, with every head that is asked on the way."""
    segments = model.segments
    edges = [0, *(segments.position(c) for c in model.cuts), len(segments.nodes)]
    total, paths = 0, []
    for k, head in enumerate(model.heads):
        total += sum(x.macs for x in segments.between(edges[k], edges[k + 1]))
        total += sum(x.macs for x in layers(head, _map_like(segments, edges[k + 1])))
        paths.append(total)
    paths.append(total + sum(x.macs for x in segments.between(edges[-2], edges[-1])))
    return tuple(paths)


def _map_like(segments: Segments, position: int) -> Tensor:
    value = segments.nodes[position - 1].meta["val"]
    return torch.zeros(2, *(int(s) for s in value.shape[1:]), device=value.device)


def expected_cost(
    model: AdaptiveModel, left: Tensor, target: TargetProfile | None = None, harmful: Tensor | None = None
) -> ExitCost:
    """From where samples left (`return_exit=True`): E[C] = sum over ways of MACs times share.

    Args:
        model: the network.
        left: (N,) index of the cut of each sample.
        target: also estimate seconds on it.
        harmful: (N,) samples that shouldn't have left: they count as if they had run to the end (a miss is no saving).
    """
    paths = path_macs(model)
    if harmful is not None:
        left = torch.where(harmful.to(left.device), len(model.cuts), left)
    shares = torch.bincount(left.cpu(), minlength=len(paths)).double() / max(len(left), 1)
    macs = expected_macs(paths, shares.tolist())
    seconds = None
    if target is not None:
        seconds = _seconds(model, shares.tolist(), target)
    return ExitCost(tuple(shares.tolist()), paths, macs, paths[-1], model.segments.macs, seconds)


def _seconds(model: AdaptiveModel, shares: list[float], target: TargetProfile) -> tuple[float, float]:
    segments = model.segments
    edges = [0, *(segments.position(c) for c in model.cuts), len(segments.nodes)]
    whole = segments.between(0, edges[-1])
    timed = dict(zip((id(x) for x in whole), (t for _, t, _ in target.estimate(whole).by_layer)))
    total, expected = target.fixed_s, 0.0
    for k, head in enumerate(model.heads):
        total += sum(timed[id(x)] for x in segments.between(edges[k], edges[k + 1]))
        total += target.estimate(layers(head, _map_like(segments, edges[k + 1]))).seconds - target.fixed_s
        expected += shares[k] * total
    total += sum(timed[id(x)] for x in segments.between(edges[-2], edges[-1]))
    return expected + shares[-1] * total, target.estimate(whole).seconds
