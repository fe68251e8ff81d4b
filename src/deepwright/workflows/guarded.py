"""A network with a detector and its threshold beside it, as one module that goes where the network goes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Bool, Float, Shaped
from torch import Tensor, nn

from deepwright.core.copies import copied
from deepwright.core.devices import device_of
from deepwright.core.errors import InputError, unknown_name
from deepwright.core.features import Activations, extract
from deepwright.core.inference import read_outputs
from deepwright.core.requirements import require_network, require_within
from deepwright.core.statistics import Interval, clopper_pearson
from deepwright.core.tasks import Binary, Task
from deepwright.core.tracing import observed
from deepwright.data import stratified_order
from deepwright.nets import as_network
from deepwright.nets.texts import Tokenized
from deepwright.ood import ALL, BBAS, Detector, conformal_threshold
from deepwright.workflows.guarded_files import GuardFiles, write_guard

EXPORTED = tuple(cls for cls in ALL if cls.exports)
_KEPT = 32  # inputs on which files are compared
_TRAINED_ON = (
    "cut from the training samples: the network has seen them, so new samples may be accepted less often than this "
    "says; give validation samples that it was never trained on"
)


class Guarded(nn.Module):
    """A network that says with each output how foreign the input is, and whether it is too foreign.

    It keeps copies in eval mode: training the network on changes nothing here.

    Args:
        network: gives (N, classes) logits, or what `task` reads them from.
        detector: fitted on that network, with a threshold.
        layers: as the detector's activations were extracted; see `core.taps.Tap`.
        task: see `core.features.extract`.
        facts: what the threshold was calibrated on, for the JSON.
        inputs: (n, ...) real inputs, on which files are compared.

    Attributes:
        threshold: the largest score of an input that isn't foreign.
        facts: as given.

    Raises:
        InputError: a detector that can't be exported (which can is said), or without threshold.
    """

    threshold: Tensor

    def __init__(
        self,
        network: nn.Module,
        detector: Detector,
        layers: str | Sequence[str] = "auto",
        task: Task | None = None,
        *,
        facts: dict[str, Any] | None = None,
        inputs: Tensor | None = None,
    ) -> None:
        super().__init__()
        network = as_network(network).network
        require_network(network, "network")
        require_exported(detector)
        threshold = dict(detector.named_buffers()).get("threshold_")
        if threshold is None:
            hint = "detector.calibrate(scores of held-out data), or guard(model, train)"
            raise InputError("detector", given=f"{detector.name} without a threshold", hint=hint)
        self.network = copied(network).eval().requires_grad_(False)
        self.detector = _copied(detector).to(device_of(network)).eval()
        self.register_buffer("threshold", threshold.detach().clone().to(device_of(network)))
        self.layers, self.task = layers, task
        self.facts = dict(facts or {})
        self._inputs = inputs

    def forward(self, x: Shaped[Tensor, "n ..."]) -> tuple[Tensor, Float[Tensor, " n"], Bool[Tensor, " n"]]:
        """The network's output (its class logits where it gives more than one tensor), scores, and what is foreign.

        An input with NaN or infinity is foreign, and so is one whose score isn't a number.

        Args:
            x: (N, ...) inputs as the network takes them: floats, or token ids.
        """
        out, acts = observed(self.network, x, self.layers, self.task)
        score = self.detector.graph_score(acts)
        known = score.double() <= self.threshold
        if x.is_floating_point():  # token ids are finite, and ONNX doesn't ask whole numbers
            known = torch.logical_and(known, torch.isfinite(x).flatten(1).all(1))
        foreign = torch.logical_not(known)
        return (out if isinstance(out, Tensor) else acts.logits), score, foreign

    def train(self, mode: bool = True) -> Guarded:
        """It stays in eval mode: scores of another mode mean nothing.

        Args:
            mode: not looked at.
        """
        return super().train(False)

    def save(self, folder: Path | str) -> GuardFiles:
        """One `.pt2`, one `.onnx` (both with a free batch size) and a JSON; both files are run and compared first.

        Args:
            folder: of the files.

        Raises:
            InputError: a guard without inputs to compare on.
            MissingExtraError: onnx, onnxscript or onnxruntime isn't installed.
            ExportError: the network can't be exported.
            MismatchError: a file computes something else than the module; nothing is written.
        """
        if self._inputs is None or len(self._inputs) < 2:
            raise InputError("inputs", given="none to compare files on", expected="two real inputs or more")
        return write_guard(self, self._inputs, self.facts, folder)


def guard_network(
    model: nn.Module,
    train: Iterable[Any],
    detector: Detector | str | None = None,
    tpr: float = 0.95,
    validation: Iterable[Any] | None = None,
    *,
    test: Iterable[Any] | None = None,
    layers: str | Sequence[str] = "auto",
    task: Task | None = None,
) -> Guarded:
    """A network that says when an input is foreign to it.

    The detector is fitted on `train`, and its threshold accepts a new sample like those of `validation` with a
    probability of at least `tpr` (split conformal prediction). How often it accepts is then measured on samples that
    neither of them used: `test`, or half of `validation`. Without `validation` two fifths of `train` take its part,
    which the network has seen; `facts` then says so.

    Args:
        model: gives (N, classes) logits, or what `task` reads them from; left as found.
        train: batches of (inputs, labels).
        detector: of `deepwright.ood`, fitted anew, or its name; `BBAS()` by default.
        tpr: the share of in-distribution inputs to accept.
        validation: batches of inputs, or (inputs, labels), on which the network wasn't trained.
        test: more of them, beside `validation`.
        layers: see `core.taps.Tap`.
        task: see `core.features.extract`.

    Raises:
        InputError: a detector that can't be exported, too few held-out samples, scores that tell nothing apart.
    """
    model = as_network(model).network
    require_network(model)
    if any(isinstance(part, Tokenized) for part in model.modules()):
        expected = "the network behind it: no file holds a tokenizer"
        hint = "dw.guard(model.network, batches of (model.encode(texts), labels)), all of one length"
        raise InputError("a guard", given="a network with its tokenizer", expected=expected, hint=hint)
    require_within(0.0, 1.0, ends="()", tpr=tpr)
    chosen = _fresh(detector)
    task, train = (task, train) if task is not None else _told(model, train)
    if test is not None and validation is None:
        raise InputError("test", given="without validation", expected="validation too, which sets the threshold")
    kept: list[Tensor] = []
    known = _extracted(model, train, layers, task, kept)
    fitting, calibrating, measuring = known, known, known
    source, note = "validation samples", ""
    if validation is None:
        order = stratified_order(known.logits.argmax(1) if known.labels is None else known.labels, 0)
        fifth = len(order) // 5
        calibrating, measuring, fitting = (
            known[order[:fifth]],
            known[order[fifth : 2 * fifth]],
            known[order[2 * fifth :]],
        )
        source, note = "training samples held out from the detector", _TRAINED_ON
    else:
        kept.clear()
        calibrating = _extracted(model, validation, layers, task, kept)
        if test is None:
            rows = stratified_order(torch.zeros(len(calibrating), dtype=torch.long), 0)
            half = len(rows) // 2
            calibrating, measuring = calibrating[rows[:half]], calibrating[rows[half:]]
        else:
            measuring = _extracted(model, test, layers, task, [])
    chosen.fit(fitting)
    threshold = conformal_threshold(chosen.score(calibrating), tpr)
    chosen.remember(threshold_=torch.tensor(threshold, dtype=torch.float64))
    if not len(measuring):
        raise InputError("held-out samples", given=len(calibrating), expected="some to measure acceptance on too")
    accepted = ~chosen.predict(measuring)
    facts = {
        "detector": chosen.name,
        "options": {name: repr(value) for name, value in chosen.options.items()},
        "threshold": threshold,
        "tpr": tpr,
        "fitted_on": len(fitting),
        "calibrated_on": f"{len(calibrating)} {source}",
        "accepted": _share(clopper_pearson(int(accepted.sum()), len(accepted))),
        "accepted_of": f"{len(accepted)} {source if test is None else 'test samples'} that set no threshold",
        **({"note": note} if note else {}),
    }
    return Guarded(model, chosen, layers, task, facts=facts, inputs=torch.cat(kept)[:_KEPT])


def require_exported(detector: object) -> None:
    """Refuse what can't leave the house.

    Args:
        detector: of `deepwright.ood`.

    Raises:
        InputError: no detector, or one whose scores are no graph of tensor operations; which can is said.
    """
    if not isinstance(detector, Detector):
        raise InputError("detector", given=repr(detector), expected="a Detector of deepwright.ood", hint="ood.BBAS()")
    if not detector.exports:
        given = f"{detector.name}, whose scores aren't tensor operations alone"
        raise InputError("detector", given=given, expected=f"one of {', '.join(c.__name__ for c in EXPORTED)}")


def named_detector(name: str) -> Detector:
    """A detector by its name in `deepwright.ood`, whatever the case of its letters.

    Args:
        name: as "bbas".

    Raises:
        InputError: no such detector.
    """
    for cls in ALL:
        if cls.__name__.lower() == name.lower():
            return cls()
    raise unknown_name("detector", name, [cls.__name__ for cls in ALL])


def _fresh(detector: Detector | str | None) -> Detector:
    """A detector of the same class and options that has seen nothing: what was given stays as it is."""
    if detector is None:
        return BBAS()
    found = named_detector(detector) if isinstance(detector, str) else detector
    require_exported(found)
    return type(found)(**found.options)


def _copied(detector: Detector) -> Detector:
    """A copy with its buffers and without the network that it may be bound to."""
    copied = type(detector)(**detector.options)
    copied.load_state_dict(detector.state_dict())
    return copied


def _told(model: nn.Module, train: Iterable[Any]) -> tuple[Task | None, Iterable[Any]]:
    """The task where outputs say it (one logit a sample, which has two classes), and all batches."""
    source = iter(train)
    first = next(source, None)
    x = first[0] if isinstance(first, list | tuple) and first else first
    if not isinstance(x, Tensor) or not len(x):
        return None, train if first is None else chain([first], source)
    (out,) = read_outputs(model, [x[:2]], lambda out, n: out)
    if isinstance(out, list) or (isinstance(out, Tensor) and out.ndim > 2):
        given = "boxes" if isinstance(out, list) else f"maps of shape {tuple(out.shape)} for {len(x[:2])} inputs"
        hint = "the check `ood` of an audit measures foreign inputs to such networks"
        raise InputError("a guard", given=f"a network that gives {given}", expected="one class a sample", hint=hint)
    single = isinstance(out, Tensor) and (out.ndim == 1 or (out.ndim == 2 and out.shape[1] == 1))
    return Binary() if single else None, chain([first], source)


def _extracted(
    model: nn.Module, batches: Iterable[Any], layers: Any, task: Task | None, kept: list[Tensor]
) -> Activations:
    """The activations of all batches; the first inputs are kept."""

    def passing() -> Iterable[Any]:
        count = 0
        for batch in batches:
            x = batch[0] if isinstance(batch, list | tuple) else batch
            if count < _KEPT and isinstance(x, Tensor):
                kept.append(x[: _KEPT - count].detach().cpu())
                count += len(kept[-1])
            yield batch

    return extract(model, passing(), layers, progress="activations", task=task)


def _share(found: Interval) -> dict[str, float]:
    return {"value": found.value, "low": found.low, "high": found.high, "level": 0.95}
