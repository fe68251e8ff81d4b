"""From what a person names (a network, data, a place) to the `Subject` that checks look at."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import KW_ONLY, dataclass, fields, replace
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from deepwright.adversarial.text import Substitutions, read_substitutions
from deepwright.checks import Subject, in_deviations, in_own_units, reads_texts
from deepwright.core.devices import resolve
from deepwright.core.errors import InputError
from deepwright.core.fit import Selection, adamw, fit
from deepwright.core.randomness import local_rng
from deepwright.core.requirements import require_number, require_positive, require_whole, require_within
from deepwright.core.resizing import Resizing
from deepwright.core.scales import STATED
from deepwright.core.tasks import Binary, Classification, ClassOrder, Forecast, MultiLabel, Regression, Task
from deepwright.core.tasks.reading import TELLING_ROWS
from deepwright.data import ENTRIES as DATA_SETS
from deepwright.data import (
    FOR_MEASURING,
    FOR_TRAINING,
    BySeries,
    Data,
    Decoding,
    Split,
    classes_of,
    imagenet_names,
    load,
    load_images,
    load_strings,
    read_classes,
    require_names,
)
from deepwright.data import WORDS as TASK_WORDS
from deepwright.nets import Normalised, ZooEntry, as_network, is_own, mlp, read_card
from deepwright.nets import entry as zoo_entry
from deepwright.nets import load as load_model
from deepwright.nets.doors import Brought, as_scores_only, in_class_order
from deepwright.nets.scores_only import declared_outputs
from deepwright.nets.texts import Tokenized, named_tokenizer, opened_pipeline
from deepwright.workflows.graph_files import holds_graphs, subject_of_graphs
from deepwright.workflows.options import Say, quiet, require_choice, require_place, require_several, said
from deepwright.workflows.precision import placed
from deepwright.workflows.tasks import task_of, word_for
from deepwright.workflows.text_networks import train_text_network
from deepwright.workflows.validation import ValidationLoss

DEFAULT_MODEL = "resnet8-mnist"
_PICTURES = ("image", "segmentation", "detection")
_MOST_OOD = 1000  # images of a folder of the user's that belong to no class


@dataclass(frozen=True)
class SubjectOptions:
    """A network, and everything that says what it is measured on.

    Attributes:
        model: a zoo name, `package.module:factory`, a `torch.export` .pt2 file, an .onnx file, a Hugging Face folder, a
            TorchScript file, a module that takes pixels in [0, 1] (or features) and gives logits, a fitted scikit-learn
            estimator or a function of arrays that gives scores, or a ready `Subject` (which has its data with it).
            None is `resnet8-mnist`, or an MLP that is trained on the table where `data` is one.
        data: a name of `deepwright list data`, an image folder or zip (of classes, of label maps, or with boxes in
            COCO, VOC or YOLO form), an .npz, a .csv or .parquet, a folder of Hugging Face's `datasets`, a folder or
            zip of graphs in TU format, or a `Data`.
            The model's own by default.
        data_root: folder of the real data sets; the environment's DEEPWRIGHT_DATA by default.
        weights: for `package.module:factory`: safetensors, an index of them, a state dict or a Lightning checkpoint.
        trust_file: run the code in a TorchScript file.
        target: the column to predict, for a table; several of numbers, or of labels that are 0 or 1; the classes' of
            texts, "label" by default.
        text: the column that the network reads, where a .csv, .tsv, .jsonl, .parquet or a folder of Hugging Face's
            `datasets` holds texts.
        entity: column that says whose a row of a .csv is, where its rows are series; with `time`.
        time: column that orders the rows of an entity.
        history: rows that the network sees; see `data.BySeries`.
        horizon: rows ahead of which the target is forecast; see `data.BySeries`.
        tokenizer: of a network that reads texts: list of strings -> token ids (see `nets.texts.as_tokenizer`), a folder
            of Hugging Face, or `package.module:name`; by default the one in the network's folder.
        substitutions: of texts, a file or mapping word -> what may stand in its place; see `read_substitutions`.
        classes: a file of class names in the order of the network's outputs (a name a line, or JSON), those names
            themselves, or "imagenet"; there may be more of them than occur in the data. By default the folders' names
            are matched to those of the zoo's network, else taken in their order.
        split: "test" measures all of the data that come in one piece (by default some of them fit what needs fitting),
            or the whole validation part where there is no test part (by default some of it calibrates).
        limit: at most so many test samples.
        size: resize images to this side.
        mean: normalisation inside the model, one number or one a channel.
        std: as `mean`.
        ood: a folder of images that belong to no class; of texts a .txt file, a text a line, or a folder of them; of
            graphs another data set in TU format.
        seed: of every draw.
        eps: budgets of the robustness curve (of texts: shares of the words); by the kind of data when None.
        attack_limit: attack at most so many samples; by the size of the pictures when None.
        corruption_limit: perturb at most so many samples; by the size of the pictures when None.
        device: where the network is measured; where it lives by default (the CPU for one that is loaded).
        precision: in which it is measured; see `core.devices.resolve_precision`. Its own by default.
        skip_broken: leave broken files and rows out instead of refusing.
        stream: read samples from their files when they are needed (True), or hold all of them in memory (False); by
            default what is over 512 MiB is streamed where a network is only measured.
        aside: columns of a table that the network doesn't get, for groups and slices.
        standardised: a network of yours takes a table's columns standardised, as those do that are trained here; by
            default it gets them as they are.
        outputs: what the columns are: "logits", "probabilities" or "log-probabilities"; by default logits, and what
            looks like probabilities is refused.
        task: what outputs and targets mean, or the word for it: "classification", "binary", "multilabel", "regression",
            "segmentation" or "detection". Told by the data by default, where one class a sample is the usual reading.
        threshold: of the probability of the event, or of each label; 0.5 by default.
        sensitivity: of two classes, the share of events that the threshold shall find, chosen on validation samples.
        quantiles: levels of the quantiles that the network gives of each number, (N, levels) or (N, targets, levels).
        order: of a segmentation's classes, which lies inside which: "background<iris<pupil", chains parted by commas
            ("road<lane, sky"), or a `ClassOrder`.

    Raises:
        InputError: numbers out of their range, a device that isn't here, data beside a ready `Subject`.
    """

    model: str | Brought | Subject | None = None
    _: KW_ONLY
    data: str | Path | Data | None = None
    data_root: Path | str | None = None
    weights: Path | str | None = None
    trust_file: bool = False
    target: str | Sequence[str] | None = None
    text: str | Sequence[str] | None = None
    entity: str | None = None
    time: str | None = None
    history: int | None = None
    horizon: int | None = None
    tokenizer: Any = None
    substitutions: Any = None
    classes: str | Path | Sequence[str] | None = None
    split: str | None = None
    limit: int | None = None
    size: int | None = None
    mean: Sequence[float] | None = None
    std: Sequence[float] | None = None
    ood: Path | str | None = None
    seed: int = 0
    eps: Sequence[float] | None = None
    attack_limit: int | None = None
    corruption_limit: int | None = None
    device: str | None = None
    precision: str | None = None
    skip_broken: bool = False
    stream: bool | None = None
    aside: Sequence[str] = ()
    standardised: bool = False
    outputs: str | None = None
    task: Task | str | None = None
    threshold: float | None = None
    sensitivity: float | None = None
    quantiles: Sequence[float] | None = None
    order: str | ClassOrder | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "model", as_scores_only(opened_pipeline(self.model)))
        if isinstance(self.task, str):
            require_choice("task", self.task, TASK_WORDS)
        self._require_threshold()
        limits = {"attack_limit": self.attack_limit, "corruption_limit": self.corruption_limit}
        require_whole(1, **said(limit=self.limit, size=self.size, **limits))
        require_whole(0, seed=self.seed)
        if self.split is not None:
            require_choice("split", self.split, ("test",))
        if self.outputs is not None:
            require_choice("outputs", self.outputs, STATED)
            if self.task is not None and not isinstance(self.task, str):
                raise InputError("outputs", given=f"{self.outputs!r} beside a task", expected="none: the task says it")
        require_several("aside", self.aside)
        if self.quantiles is not None and self.model is None:
            hint = "name it as MODEL (model= from Python)"
            raise InputError("quantiles", given="no network", expected="one that gives them", hint=hint)
        for name in ("mean", "std", "eps", "quantiles"):
            if getattr(self, name) is not None:
                require_several(name, getattr(self, name))
        for value in self.std or ():
            require_positive(std=value)
        for value in self.mean or ():
            require_number(mean=value)
        for value in self.eps or ():
            require_number(0, eps=value)
        model = self.model.model if isinstance(self.model, Subject) else self.model
        require_place(self.device, self.precision, model=model if isinstance(model, nn.Module) else None)
        self._require_heard()

    def _require_threshold(self) -> None:
        """One of two ways to a threshold, and only beside what may have one."""
        if self.threshold is not None:
            require_within(0, 1, ends="()", threshold=self.threshold)
        if self.sensitivity is not None:
            require_within(0, 1, ends="(]", sensitivity=self.sensitivity)
        if self.threshold is not None and self.sensitivity is not None:
            raise InputError("threshold", given="beside sensitivity", expected="one of them: either chooses it")
        if self.threshold is not None and isinstance(self.task, Task):
            raise InputError("threshold", given="beside a task", expected="none: the task says it")

    def _require_heard(self) -> None:
        """Nothing may be given and then not be looked at: what is ready already has its own."""
        if isinstance(self.model, Subject):
            self._refuse([f.name for f in fields(SubjectOptions) if f.name != "model"], "a ready Subject")
        if isinstance(self.model, nn.Module):
            self._refuse(["weights", "trust_file"], "a ready network")
        if isinstance(self.data, Data):
            files = ("data_root", "target", "text", "entity", "time", "history", "size", "skip_broken", "classes")
            self._refuse([*files, "split", "aside", "stream"], "ready data")
        if self.model is None and self.data is not None:
            self._refuse(["weights", "tokenizer", "mean", "std"], "no network")
        if self.model is None:
            self._refuse(["trust_file", "standardised"], "no network")

    def _refuse(self, names: Sequence[str], beside: str) -> None:
        defaults = {f.name: f.default for f in fields(SubjectOptions)}
        for name in names:
            value = getattr(self, name)
            if value is not defaults[name] and value != defaults[name]:
                raise InputError(name, given=f"{value!r} beside {beside}", expected="none")


def build_subject(
    options: SubjectOptions,
    *,
    train_limit: int | None = None,
    mixed: bool = True,
    trains: bool = True,
    say: Say = quiet,
) -> Subject:
    """The network and the data that the options name.

    Args:
        options: of any workflow that takes a network.
        train_limit: at most so many training samples.
        mixed: see `placed`.
        trains: whether the workflow trains something on the data: of data in one piece it then gets most of them.
        say: told about a training.

    Raises:
        InputError: an unknown name, no data, broken files, data that don't fit the network.
    """
    if isinstance(options.model, Subject):
        return options.model
    if holds_graphs(options):
        return subject_of_graphs(options, train_limit=train_limit, trains=trains, fields_of=SubjectOptions)
    data = _data(options, train_limit, trains or _tabular(options))
    if options.ood is not None:
        data = replace(data, ood={f"own {Path(options.ood).name}": _foreign(options, data)})
    if trains and data.kind == "text":
        raise InputError("data", given=f"texts ({data.name})", expected="images or a table: texts can be audited")
    model, name = _network(options, data, say)
    model, note = as_network(model, None if data.kind == "text" else data.test.inputs(slice(0, TELLING_ROWS)))
    model = in_class_order(model, data.classes)
    says = declared_outputs(model)  # before anything is put around it
    data = replace(data, notes=(*data.notes, note)) if note else data
    if options.model is None:  # it was trained here, and not on the validation part
        data = replace(data, seen_validation=False)
    if isinstance(options.model, str) and data.kind in _PICTURES and Path(options.model).is_dir():
        data = _told_of_pixels(options, data)
    if options.mean is not None or options.std is not None:
        model = Normalised(model, list(options.mean or (0.0,)), list(options.std or (1.0,))).eval()
    if _takes_columns_as_they_are(options, data):
        model, data = (model, _raw(data)) if trains else in_deviations(model, data)
        data = replace(
            data, notes=(f"{data.notes[0]}; --standardised where it takes them standardised", *data.notes[1:])
        )
    model = _reading(options, placed(_without(model), options.device, options.precision, mixed=mixed), model, data)
    batch = 64 if data.kind == "text" else 250 if data.kind == "tabular" or data.shape[-1] <= 64 else 25
    settings: dict[str, Any] = {**_limits(options, data), "eps": None if options.eps is None else tuple(options.eps)}
    settings["sensitivity"] = options.sensitivity
    if options.substitutions is not None:
        settings["substitutions"] = _substitutions(options.substitutions)
    ahead = options.task is None and options.horizon is not None
    given = Forecast(cast(int, options.horizon)) if ahead else options.task
    outputs = options.outputs or (says if given is None else None)
    task = task_of(
        given,
        data,
        model,
        outputs=outputs,
        threshold=options.threshold,
        names=_columns_of(options.target),
        quantiles=options.quantiles,
        order=options.order,
    )
    return Subject(model, data, name, batch, options.seed, task=cast(Any, task), **settings)


def _columns_of(target: str | Sequence[str] | None) -> tuple[str, ...]:
    return (target,) if isinstance(target, str) else tuple(target or ())


def _series(options: SubjectOptions) -> BySeries | None:
    """How rows are series, where an entity is named."""
    given = {name: getattr(options, name) for name in ("entity", "time", "history", "horizon")}
    if all(value is None for value in given.values()):
        return None
    if options.entity is None or options.time is None:
        raise InputError("entity and time", given=repr(said(**given)), expected="both columns, for series")
    return BySeries(options.entity, options.time, options.history, options.horizon)


def _without(model: nn.Module) -> nn.Module:
    """The network behind its tokenizer."""
    return model.network if isinstance(model, Tokenized) else model


def _reading(options: SubjectOptions, network: nn.Module, model: nn.Module, data: Data) -> nn.Module:
    """The placed network, with its tokenizer in front where the data are texts."""
    if data.kind != "text":
        for name in ("tokenizer", "substitutions"):
            if getattr(options, name) is not None:
                raise InputError(name, given=f"beside {data.kind} data", expected="none: they are of texts")
        return network
    tokenizer = options.tokenizer
    if isinstance(model, Tokenized):
        if tokenizer is not None:
            raise InputError("tokenizer", given="one beside a network that has its own", expected="none")
        return Tokenized(network, model.tokenizer)
    if tokenizer is None and isinstance(options.model, str) and Path(options.model).is_dir():
        tokenizer = options.model
    return reads_texts(network, named_tokenizer(str(tokenizer)) if isinstance(tokenizer, str | Path) else tokenizer)


def _substitutions(given: Any) -> Any:
    if isinstance(given, str | Path):
        return read_substitutions(given)
    return given if callable(given) else Substitutions(given)


def _tabular(options: SubjectOptions) -> bool:
    """Whether data are given and no network: then they must be a table, on which one is trained."""
    return options.data is not None and options.model is None


def _takes_columns_as_they_are(options: SubjectOptions, data: Data) -> bool:
    """Whether the network is the user's and the table a file: a ready `Data` is what its network takes."""
    own = options.model is not None and not options.standardised and not isinstance(options.data, Data)
    return own and data.kind == "tabular" and data.test.x.ndim == 2


