"""Every entity's windows, attacked once, and what the attack does to its forecasts: what all regimes share."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from deepwright.core.devices import device_of
from deepwright.core.errors import InputError
from deepwright.core.inference import evaluating
from deepwright.core.progress import bar
from deepwright.core.resume import Resume
from deepwright.ood.roast.classes import class_risk, importance
from deepwright.ood.roast.severity import MEASURES, RiskProfile, SeverityMatrix, risk_profile, roughness

_BATCH = 4096
_FEWEST = 4
Attack = Callable[..., Any]


@dataclass(frozen=True)
class Part:
    """Windows of one entity in one part of time, as they are and attacked.

    Attributes:
        x: windows.
        attacked: the same, attacked.
        y: what came.
        forecast: of `attacked`; of a classifier its logits.
        benign_forecast: of `x`.
        event: of each window.
    """

    x: Float[Tensor, "n steps channels"]
    attacked: Float[Tensor, "n steps channels"]
    y: Float[Tensor, "n horizon"]
    forecast: Float[Tensor, "n outputs"]
    benign_forecast: Float[Tensor, "n outputs"]
    event: Tensor

    @property
    def differs(self) -> Tensor:
        """Whether the attack changed anything in each window."""
        return (self.x != self.attacked).flatten(1).any(1)


@dataclass(frozen=True)
class Cohort:
    """Entities by name.

    Attributes:
        train: the earlier part of each.
        test: the later part of each, which shares no row with it.
        left_out: entity -> why nothing is said of it.
        seconds: what the attacks took.
    """

    train: dict[Any, Part]
    test: dict[Any, Part]
    left_out: dict[Any, str] = field(default_factory=dict)
    seconds: float = 0.0

    def profiles(self, severity: SeverityMatrix, measure: str = "severity") -> dict[Any, RiskProfile]:
        """Each entity's risk on its earlier part: the later one is for measuring.

        Args:
            severity: of mistaking states.
            measure: of `severity.MEASURES`, or "roughness".

        Raises:
            InputError: another measure.
        """
        if measure == "roughness":
            return {name: roughness(part.y, part.benign_forecast) for name, part in self.train.items()}
        if measure not in MEASURES:
            expected = " or ".join(map(repr, (*MEASURES, "roughness")))
            raise InputError("measure", given=repr(measure), expected=expected)
        return {
            name: risk_profile(part.y, part.forecast, severity, measure, part.event)
            for name, part in self.train.items()
        }

    def class_profiles(self, weights: Tensor | None = None) -> dict[Any, RiskProfile]:
        """Each entity's risk on its earlier part, where the network gives logits of classes.

        Args:
            weights: of the channels; `importance` of what the network says of everybody under attack by default.

        Raises:
            InputError: outputs of one column, one class for all windows.
        """
        parts = self.train.values()
        if any(part.forecast.ndim != 2 or part.forecast.shape[1] < 2 for part in parts):
            shape = tuple(next(iter(parts)).forecast.shape)
            raise InputError("outputs", given=f"shape {shape}", expected="logits (N, classes) of two or more")
        if weights is None:
            said = torch.cat([part.forecast.argmax(1) for part in parts])
            weights = importance(torch.cat([part.x for part in parts]), said)
        return {
            name: class_risk(part.x, part.attacked, part.benign_forecast.argmax(1), part.forecast.argmax(1), weights)
            for name, part in self.train.items()
        }


def attack_cohort(
    model: nn.Module,
    attack: Attack,
    streams: Mapping[Any, Any],
    *,
    cut: float = 0.75,
    checkpoint: Any = None,
) -> Cohort:
    """Attack all windows of all entities, in batches of one entity each.

    Args:
        model: windows -> forecasts (N, horizon).
        attack: (model, x, y) -> attacked x, or an object with `x_adv`.
        streams: entity -> `data.Windows`.
        cut: share of an entity's windows in the earlier part.
        checkpoint: a file that keeps what was attacked, entity by entity; other data, model or attack are refused.

    Raises:
        InputError: fewer than four entities with windows, numbers that aren't finite, an attack that gives another
            shape.
    """
    parts = {name: _cut(windows, cut) for name, windows in streams.items()}
    early, late = ({name: pair[i] for name, pair in parts.items()} for i in (0, 1))
    return attack_parts(model, attack, early, late, checkpoint=checkpoint)


def attack_parts(
    model: nn.Module,
    attack: Attack,
    early: Mapping[Any, Any],
    late: Mapping[Any, Any],
    *,
    checkpoint: Any = None,
) -> Cohort:
    """The same for windows that are cut in time already.

    Args:
        model: windows -> forecasts (N, horizon).
        attack: (model, x, y) -> attacked x, or an object with `x_adv`.
        early: entity -> `data.Windows` that are learned from.
        late: entity -> those that are measured on.
        checkpoint: see `attack_cohort`.

    Raises:
        InputError: see `attack_cohort`.
    """
    begin = time.perf_counter()
    if len({str(name) for name in early}) < len(early):
        raise InputError("entities", given="two names that read alike, as 1 and '1'", expected="different names")
    left_out = _unusable(early, late)
    names = [name for name in early if name not in left_out]
    if len(names) < _FEWEST:
        reasons = "; ".join(f"{name!r}: {why}" for name, why in list(left_out.items())[:3])
        given = f"{len(names)} entities with windows" + (f" ({reasons})" if reasons else "")
        raise InputError("streams", given=given, expected=f"{_FEWEST} or more")
    parts_of = [(str(n), part[n]) for n in names for part in (early, late)]
    data = [(n, part.x, part.y, part.event) for n, part in parts_of]
    made_from = {"data": data, "attack": attack, "model": model}
    with (
        Resume(checkpoint, made_from, kind="attack on entities") as kept,
        bar("attack entities", len(names)) as running,
    ):
        done: dict[str, dict[str, Any]] = dict(kept.load() or {})
        for name in names:
            if str(name) not in done:
                parts = (("train", early[name]), ("test", late[name]))
                done[str(name)] = {part: _attacked(model, attack, windows, name) for part, windows in parts}
                kept.save(done)
            running.advance(1, str(name))
        kept.finish(done)
    train, test = ({name: Part(**done[str(name)][part]) for name in names} for part in ("train", "test"))
    return Cohort(train, test, left_out, time.perf_counter() - begin)


def _cut(windows: Any, share: float) -> tuple[Any, Any]:
    return windows.cut(share) if len(windows) else (windows, windows)


def _unusable(early: Mapping[Any, Any], late: Mapping[Any, Any]) -> dict[Any, str]:
    """Entity -> why nothing can be said of it."""
    left_out = {}
    for name, windows in early.items():
        for part in (windows, late[name]) if name in late else (windows,):
            if not bool(torch.isfinite(part.x).all() & torch.isfinite(part.y).all()):
                given, hint = "missing or infinite values", "fill them: `data.Stream.filled`"
                raise InputError(f"windows of {name!r}", given=given, expected="numbers", hint=hint)
        if not len(windows) or name not in late or not len(late[name]):
            left_out[name] = "no windows in one of its parts"
        elif bool((windows.x == windows.x[:1, :1]).all()):
            left_out[name] = "a stream that never moves"
    return left_out


def _attacked(model: nn.Module, attack: Attack, windows: Any, name: Any) -> dict[str, Tensor]:
    found = []
    for x, y in zip(windows.x.split(_BATCH), windows.y.split(_BATCH)):
        answer = attack(model, x, y)
        moved = getattr(answer, "x_adv", answer)
        if not isinstance(moved, Tensor) or moved.shape != x.shape or not bool(torch.isfinite(moved).all()):
            given = f"shape {tuple(moved.shape)}" if isinstance(moved, Tensor) else type(moved).__name__
            raise InputError(f"attack on {name!r}", given=given, expected=f"finite windows of shape {tuple(x.shape)}")
        found.append(moved.detach())
    moved = torch.cat(found)
    return {
        "x": windows.x.clone(),
        "attacked": moved,
        "y": windows.y.clone(),
        "forecast": _forecast(model, moved),
        "benign_forecast": _forecast(model, windows.x),
        "event": windows.event.clone(),
    }


def _forecast(model: nn.Module, x: Tensor) -> Tensor:
    """What the model says where it lives, and where the windows are."""
    place = device_of(model)
    with torch.no_grad(), evaluating(model):
        out = torch.cat([model(part.to(place)).reshape(len(part), -1).to(x.device) for part in x.split(_BATCH)])
    if not bool(torch.isfinite(out).all()):
        raise InputError("forecasts", given="missing or infinite values", expected="finite numbers")
    return out
