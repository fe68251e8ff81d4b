"""What every detector of attacked inputs shares: fitted on clean inputs, calibrated on others, alarms at a set rate."""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from deepwright.adversarial.semantic.watching import Seen, Watch
from deepwright.core.devices import back_to, device_of
from deepwright.core.errors import InputError, NotCalibratedError, NotFittedError
from deepwright.core.identity import digest
from deepwright.core.inference import evaluating, fast_layout
from deepwright.core.requirements import numbers, require_finite, require_within
from deepwright.core.statistics import Interval, conformal_alarm_rate
from deepwright.ood.detector import EXTRA_STATE, Detector

if TYPE_CHECKING:
    from deepwright.core.tasks import Task

_PIECE = 256  # inputs of one pass where they come in one tensor
_SAME = 0.02  # share of calibration frames that may be frames of the fit (a copy or two is no leak)
_BEYOND = 0.25  # of the range at fit, by which inputs may leave it

Inputs = Tensor | Iterable[Any]
"""Inputs in one tensor (N, ...), or batches: tensors, or tuples that begin with one."""


class InputDetector(Detector):
    """Base of the detectors that look at inputs of a bound network: larger scores are more suspicious.

    A subclass says which scores it gives (`parts`), learns from passes in `begin_fit`, `learn` and `end_fit`, and
    scores a pass in `_parts`. Alarms are split-conformal: a clean input that is exchangeable with those of `calibrate`
    alarms with a probability of at most 1 - tpr, whatever the scores; several scores share that level (Bonferroni).

    A state dict knows the network that it was fitted beside; another is refused.
    """

    needs = frozenset({"inputs"})
    exports = False
    calibration_: Tensor
    thresholds_: Tensor
    alpha_: Tensor

    @property
    def parts(self) -> tuple[str, ...]:
        """The names of its scores."""
        return (self.name,)

    def bind(self, model: nn.Module, layers: str | Sequence[str] = "auto", task: Task | None = None) -> Self:
        """Say which network it stands beside.

        Args:
            model: left as found. Weights that change after the fit are noticed at the next call, and refused.
            layers: which maps are looked at; see `Watch`.
            task: what outputs mean; see `Watch`.

        Raises:
            InputError: the detector was fitted beside a network of other weights.
        """
        watch = Watch(model, layers, task)
        self._require_same_network(model)
        self._network = [(model, layers, task), watch]
        return self

    def stand_beside(self, other: InputDetector) -> None:
        """Look at the network as another detector does.

        Args:
            other: which is bound to it.
        """
        self._network = list(other._network)

    @property
    def watch(self) -> Watch:
        """How it looks at the network.

        Raises:
            InputError: there is none.
        """
        if not self._network:
            raise InputError(self.name, given="no network", expected="one", hint="call bind(model) first")
        return self._network[1]

    def unbound(self) -> Self:
        """A copy of what was learnt and of the thresholds, without the network."""
        inner = [m for m in self.modules() if isinstance(m, InputDetector)]
        networks = [m._network for m in inner]
        try:
            for each in inner:
                each._network = []
            return copy.deepcopy(self)
        finally:
            for each, network in zip(inner, networks):
                each._network = network

    def fit(self, acts: Any) -> Self:
        """Learn from clean inputs, batch after batch; nothing but what is learnt is kept of them.

        Args:
            acts: inputs (N, ...) or batches of them, labels beside them aren't looked at.

        Raises:
            InputError: no network, inputs that aren't finite, of several sizes.
        """
        self._buffers.pop("fitted_", None)
        self.begin_fit()
        marks: list[np.ndarray] = []
        low, high, shape = torch.inf, -torch.inf, None
        for seen, x in self._passes(acts):
            if not bool(torch.isfinite(x).all()):
                raise InputError("inputs to fit on", given="NaN or infinity", expected="finite numbers")
            if shape is not None and shape != tuple(x.shape[1:]):
                raise InputError("inputs to fit on", given=f"{shape} and {tuple(x.shape[1:])}", expected="one size")
            shape, low, high = tuple(x.shape[1:]), min(low, float(x.min())), max(high, float(x.max()))
            marks.append(_marks(x))
            self.learn(seen)
        if shape is None:
            raise InputError("inputs to fit on", given="0 samples", expected="at least one")
        self.end_fit()
        place = device_of(self.watch.model)
        self.remember(
            fitted_=torch.ones((), dtype=torch.bool, device=place),
            shape_=torch.tensor(shape, device=place),
            range_=torch.tensor([low, high], dtype=torch.float64, device=place),
            marks_=torch.from_numpy(np.unique(np.concatenate(marks))).to(place),
            network_=_network_mark(self.watch.model).to(place),
        )
        return self

    def score(self, acts_or_x: Any) -> Float[Tensor, " n"]:
        """One score an input, where the inputs are; infinite where the network's numbers aren't finite.

        Args:
            acts_or_x: inputs (N, ...), or batches of them.
        """
        return self._single(self.part_scores(acts_or_x))

    def part_scores(self, x: Inputs) -> Float[Tensor, "n m"]:
        """All scores of inputs, in the order of `parts`, where the inputs are; float64.

        Args:
            x: inputs (N, ...), or batches of them.

        Raises:
            InputError: another size or range of numbers than at fit; no inputs.
        """
        self._require_ready()
        found = []
        for seen, batch in self._passes(x, alike=True):
            found.append(back_to(_counted(self._parts(seen)), batch))
        if not found:
            raise InputError("inputs", given="0 samples", expected="at least one")
        return torch.cat(found)

    def graph_parts(self, seen: Seen) -> Float[Tensor, "n m"]:
        """The scores of a pass as a differentiable function of its inputs, nothing checked.

        Args:
            seen: of `watch`, with gradients on.
        """
        return self._parts(seen)

    def calibrate(self, id_scores: Any, tpr: float = 0.95) -> Self:
        """Set the thresholds with clean inputs that were not fitted on.

        Args:
            id_scores: those inputs (N, ...), batches of them; or their scores (n,), where there is one score.
            tpr: the share of clean inputs that must not alarm: 1 - the rate of false alarms.

        Raises:
            InputError: inputs that were fitted on; too few for the rate (it says how many are missing).
        """
        require_within(0.0, 1.0, ends="()", tpr=tpr)
        return self.calibrate_on(self._held_out(id_scores), tpr)

    def calibrate_on(self, parts: Float[Tensor, "n m"], tpr: float = 0.95) -> Self:
        """`calibrate` with scores that are there already; whether their inputs were fitted on isn't looked at.

        Args:
            parts: all scores of clean inputs, as `part_scores` gives them.
            tpr: the share of them that must not alarm.

        Raises:
            InputError: too few.
        """
        require_within(0.0, 1.0, ends="()", tpr=tpr)
        require_finite(parts, "calibration scores")
        if parts.shape[1] != len(self.parts):
            raise InputError("calibration scores", given=f"{parts.shape[1]} columns", expected=f"{len(self.parts)}")
        self._learn_thresholds(parts.detach().double(), 1 - tpr)
        return self

    def pvalues(self, x: Inputs) -> Float[Tensor, " n"]:
        """p = (1 + #{clean scores >= its score}) / (n + 1), times the number of scores for the smallest of several.

        Args:
            x: inputs (N, ...), or batches of them.
        """
        self._require_calibrated()
        return conformal(self.calibration_, self.part_scores(x))

    def predict(self, acts_or_x: Any) -> Bool[Tensor, " n"]:
        """True = attacked: some score is above its threshold.

        Args:
            acts_or_x: inputs (N, ...), or batches of them.
        """
        self._require_calibrated()
        return self.alarms(self.part_scores(acts_or_x))

    def alarms(self, parts: Float[Tensor, "n m"]) -> Bool[Tensor, " n"]:
        """Which scores alarm.

        Args:
            parts: as `part_scores` or `graph_parts` gives them; NaN alarms.
        """
        return ~(parts.double() <= self.thresholds_.to(parts.device)).all(1)

    def nearness(self, parts: Float[Tensor, "n m"]) -> Float[Tensor, " n"]:
        """How near to an alarm: 0 in the middle of clean inputs, above 1 where it alarms; differentiable.

        Args:
            parts: as `part_scores` or `graph_parts` gives them.
        """
        return scaled(parts, self.calibration_, self.thresholds_).amax(1)

    @property
    def false_alarms(self) -> Interval:
        """The rate of false alarms that calibration promises: its mean over calibration sets, and where that of one set
        lies with 95 %."""
        self._require_calibrated()
        n, m = self.calibration_.shape
        one = conformal_alarm_rate(n, float(self.alpha_) / m)
        return one if m == 1 else Interval(float(self.alpha_), 0.0, min(1.0, one.high * m))

    def begin_fit(self) -> None:
        """Before the first pass of a fit."""

    def learn(self, seen: Seen) -> None:
        """One pass of a fit.

        Args:
            seen: what it left behind.
        """

    def end_fit(self) -> None:
        """After the last pass of a fit."""

    def _parts(self, seen: Seen) -> Float[Tensor, "n m"]:
        raise NotImplementedError

    def _single(self, parts: Tensor) -> Tensor:
        """One score of several."""
        return parts[:, 0]

    def _learn_thresholds(self, parts: Float[Tensor, "n m"], alpha: float) -> None:
        n, m = parts.shape
        allowed = int(alpha * (n + 1) / m + 1e-9) - 1  # clean scores that may be as high: m (1 + #) <= alpha (n + 1)
        if allowed < 0:
            needed = frames_needed(m, alpha)
            expected = f"at least {needed} for {m} score{'s' * (m > 1)} at a rate of {alpha:.3g}"
            hint = f"{needed - n} more, a higher rate, or fewer scores"
            raise InputError("calibration frames", given=n, expected=expected, hint=hint)
        ordered = parts.sort(0).values
        self.remember(
            calibration_=ordered,
            thresholds_=ordered[n - 1 - allowed],
            alpha_=torch.tensor(alpha, dtype=torch.float64, device=ordered.device),
        )

    def _held_out(self, given: Any) -> Float[Tensor, "n m"]:
        """Scores of clean inputs beside what was learnt; refused where they were fitted on."""
        place = device_of(self.watch.model) if self._network else torch.device("cpu")
        if isinstance(given, Tensor) and given.ndim == 1:
            if len(self.parts) > 1:
                hint = "detector.calibrate(clean_inputs)"
                raise InputError("calibration", given="one score a sample", expected="clean inputs", hint=hint)
            return _counted(numbers(given, "id_scores").double()[:, None]).to(place)
        batches = list(_batches(given))
        marks = np.concatenate([_marks(x) for x in batches]) if batches else np.zeros(0, np.int64)
        known = self._buffers.get("marks_")
        same = 0.0 if known is None or not len(marks) else float(np.isin(marks, known.cpu().numpy()).mean())
        if same > _SAME:
            raise InputError(
                "calibration frames",
                given=f"{same:.0%} of them were fitted on",
                expected="clean frames that the fit never saw: its own score too low, and others would alarm too often",
            )
        return self.part_scores(batches).to(place)

    def _passes(self, given: Inputs, alike: bool = False) -> Iterator[tuple[Seen, Tensor]]:
        watch = self.watch
        with torch.no_grad(), evaluating(watch.model), fast_layout(watch.model):
            for x in _batches(given):
                if alike:
                    self._require_alike(x)
                yield watch(x), x

    def _require_ready(self) -> None:
        if self.trainable and not self._has("fitted_"):
            raise NotFittedError(self.name)
        if self._network:
            now = _versions(self.watch.model)
            if self._network[2:] != [now]:
                self._require_same_network(self.watch.model)
                self._network[2:] = [now]

    def _require_calibrated(self) -> None:
        if not self._has("thresholds_"):
            raise NotCalibratedError(self.name)

    def _require_alike(self, x: Tensor) -> None:
        """Refuse inputs that were resized or normalised otherwise than at fit."""
        if not self._has("shape_"):
            return
        shape = tuple(self.get_buffer("shape_").tolist())
        if tuple(x.shape[1:]) != shape:
            raise InputError("inputs", given=f"size {tuple(x.shape[1:])}", expected=f"{shape}, as at fit")
        low, high = self.get_buffer("range_").tolist()
        finite = x[torch.isfinite(x)]
        if not finite.numel():
            return
        least, most = float(finite.min()), float(finite.max())
        slack = _BEYOND * max(high - low, 1e-6)
        if least < low - slack or most > high + slack:
            given, expected = f"range {least:.4g}..{most:.4g}", f"about {low:.4g}..{high:.4g}, as at fit"
            raise InputError("inputs", given=given, expected=expected, hint="preprocess them as at fit")

    def _require_same_network(self, model: nn.Module) -> None:
        known = self._buffers.get("network_")
        if known is not None and not torch.equal(known.cpu(), _network_mark(model)):
            raise InputError(
                f"{self.name}.bind", given="a network of other weights", expected="the one that it was fitted beside"
            )

    def get_extra_state(self) -> Any:
        """Whose state it is, as a tensor of the bytes of its JSON: a safetensors file holds nothing else."""
        text = json.dumps(super().get_extra_state(), sort_keys=True)
        return torch.frombuffer(bytearray(text.encode()), dtype=torch.uint8).clone()

    def _load_from_state_dict(self, state_dict: Any, prefix: str, *rest: Any) -> None:
        own = state_dict.get(prefix + EXTRA_STATE)
        if isinstance(own, Tensor):
            state_dict = {**state_dict, prefix + EXTRA_STATE: _decoded(own)}
        super()._load_from_state_dict(state_dict, prefix, *rest)
        del self._network[2:]  # whose state this is, is asked at the next use