def _raw(data: Data) -> Data:
    """A table in its own units: what trains its network must give it what it takes, and saves it as it is."""
    note = "the network gets the columns as they are"
    if data.center is None or data.scale is None:
        return replace(data, notes=(note, *data.notes))
    return replace(in_own_units(data), notes=(note, *data.notes[1:]))


def _entry(options: SubjectOptions) -> ZooEntry | None:
    """The zoo's entry of the network, where it is one of the zoo's."""
    name = options.model
    if isinstance(name, nn.Module) or (isinstance(name, str) and is_own(name)):
        return None
    return zoo_entry(str(name or DEFAULT_MODEL))


@dataclass(frozen=True)
class _Wanted:
    """What a network says about the pictures that it takes, and the classes of its outputs in their order."""

    outputs: Sequence[tuple[str, ...]] | None = None
    size: int | None = None
    channels: int | None = None
    resizing: Resizing | None = None


def _wanted(options: SubjectOptions, entry: ZooEntry | None) -> _Wanted:
    """What the zoo knows of its networks, and a folder of Hugging Face's of its."""
    if entry is not None:
        return _Wanted(classes_of(entry.data) or None, entry.size if entry.size > 32 else None, entry.channels)
    if isinstance(options.model, str) and ":" not in options.model and Path(options.model).is_dir():
        card = read_card(options.model)
        return _Wanted(card.labels or None, card.size, card.channels, card.resizing)
    return _Wanted()


