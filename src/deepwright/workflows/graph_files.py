"""Graphs in TU format, and a network of graphs, as the subject of an audit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Protocol, runtime_checkable

from torch import nn

from deepwright.checks import Subject, graph_subject
from deepwright.core.errors import InputError
from deepwright.graphs import is_tu, node_kinds, read_tu
from deepwright.nets import load as load_model
from deepwright.workflows.precision import placed

_HEARD = frozenset(
    {
        *("model", "data", "weights", "trust_file", "split", "limit", "ood", "seed", "device", "precision", "outputs"),
        *(
            "task",
            "checks",
            "fail_on",
            "config",
            "compare_with",
            "groups",
            "out",
            "keep",
            "fresh",
            "devices",
            "backend",
        ),
    }
)
_TASKS = (None, "classification")


@runtime_checkable
class NamesGraphs(Protocol):
    """The options that are looked at here; see `SubjectOptions`."""

    @property
    def model(self) -> object:
        """See there."""

    @property
    def data(self) -> object:
        """See there."""

    @property
    def weights(self) -> Path | str | None:
        """See there."""

    @property
    def trust_file(self) -> bool:
        """See there."""

    @property
    def split(self) -> str | None:
        """See there."""

    @property
    def limit(self) -> int | None:
        """See there."""

    @property
    def ood(self) -> Path | str | None:
        """See there."""

    @property
    def seed(self) -> int:
        """See there."""

    @property
    def device(self) -> str | None:
        """See there."""

    @property
    def precision(self) -> str | None:
        """See there."""

    @property
    def outputs(self) -> str | None:
        """See there."""

    @property
    def task(self) -> object:
        """See there."""


def holds_graphs(options: NamesGraphs) -> bool:
    """Whether the data that are named are graphs.

    Args:
        options: of any workflow that takes a network.
    """
    return isinstance(options.data, str | Path) and is_tu(options.data)


def subject_of_graphs(options: NamesGraphs, *, train_limit: int | None, trains: bool, fields_of: type) -> Subject:
    """The network and the graphs that the options name.

    Args:
        options: whose data are graphs.
        train_limit: at most so many training graphs.
        trains: whether the workflow trains something on them.
        fields_of: the dataclass whose options may be refused.

    Raises:
        InputError: no network, options of other data.
    """
    if trains:
        raise InputError("data", given=f"graphs ({options.data})", expected="images or a table: graphs can be audited")
    _refuse(options, [f.name for f in fields(fields_of) if f.name not in _HEARD], fields_of)
    if options.task not in _TASKS:
        raise InputError("task", given=repr(options.task), expected="classification, for graphs")
    if options.model is None:
        hint = "package.module:factory, with --weights FILE"
        raise InputError("model", given="nothing", expected="a classifier or an encoder of graphs", hint=hint)
    ready = isinstance(options.model, nn.Module)
    network = options.model if ready else load_model(str(options.model), options.weights, trust_file=options.trust_file)
    assert isinstance(network, nn.Module)
    kinds = node_kinds(str(options.data))  # a column of foreign graphs means what it means in the network's own
    return graph_subject(
        placed(network, options.device, options.precision, mixed=False),
        read_tu(str(options.data)),
        ood={} if options.ood is None else {f"own {Path(options.ood).name}": read_tu(options.ood, kinds=kinds)},
        name=type(network).__name__ if ready else str(options.model),
        data_name=str(options.data),
        outputs=options.outputs or "auto",
        split=options.split,
        limit=options.limit,
        train_limit=train_limit,
        seed=options.seed,
    )


def _refuse(options: NamesGraphs, names: Sequence[str], fields_of: type) -> None:
    """Nothing may be given and then not be looked at."""
    defaults = {f.name: f.default for f in fields(fields_of)}
    for name in names:
        value = getattr(options, name)
        if value is not defaults[name] and value != defaults[name]:
            raise InputError(name, given=f"{value!r} beside graphs", expected="none")