def _decoded(state: Tensor) -> Any:
    """A class and its options; lists were tuples."""
    try:
        found = json.loads(bytes(state.cpu().tolist()))
        options = {k: tuple(v) if isinstance(v, list) else v for k, v in found["options"].items()}
        return {"detector": found["detector"], "options": options}
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def frames_needed(m: int, alpha: float) -> int:
    """The least number of clean frames on which m scores can be calibrated: ceil(m / alpha) - 1.

    Args:
        m: scores.
        alpha: rate of false alarms.
    """
    needed = int(m / alpha - 1e-9)
    while int(alpha * (needed + 1) / m + 1e-9) < 1:
        needed += 1
    return needed


def scaled(
    parts: Float[Tensor, "n m"], calibration: Float[Tensor, "k m"], thresholds: Float[Tensor, " m"]
) -> Float[Tensor, "n m"]:
    """(s - median) / (threshold - median): 0 in the middle of clean scores, 1 where they alarm; differentiable.

    Args:
        parts: scores.
        calibration: clean scores, each column sorted.
        thresholds: of each.
    """
    middle = calibration[len(calibration) // 2].to(parts.device)
    return (parts - middle) / (thresholds.to(parts.device) - middle).clamp_min(1e-12)


def spread(rows: Float[Tensor, "n d"], most: int) -> Float[Tensor, "k d"]:
    """At most so many rows, evenly over all of them: the first ones of a folder may be of one class.

    Args:
        rows: of a fit, in their order.
        most: how many.
    """
    if len(rows) <= most:
        return rows
    return rows[torch.linspace(0, len(rows) - 1, most, dtype=torch.float64, device=rows.device).round().long()]


def conformal(calibration: Float[Tensor, "n m"], parts: Float[Tensor, "k m"]) -> Float[Tensor, " k"]:
    """The smallest of m p-values, times m, at most 1; float64.

    Args:
        calibration: clean scores, each column sorted.
        parts: scores.
    """
    n, m = calibration.shape
    ordered = calibration.to(parts.device).T.contiguous()
    at_least = n - torch.searchsorted(ordered, parts.double().T.contiguous(), right=False)
    return ((1 + at_least).double() * m / (n + 1)).amin(0).clamp_max(1.0)


def _counted(parts: Tensor) -> Tensor:
    """Scores in float64; what is no number is as suspicious as can be."""
    return parts.detach().double().nan_to_num(torch.inf, torch.inf, -torch.inf)


def _batches(given: Inputs) -> Iterator[Tensor]:
    for batch in given.split(_PIECE) if isinstance(given, Tensor) else given:
        x = batch[0] if isinstance(batch, list | tuple) and len(batch) else batch
        if not isinstance(x, Tensor) or x.ndim < 2 or not x.is_floating_point():
            told = f"{x.dtype} of shape {tuple(x.shape)}" if isinstance(x, Tensor) else type(x).__name__
            raise InputError("inputs", given=told, expected="floats (N, ...)", hint="x.float() / 255 for 8-bit images")
        if len(x):
            yield x


def _marks(x: Tensor) -> np.ndarray:
    """(N,) of each input, 64 bits of a hash of its content."""
    rows = x.detach().cpu().float().contiguous().flatten(1).numpy()
    return np.array(
        [int.from_bytes(hashlib.blake2b(r.tobytes(), digest_size=8).digest(), "little", signed=True) for r in rows]
    )


def _versions(model: nn.Module) -> list[tuple[int, int]]:
    """What changes when a weight is written to or replaced."""
    weights = [*model.parameters(), *model.buffers()]
    return [(id(t), 0 if t.is_inference() else t._version) for t in weights]


def _network_mark(model: nn.Module) -> Tensor:
    """Bytes of a hash of a network's weights, wherever they are."""
    weights = {name: t.detach().cpu() for name, t in model.state_dict().items() if isinstance(t, Tensor)}
    return torch.frombuffer(bytearray(hashlib.sha256(str(digest(weights)).encode()).digest()), dtype=torch.uint8)