def _data(options: SubjectOptions, train_limit: int | None, trains: bool) -> Data:
    if trains and options.split == "test":
        raise InputError("split", given="'test', beside a training", expected="none: training samples are needed")
    entry = _entry(options)
    source = options.data
    if isinstance(source, Data):
        return source.limited(options.limit, train_limit, options.seed)
    if source is None:
        if entry is None:
            hint = "a folder of images, an .npz, a .csv, a .parquet, or a name of `deepwright list data`"
            raise InputError("data", given="nothing", expected="the data to measure on", hint=hint)
        source = entry.data
    wanted = _Wanted() if _tabular(options) else _wanted(options, entry)
    known = next((e for e in DATA_SETS if e.name == str(source)), None)
    own = known is None
    decoded = (known is not None and known.decoded) or (own and not _holds_numbers(source))
    resizing = wanted.resizing if own and decoded and options.size is None else None
    return load(
        source,
        classes=_class_names(options.classes),
        outputs=wanted.outputs if own else None,
        shares=FOR_TRAINING if trains else FOR_MEASURING,
        split=options.split,
        root=options.data_root,
        target=options.target,
        text=options.text,
        series=_series(options),
        limit=options.limit,
        train_limit=train_limit,
        size=options.size or (wanted.size if decoded and resizing is None else None),
        resizing=resizing,
        mode={1: "L", 3: "RGB"}.get(wanted.channels or 0) if own and decoded else None,
        seed=options.seed,
        skip_broken=options.skip_broken,
        stream=False if trains and options.stream is None else options.stream,
        aside=options.aside,
        task=word_for(options.task) or (None if options.quantiles is None else "regression"),
    )


