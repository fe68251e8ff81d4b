"""A network, its data, its preprocessing and its task: what every check looks at."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, cast

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from deepwright.checks.findings.finding import NotApplicableError
from deepwright.checks.subjects.baselines import NearestMean, TrivialPredictor, repeats_history
from deepwright.checks.subjects.graphs import GraphNetwork, OnStatistics, all_statistics, statistics_rows
from deepwright.checks.subjects.reader import read_by
from deepwright.checks.subjects.simple_models import SimpleModels, fit_simple_models
from deepwright.checks.subjects.texts import OnBags, bags, reads_texts, reads_tokens
from deepwright.core.devices import device_of, dtype_of
from deepwright.core.errors import InputError
from deepwright.core.identity import digest
from deepwright.core.inference import has_gradients, read_outputs
from deepwright.core.randomness import generator
from deepwright.core.requirements import require_network, require_whole
from deepwright.core.rows import require_finite_rows, value_range
from deepwright.core.tasks import (
    Binary,
    Classification,
    Detection,
    GraphClassification,
    Regression,
    Segmentation,
    Task,
)
from deepwright.core.tasks.reading import TELLING_ROWS, looks_like_log_probabilities
from deepwright.core.texts import are_codes
from deepwright.data import Data, Split, ood_companions
from deepwright.nets import as_network
from deepwright.nets.doors import examine, in_class_order
from deepwright.nets.doors.opening import DRAWS
from deepwright.nets.scores_only import declared_outputs, gives_labels_only, require_no_labels
from deepwright.nets.texts import opened_pipeline

KINDS = ("image", "tabular", "series", "text", "tokens", "graphs")
PARTS = ("train", "validation", "test")
_SCORES = {
    "multi-label classification": "share of right labels",
    "regression": "share within the tolerance",
    "forecast": "share within the tolerance",
    "segmentation": "share of right pixels",
    "detection": "F1 of an image's boxes",
}
_LOG_PROBABILITIES = "the outputs are log-probabilities, which are read as logits: their softmax is the same"
_LARGE = 3 * 128 * 128  # numbers of an input of which fewer samples are looked at
LEAST_OF_A_CLASS = 5  # training samples: of fewer, its mean or a neighbour says little
OPTIONS = ("batch_size", "seed", "attack_limit", "corruption_limit", "ood_limit", "eps", "sensitivity", "substitutions")


@dataclass
class Subject:
    """A network under audit.

    Attributes:
        model: takes pixels in [0, 1], standardised features, series, texts (`nets.texts.Tokenized`) or token ids, and
            gives what its task reads; its preprocessing is inside (`in_deviations` puts it there for a network that
            takes a table's columns as they are).
        data: train, validation and test splits with class names; kept on the CPU, each batch goes to the model.
        name: for the report.
        batch_size: for every pass.
        seed: of every draw.
        attack_limit: at most so many samples are attacked.
        corruption_limit: at most so many samples are perturbed.
        ood_limit: of each set that belongs to no class.
        eps: rising budgets of the robustness curve (of texts: shares of the words); by the kind of data when None.
        sensitivity: of two classes, the share of the events that the threshold shall find: it is then chosen on
            validation samples, in place of the task's own.
        substitutions: of texts, word -> what may stand in its place (`adversarial.text.Substitutions`); slips of the
            keyboard when None.
        task: what outputs and targets mean; None takes one class a sample of those that the data name. What it leaves
            open (a tolerance) is taken from the training targets.
        groups: a column by which its numbers are compared between groups: of the table, of what is known beside the
            inputs (`Split.columns`), a statistic of pictures as "brightness", or "class".
        attributes: columns beside the inputs (`Split.columns`) that are asked for in the network's features.
        reference: samples that the test samples are compared with, of the same form (rows of a table in their own
            units); the training samples by default.

    Raises:
        InputError: data, outputs and task that don't fit each other; pixels outside [0, 1]; options that make no sense.
    """

    model: nn.Module
    data: Data
    name: str = "network"
    batch_size: int = 250
    seed: int = 0
    attack_limit: int = 400
    corruption_limit: int = 300
    ood_limit: int = 400
    eps: tuple[float, ...] | None = None
    sensitivity: float | None = None
    substitutions: Any = None
    if TYPE_CHECKING:  # None is settled when the subject is made, so that nobody has to ask for it later
        task: Task = cast(Task, None)
    else:
        task: Task | None = None
    groups: str | None = None
    attributes: tuple[str, ...] = ()
    reference: Split | None = None
    _outputs: dict[str, Any] = field(default_factory=dict, init=False, repr=False)
    _log_probabilities: bool = field(default=False, init=False, repr=False)
    _mixing: str = field(default="", init=False, repr=False)

    def __post_init__(self) -> None:
        if not isinstance(self.data, Data):
            raise InputError(
                "data", given=type(self.data).__name__, expected="a Data", hint="audit(model, loader) takes loaders"
            )
        told_by_inputs = self.data.kind not in ("text", "tokens", "graphs") and len(self.data.test)
        example = self.data.test.inputs(slice(0, TELLING_ROWS)) if told_by_inputs else None
        self.model, note = as_network(opened_pipeline(self.model), example)
        require_network(self.model)
        self.data = replace(self.data, notes=(*self.data.notes, note)) if note else self.data
        self._check_options()
        dense = {"segmentation": Segmentation, "detection": Detection}.get(self.data.kind)
        if dense is not None:  # images with label maps, or with boxes
            self.task = dense(len(self.data.classes)) if self.task is None else self.task
            self.data = replace(self.data, kind="image")
        if self.data.kind not in KINDS:
            raise InputError(
                "data",
                given=f"{self.data.kind} data {self.data.name!r}",
                expected=f"inputs that are {', '.join(KINDS)}",
            )
        if len(self.data.test) == 0:
            raise InputError("test data", given="no sample", expected="at least one")
        self._check_texts()
        for part in PARTS:
            require_finite_rows(getattr(self.data, part).x, f"{part} inputs")
        self._check_pixels()
        self._check_reference()
        self.model = in_class_order(self.model, self.data.classes)
        self._mixing = examine(self.model, self.data.test.inputs(self._looked_at()))
        self.task = self._named_task(class_task(self.model, self.data) if self.task is None else self.task)
        self.data = self._checked_data()
        train = self.data.train
        if len(train):
            history = train.inputs() if repeats_history(self.task, train.x) else None
            self.task = self.task.fitted(train.y, history)
        if self.sensitivity is not None:
            self.task = self._at_sensitivity(self.sensitivity)

    def _looked_at(self) -> Tensor:
        """Test samples at random positions, of which it is told whether the network mixes the samples of a batch."""
        large = math.prod(self.data.shape) > _LARGE
        n = len(self.data.test)
        return torch.randperm(n, generator=generator(0, "looked at"))[: TELLING_ROWS // 2 if large else TELLING_ROWS]

    def _at_sensitivity(self, wanted: float) -> Task:
        """The task at the threshold that finds the wanted share of the events of the validation samples."""
        if not isinstance(self.task, Binary):
            given = f"{wanted} beside a {self.task.kind}"
            raise InputError("sensitivity", given=given, expected="none: it chooses the threshold of Binary()")
        if not len(self.data.validation) or self.data.seen_validation:
            had = "were cut from training samples" if len(self.data.validation) else "are missing"
            given = f"{wanted}, and validation samples {had}"
            raise InputError("sensitivity", given=given, expected="validation samples that the network never saw")
        return self.task.at_sensitivity(self.outputs("validation"), self.data.validation.y, wanted)

    @property
    def threshold_from(self) -> str:
        """Where the threshold of two classes comes from, in words."""
        if self.sensitivity is not None:
            return (
                f"chosen on {len(self.data.validation)} validation samples for a sensitivity of {self.sensitivity:.0%}"
            )
        return "the more probable label" if getattr(self.task, "threshold", 0.5) == 0.5 else "as it was given"

    def _check_options(self) -> None:
        limits = ("batch_size", "attack_limit", "corruption_limit", "ood_limit")
        require_whole(1, **{name: getattr(self, name) for name in limits})
        require_whole(0, seed=self.seed)
        if self.eps is None:
            return
        try:
            self.eps = tuple(map(float, self.eps))
        except (TypeError, ValueError) as error:
            raise InputError("eps", given=repr(self.eps), expected="budgets, as (0.1, 0.2)") from error
        rising = all(a < b for a, b in zip((0.0, *self.eps), self.eps))
        if not self.eps or not rising or not all(map(math.isfinite, self.eps)):
            raise InputError("eps", given=self.eps, expected="budgets above 0, each larger than the one before")

    def _check_reference(self) -> None:
        if self.groups is not None and (not isinstance(self.groups, str) or not self.groups):
            raise InputError("groups", given=repr(self.groups), expected="the name of a column")
        if self.reference is None:
            return
        if not isinstance(self.reference, Split):
            given, hint = type(self.reference).__name__, "Split(inputs, targets)"
            raise InputError("reference", given=given, expected="a Split", hint=hint)
        texts = self.data.kind == "text" and are_codes(self.reference.x)  # of any length
        if not texts and tuple(self.reference.x.shape[1:]) != self.data.shape:
            given = f"samples of shape {tuple(self.reference.x.shape[1:])}"
            raise InputError("reference", given=given, expected=f"{self.data.shape}, as the test samples")
        require_finite_rows(self.reference.x, "reference inputs")
        if len(self.reference) and self.reference.y is not None:
            y = (
                self.task.check_targets(self.reference.y, len(self.reference), "reference labels")
                if self.task
                else None
            )
            self.reference = self.reference if y is None else replace(self.reference, y=y)

    def _check_texts(self) -> None:
        if self.data.kind == "text":
            self.model = reads_texts(self.model)
            return
        if self.data.kind == "tokens":
            self.model = reads_tokens(self.model)
        if self.data.kind == "graphs" and not isinstance(self.model, GraphNetwork):
            given, hint = type(self.model).__name__, "graph_subject(network, graphs)"
            raise InputError("network of graphs", given=given, expected="one that holds the graphs", hint=hint)
        if self.substitutions is not None:
            raise InputError("substitutions", given=f"beside {self.data.kind} data", expected="none: they are of words")

    def _check_pixels(self) -> None:
        x = self.data.test.x
        if self.data.kind == "image" and x.is_floating_point():
            low, high = value_range(x)
            if not (low >= -1e-6 and high <= 1 + 1e-6):
                raise InputError(
                    "test images",
                    given=f"range {low:.4g}..{high:.4g}",
                    expected="[0, 1]",
                    hint="divide by 255, and put the normalisation into the model",
                )

    def _named_task(self, task: Task) -> Task:
        """The task, if it can read what the network gives and has as many classes as the data name."""
        if not isinstance(task, Task):
            raise InputError("task", given=repr(task), expected="a task of deepwright.core.tasks")
        known = class_count(task)
        if self.data.classes and known not in (None, len(self.data.classes)):
            raise InputError(
                "task",
                given=f"{known} classes or labels",
                expected=f"{len(self.data.classes)}, one for each class of {self.data.name!r}",
            )
        logit = isinstance(task, Binary) and "probabilities" not in task.outputs

        def read(out: Any, n: int) -> Any:
            if logit:
                require_no_labels(self.model, out)
            return task.read(out, n)

        seen = read_outputs(self.model, [self.data.test.inputs(slice(0, TELLING_ROWS))], read)[0]
        if getattr(task, "outputs", "") == "auto" and isinstance(task, Classification):
            self._log_probabilities = looks_like_log_probabilities(seen)
        return task

    def _checked_data(self) -> Data:
        """The data with targets in the task's form, on the CPU: there checks count and draw."""
        parts: dict[str, Any] = {part: self._checked_split(part) for part in PARTS}
        ood = {name: x.cpu() for name, x in self.data.ood.items()}
        same = all(parts[part] is getattr(self.data, part) for part in PARTS)
        if same and all(ood[name] is x for name, x in self.data.ood.items()):
            return self.data
        return replace(self.data, ood=ood, **parts)

    def _checked_split(self, part: str) -> Split:
        split: Split = getattr(self.data, part)
        x, y = split.x.cpu(), split.y
        if len(split):
            y = self.task.check_targets(y, len(split), f"{part} labels")
        y = y.to("cpu") if hasattr(y, "to") else y
        return split if x is split.x and y is split.y else replace(split, x=x, y=y)

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the classes or labels: the data's, the task's, or numbers; none where the task has none.

        Of equal names (ImageNet has two cranes) each bears its number.
        """
        names = self.data.classes or tuple(getattr(self.task, "names", ()))
        names = names or tuple(map(str, range(class_count(self.task) or 0)))
        count = Counter(names)
        return tuple(name if count[name] == 1 else f"{name} ({i})" for i, name in enumerate(names))

    @property
    def classes(self) -> int:
        """Number of classes or labels; 0 where the task has none."""
        return len(self.class_names)

    @property
    def device(self) -> torch.device:
        """Where the model lives."""
        return device_of(self.model)

    @property
    def has_gradients(self) -> bool:
        """Whether attacks can follow gradients; not where the network is run by something else than torch."""
        return has_gradients(self.model)

    @property
    def without_scores(self) -> str:
        """Why nothing can be said about how sure the network is; empty where its scores say it."""
        return "the network gives labels and no scores" if gives_labels_only(self.model) else ""

    @property
    def gives_probabilities(self) -> bool:
        """Whether the outputs are probabilities or their logarithms, and so tell nothing by their size."""
        return self._log_probabilities or "probabilities" in getattr(self.task, "outputs", "")

    @property
    def bounds(self) -> tuple[float, float]:
        """The box that inputs live in."""
        return (0.0, 1.0) if self.data.kind == "image" else (-float("inf"), float("inf"))

    def outputs(self, part: str = "test") -> Any:
        """What the task reads from the network on a split, computed once.

        Args:
            part: "train", "validation" or "test".
        """
        if part not in PARTS:
            raise InputError("part", given=repr(part), expected=", ".join(PARTS))
        if part not in self._outputs:
            split: Split = getattr(self.data, part)
            self._outputs[part] = self._pass(self.model, self.task, split, f"{part} outputs")
        return self._outputs[part]

    def read(self, batches: Iterable[Tensor]) -> Any:
        """What the task reads from the network on any inputs; values aren't looked at, so that foreign ones pass.

        Args:
            batches: inputs (N, ...).
        """
        return self.task.join(read_outputs(self.model, batches, lambda out, n: self.task.read(out, n, strict=False)))

    def _pass(self, model: nn.Module, task: Task, split: Split, what: str) -> Any:
        def read(out: Any, n: int) -> Any:
            found = task.read(out, n)
            half = isinstance(found, Tensor) and found.dtype in (torch.float16, torch.bfloat16)
            return found.float() if half else found

        return task.join(read_outputs(model, split.batches(self.batch_size).inputs, read, progress=what))

    def logits(self, part: str = "test") -> Float[Tensor, "n classes"]:
        """Logits of classes of which each sample has one, as their probabilities come out of the network.

        Args:
            part: "train", "validation" or "test".

        Raises:
            NotApplicableError: a task without such classes.
        """
        out = self.outputs(part)
        found = self.task.class_logits(out)
        if found is None:
            raise NotApplicableError(f"a {self.task.kind} has no logits of classes of which each sample has one")
        return out if isinstance(self.task, Binary) else found  # probabilities don't move with a threshold

    @property
    def network(self) -> nn.Module:
        """The network with its outputs read, as `baseline_task` takes them; the model itself where it gives logits."""
        return read_by(self.model, self.task)

    @cached_property
    def has_classes(self) -> bool:
        """Whether each sample has one of several classes, and the outputs are their logits."""
        return self.task.class_logits(self.outputs()[:1]) is not None

    @cached_property
    def right(self) -> Bool[Tensor, " n"]:
        """(N,) whether each test sample is right."""
        return self.task.right(self.outputs(), self.data.test.y)

    @cached_property
    def score(self) -> Float[Tensor, " n"]:
        """(N,) how right each test sample is, in [0, 1]."""
        return self.task.score(self.outputs(), self.data.test.y)

    @property
    def score_name(self) -> str:
        """What the mean score is, in words."""
        return _SCORES.get(self.task.kind, "accuracy")

    @cached_property
    def chance(self) -> float:
        """Mean score of the trivial predictor that knows the test targets (for classes: the most frequent one)."""
        return self.task.chance(self.data.test.y)

    @cached_property
    def baseline(self) -> nn.Module | None:
        """The simple baseline of every grade, fitted on the training split.

        Nearest class mean where samples have classes (None when one of them has no training sample), else the task's
        trivial predictor.
        """
        train = self.data.train
        if len(train) == 0:
            return None
        if not self.has_classes:
            return TrivialPredictor(self.task, train.y, repeats_history(self.task, train.x)).to(self.device)
        counts = torch.bincount(train.y, minlength=self.classes)
        if bool((counts[self.data.test.y.unique()] == 0).any()):
            return None
        if self.data.kind in ("text", "tokens"):
            fitted = NearestMean.fit(bags(train), self.classes)
            return OnBags(fitted, self.data.kind == "tokens").to(self.device)
        if self.data.kind == "graphs":
            fitted = NearestMean.fit(statistics_rows(train), self.classes)
            return OnStatistics(fitted, all_statistics(cast(GraphNetwork, self.model).graphs)).to(self.device)
        return NearestMean.fit(train, self.classes).to(self.device)

    @property
    def thin_classes(self) -> str:
        """Why simple methods are a weak bar here: classes of few training samples; empty where all have enough."""
        if not self.has_classes or self.baseline is None:
            return ""
        counts = torch.bincount(self.data.train.y, minlength=self.classes)
        tested = torch.bincount(self.data.test.y, minlength=self.classes) > 0
        thin = ((counts < LEAST_OF_A_CLASS) & tested).nonzero().flatten().tolist()
        if not thin:
            return ""
        named = ", ".join(f"{self.class_names[k]!r} has {int(counts[k])}" for k in thin[:3])
        more = f" (and {len(thin) - 3} more classes)" if len(thin) > 3 else ""
        return (
            f"Simple methods are a weak bar here: class {named}{more} training samples, and a class mean or a "
            f"neighbour says little of fewer than {LEAST_OF_A_CLASS}."
        )

    @property
    def baseline_name(self) -> str:
        """What the baseline is, in words."""
        if self.has_classes:
            counts = {
                "text": " of word counts",
                "tokens": " of token counts",
                "graphs": " of statistics of the graph",
            }.get(self.data.kind, "")
            return f"nearest class mean{counts}"
        return "the last season repeated" if self.baseline_looks else "the best answer that looks at no input"

    @property
    def baseline_looks(self) -> bool:
        """Whether the baseline's answer depends on the input."""
        return self.has_classes or repeats_history(self.task, self.data.train.x)

    @property
    def baseline_task(self) -> Task:
        """The task as it reads the baseline, which gives logits whatever the network gives."""
        if isinstance(self.task, Regression):
            return self.task.reread
        scale = getattr(self.task, "outputs", None)
        return replace(self.task, outputs="logits") if isinstance(scale, str) else self.task  # type: ignore[type-var]

    @cached_property
    def baseline_outputs(self) -> Any:
        """What the task reads from the baseline on the test split; None without a baseline."""
        if self.baseline is None:
            return None
        return self._pass(self.baseline, self.baseline_task, self.data.test, "baseline")

    @cached_property
    def simple_models(self) -> SimpleModels | None:
        """How often simple classifiers are right; None without classes, or where a class has no training sample."""
        return fit_simple_models(self.data, self.seed) if self.has_classes and self.baseline is not None else None

    @cached_property
    def ood(self) -> dict[str, Tensor]:
        """Inputs that belong to no class; of graphs only those that the data bring."""
        if self.data.kind == "graphs" or isinstance(self.task, GraphClassification):
            return {name: x[: self.ood_limit] for name, x in self.data.ood.items()}
        return ood_companions(self.data, min(self.ood_limit, len(self.data.test)), self.seed)

    def settings(self) -> dict[str, Any]:
        """What the findings depend on, by name. An interrupted audit goes on only where all are the same."""
        return {
            "model": self.model,
            "task": self.task,
            "train": self.data.train,
            "validation": self.data.validation,
            "test": self.data.test,
            "foreign data": self.data.ood,
            "classes": self.data.classes,
            "whether validation data may have been seen": self.data.seen_validation,
            "reference": self.reference,
            "groups": self.groups,
            "attributes": self.attributes,
            "options": {name: getattr(self, name) for name in OPTIONS},
        }

    @property
    def draws(self) -> bool:
        """Whether the network's answers change from call to call."""
        return self._mixing.endswith(DRAWS)

    def _more_notes(self) -> list[str]:
        """What a reader must know of how the outputs are read."""
        notes = [_LOG_PROBABILITIES] if self._log_probabilities else []
        threshold = getattr(self.task, "threshold", 0.5)
        return notes if threshold == 0.5 else [*notes, f"the threshold is {threshold:.4g}, {self.threshold_from}"]

    def describe(self) -> dict[str, Any]:
        """Plain facts for the report."""
        return {
            "name": self.name,
            "network": type(getattr(self.model, "network", self.model)).__name__,
            "parameters": sum(p.numel() for p in self.model.parameters()),
            "task": self.task.kind,
            "data": self.data.name,
            "kind": self.data.kind,
            "input": list(self.data.shape),
            "classes": self.classes,
            "class_names": list(self.class_names[:50]),
            "train": len(self.data.train),
            "validation": len(self.data.validation),
            "test": len(self.data.test),
            "test_digest": digest(self.data.test),
            "mixing": self._mixing,
            "device": str(self.device),
            "notes": [*self.data.notes, *self._more_notes(), *_notes_of(self.model)],
        }


def _notes_of(model: nn.Module) -> list[str]:
    """What a reader must know about a network: what its parts say, and that it doesn't compute in float32."""
    said = [note for part in model.modules() for note in getattr(part, "notes", ())]
    dtype = dtype_of(model)
    if dtype == torch.float32:
        return said
    name = str(dtype).removeprefix("torch.")
    if dtype == torch.float64:
        return [*said, f"the network computes in {name}, and so do attacks on it"]
    return [
        *said,
        f"the network computes in {name}, to which inputs are rounded before each pass; attacks look for their next "
        "step in float32, and scores, intervals and distances are computed in float32 or float64",
    ]


def class_task(model: nn.Module, data: Data, outputs: str | None = None) -> Task:
    """One of the classes that the data name; of two classes, a single logit may say which.

    Args:
        model: a network.
        data: with class names.
        outputs: what its columns are; see `Classification`. By default what the network says itself, else "auto".

    Raises:
        InputError: data without classes; a network with another number of outputs.
    """
    classes, outputs = len(data.classes), outputs or declared_outputs(model) or "auto"
    if classes < 2:
        raise InputError(
            "task",
            given=f"none, for data {data.name!r} with {classes} classes",
            expected="what the outputs mean",
            hint="task=Regression(outputs), Segmentation(classes), ... of deepwright.core.tasks",
        )
    shape = read_outputs(model, [data.test.inputs(slice(0, 2))], lambda out, n: _shape(out))[0]
    columns = None if shape is None else 1 if len(shape) == 1 else shape[1] if len(shape) == 2 else None
    if columns == 1 and classes == 2:
        return Binary(outputs=outputs)
    if columns not in (None, classes):
        raise InputError(
            "the network's outputs",
            given=f"shape {('N', *shape[1:])}".replace("'", ""),
            expected=f"(N, {classes}), one column for each class of {data.name!r} ({_listed(data.classes)})",
            hint=_other_count(columns, classes),
        )
    return Classification(classes, outputs=outputs)


def _other_count(columns: int, classes: int) -> str:
    """What to do about a network with another number of columns than the data have classes."""
    if columns == 1:
        return (
            "a single column tells two classes apart; a number is predicted with --task regression (from Python "
            "`from deepwright.core.tasks import Regression`, `dw.audit(model, loader, task=Regression())`)"
        )
    names = ",".join(f"name{i}" for i in range(min(columns, 3))) + (",..." if columns > 3 else "")
    if columns > classes:
        return f"name all {columns} classes in the order of the outputs: --classes {names} (classes= from Python)"
    return f"the data have {classes - columns} classes more than the network: leave those samples out"


def _listed(names: tuple[str, ...]) -> str:
    return ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")


def _shape(out: Any) -> tuple[int, ...] | None:
    return tuple(out.shape) if isinstance(out, Tensor) else None


def class_count(task: Task) -> int | None:
    """How many classes or labels a task has; None where it has none."""
    found = getattr(task, "classes", getattr(task, "labels", None))
    return found if isinstance(found, int) else None