def load_reference(source: str | Path | Split, subject: Subject, options: SubjectOptions) -> Split:
    """Samples to compare the measured ones with: of data in one piece all, of others the test part.

    Args:
        source: samples, or what `data` may be.
        subject: whose classes, columns and pixels they are to have.
        options: as for its own data.

    Raises:
        InputError: data that don't fit the network's.
    """
    if isinstance(source, Split):
        return source
    data, (channels, *size) = subject.data, (subject.data.shape if len(subject.data.shape) == 3 else (0,))
    own = str(source) not in {e.name for e in DATA_SETS}
    decoded = own and not _holds_numbers(source)
    common: dict[str, Any] = {"root": options.data_root, "seed": options.seed, "skip_broken": options.skip_broken}
    if own:
        common |= {"target": options.target, "classes": data.classes or None, "aside": options.aside}
        common |= {"text": options.text, "series": _series(options)}
    resizing = _own_resizing(options, tuple(size)) if decoded and own else None
    if decoded and size:
        common |= {"size": tuple(size)} if resizing is None else {"resizing": resizing}
        common |= {"mode": {1: "L", 3: "RGB"}.get(channels)}
    try:
        found = load(source, split="test" if own else None, **common)
    except InputError as error:
        if error.what == "data":
            raise InputError("reference", given=error.given, expected=error.expected, hint=error.hint) from error
        if error.what != "split":
            raise
        found = load(source, **common)
    if data.features and found.features != data.features:
        differ = sorted(set(found.features) ^ set(data.features))
        raise InputError("reference", given=f"other columns: {', '.join(differ[:5])}", expected="those of the data")
    return in_own_units(found).test


def _holds_numbers(source: str | Path) -> bool:
    """Whether a path is of a table, of texts or of arrays, which aren't decoded."""
    return (
        str(source).endswith((".csv", ".tsv", ".jsonl", ".npz", ".parquet"))
        or next(Path(source).glob("*.npy"), None) is not None
    )


def _own_resizing(options: SubjectOptions, size: tuple[int, ...]) -> Resizing | None:
    """What a folder's network asks for, where the data were made by it."""
    if options.size is not None or isinstance(options.model, Subject) or isinstance(options.data, Data):
        return None
    found = _wanted(options, None).resizing
    return found if found is not None and found.size == size else None


def _class_names(given: str | Path | Sequence[str] | None) -> tuple[str, ...] | None:
    """The names themselves, from a file where one is named."""
    if given is None:
        return None
    if not isinstance(given, str | Path | Sequence):
        raise InputError("classes", given=repr(given), expected="a file, or names in the order of the outputs")
    if not isinstance(given, str | Path):
        return require_names(tuple(given), "classes")
    if str(given) == "imagenet":
        return imagenet_names()
    if "," in str(given) and not Path(given).exists():
        return require_names([part.strip() for part in str(given).split(",")], "classes")
    return read_classes(given)


def _foreign(options: SubjectOptions, data: Data) -> Tensor:
    """The user's images or texts that belong to no class, in the form of the data."""
    if data.kind == "text":
        return load_strings(Path(str(options.ood)), _MOST_OOD)
    if len(data.shape) != 3:
        raise InputError("ood", given=f"images, beside {data.kind} data {data.name!r}", expected="none")
    channels, height, width = data.shape
    how = Decoding((height, width), "L" if channels == 1 else "RGB", None, options.skip_broken)
    resizing = _own_resizing(options, (height, width))
    if resizing is not None:
        how = replace(how, size=None, resizing=resizing)
    return load_images(Path(str(options.ood)), how, _MOST_OOD)


def _network(options: SubjectOptions, data: Data, say: Say) -> tuple[nn.Module, str]:
    model = options.model
    if isinstance(model, nn.Module):
        return model, type(getattr(model, "_orig_mod", model)).__name__
    if _tabular(options):
        if data.kind == "text":
            return train_text_network(data, seed=options.seed, device=options.device or "cpu", say=say), "text network"
        if data.kind != "tabular":
            raise InputError(
                "model", given="nothing", expected=f"a network for {data.name!r}", hint="deepwright list models"
            )
        return train_mlp(
            data, task=task_of(options.task, data), seed=options.seed, device=options.device or "cpu", say=say
        ), "mlp"
    name = str(model or DEFAULT_MODEL)
    return load_model(name, options.weights, trust_file=options.trust_file), name


def _told_of_pixels(options: SubjectOptions, data: Data) -> Data:
    """The data, with a note where a folder doesn't say how its network's pixels are prepared.

    Raises:
        InputError: a normalisation of the user's beside the folder's own.
    """
    card, own = read_card(str(options.model)), options.mean is not None or options.std is not None
    if card.mean and own:
        given = f"beside the folder's own, {card.mean} and {card.std}"
        raise InputError("mean, std", given=given, expected="none: its preprocessor_config.json is inside the network")
    unfollowed = [*card.unfollowed, *_not_resized(options, data, card.resizing)]
    if unfollowed:
        said = f"{options.model}'s preprocessing isn't followed in all: {'; '.join(unfollowed)}"
        data = replace(data, notes=(*data.notes, said))
    if card.preprocessed or own:
        return data
    note = (
        f"{options.model} has no preprocessor_config.json: the network gets pixels in [0, 1] as they are; --mean and "
        "--std normalise them"
    )
    return replace(data, notes=(*data.notes, note))


def _not_resized(options: SubjectOptions, data: Data, resizing: Resizing | None) -> list[str]:
    """Why pictures weren't resized as the folder says, where it says anything but a size."""
    if resizing is None or isinstance(options.data, Data):
        return []
    if options.size is not None:
        return [
            f"pictures are {options.size} pixels wide and high, as --size says, and not resized and cropped as it asks"
        ]
    if str(options.data) in {e.name for e in DATA_SETS}:
        return [f"pictures of {options.data} come as that set's loader makes them"]
    if data.kind in ("segmentation", "detection"):
        plain = Resizing(resizing.size) if resizing.size is not None else None
        return [] if resizing == plain else ["pictures are stretched to their size, bicubic, as maps and boxes need it"]
    return []


def _limits(options: SubjectOptions, data: Data) -> dict[str, Any]:
    """Those that were given; fewer samples for larger pictures, so that an audit stays a matter of minutes.

    Where every position has an answer, attacks do all their steps on all pictures: eight of them there.
    """
    given = {"attack_limit": options.attack_limit, "corruption_limit": options.corruption_limit}
    usual = {}
    if data.kind in ("image", "segmentation", "detection") and data.shape[-1] > 64:
        few = 8 if data.kind == "segmentation" else 24
        usual = {"attack_limit": few, "corruption_limit": few, "ood_limit": 100}
    elif data.kind == "text":  # each text is asked about some dozen times
        usual = {"attack_limit": 100, "corruption_limit": 200, "ood_limit": 200}
    return usual | {name: value for name, value in given.items() if value is not None}


@dataclass(frozen=True)
class _Loss:
    """A task's mean loss of a batch."""

    task: Task

    def __call__(self, out: Tensor, y: Tensor) -> Tensor:
        return self.task.loss(self.task.read(out, strict=False), y).mean()


def train_mlp(
    data: Data, *, task: Task | None = None, seed: int = 0, device: str = "cpu", say: Say = quiet
) -> nn.Module:
    """An MLP for a table, trained on its training split with early stop on the validation loss.

    Args:
        data: a table.
        task: what its outputs and targets mean; one of the data's classes a sample by default.
        seed: of weights and batches.
        device: where it is trained.
        say: told what came out.

    Returns:
        the network in eval mode.

    Raises:
        InputError: a task whose outputs aren't columns, or that can't read the targets.
    """
    if task is not None and not isinstance(task, Binary | Classification | MultiLabel | Regression):
        expected = "Classification, Binary, MultiLabel or Regression"
        raise InputError("task of a table", given=type(task).__name__, expected=expected)
    width = len(data.classes) if task is None else task.columns[0]
    with local_rng(seed):
        model = mlp(data.shape[0], width).to(resolve(device, "device"))
    loss: Callable[[Tensor, Tensor], Tensor] = F.cross_entropy if task is None else _Loss(task)
    known, held = (part.y if task is None else task.check_targets(part.y) for part in (data.train, data.validation))
    numbers = isinstance(task, Regression)
    if numbers:  # trained in units of the targets' spread, which the last layer then takes over
        centre, scale = known.mean(0), known.std(0, unbiased=False).clamp_min(1e-12)
        known, held = (known - centre) / scale, (held - centre) / scale
    result = fit(
        model,
        (data.train.inputs(), known),
        epochs=200,
        batch_size=32,
        loss=loss,
        optimizer=adamw(1e-3, 1e-2),
        selection=Selection(
            ValidationLoss(data.validation.inputs(), held, loss), "validation_loss", mode="min", patience=20
        ),
        seed=seed,
        description="train mlp",
    )
    if numbers:
        last = cast(nn.Linear, model[-1])
        with torch.no_grad():
            last.weight.mul_(scale.to(last.weight)[:, None])
            last.bias.mul_(scale.to(last.bias)).add_(centre.to(last.bias))
    say(f"trained an MLP ({data.shape[0]}-64-64-{width}), best epoch {result.best_epoch}")
    return model.eval()
