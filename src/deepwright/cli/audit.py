"""`deepwright audit`: from the command line's words to a subject, and from a report to files."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from deepwright.checks import Subject, load_checks, read_config
from deepwright.checks import audit as run_audit
from deepwright.core.errors import InputError
from deepwright.core.files import ForeignFileError, write_json
from deepwright.core.resume import OtherWorkError
from deepwright.data import Data, load
from deepwright.data.archives import Decoding
from deepwright.data.folders import load_images
from deepwright.nets import load as load_model
from deepwright.nets import zoo
from deepwright.nets.preprocessing import Normalised
from deepwright.report import print_audit, print_finding, write_report

_DEFAULT = "resnet8-mnist"
_TRAIN_LIMIT = 5000  # training samples that detectors and baselines are fitted on


def run(**o: Any) -> int:
    """Audit; returns the exit code: 1 when a gate failed."""
    from deepwright.core.files import write_text

    write_text(o["out"] / ".writable", "")  # before minutes of work, not after
    (o["out"] / ".writable").unlink()
    subject = build_subject(o)
    checks, own = _checks(o["checks"])
    gates = list(o["fail_on"])
    if Path("deepwright.toml").exists():
        gates = read_config("deepwright.toml") + gates
    journal = o["out"] / ".unfinished.jsonl"
    if o["fresh"]:
        journal.unlink(missing_ok=True)
    _forget_other(journal, subject)
    report = run_audit(
        subject,
        checks=[*checks, *own],
        fail_on=gates,
        compare_with=o["compare_with"],
        journal=journal,
        on_finding=print_finding,
    )
    page = write_report(report, o["out"])
    journal.unlink(missing_ok=True)
    if o["json_file"] is not None:
        write_json(o["json_file"], report.to_dict())
    print_audit(report)
    click.echo(f"{page}\n{o['out'] / 'report.json'}")
    return int(report.failed)


def _forget_other(journal: Path, subject: Subject) -> None:
    """A journal of another network or of other data is of no use: start afresh."""
    from deepwright.core.journal import Journal

    if not journal.exists():
        return
    try:
        Journal(journal, subject.settings(), kind="audit").close()
    except (OtherWorkError, ForeignFileError):
        journal.unlink()
        return
    click.echo(f"going on from {journal} (start afresh with --fresh)", err=True)


def build_subject(o: dict[str, Any], train_limit: int | None = _TRAIN_LIMIT) -> Subject:
    """The network and the data that the options name."""
    name, data_name = o["model"], o["data_name"]
    own = name is not None and (":" in name or name.endswith(".pt2"))
    entry = None if own else zoo.entry(name or _DEFAULT)
    tabular = data_name is not None and name is None
    if data_name is None:
        if name is not None and entry is None:
            raise InputError(
                "--data", given="nothing", expected="the data to measure on", hint="--data FOLDER, .npz, .csv or a name"
            )
        data_name = entry.data if entry else "mnist"
    data = load(
        data_name,
        root=o["data_root"],
        target=o["target"],
        limit=o["limit"],
        train_limit=train_limit,
        size=o["size"] or (entry.size if entry is not None and not tabular and entry.size > 32 else None),
        mode={1: "L", 3: "RGB"}[entry.channels] if entry is not None and not tabular else None,
        seed=o["seed"],
        skip_broken=o["skip_broken"],
    )
    if o["ood_path"] is not None:
        height, width = data.shape[1], data.shape[2]
        how = Decoding((height, width), "L" if data.shape[0] == 1 else "RGB", None, o["skip_broken"])
        data = replace(data, ood={f"own {o['ood_path'].name}": load_images(o["ood_path"], how, 1000)})
    if tabular and data.kind == "tabular":
        model, label = _train_mlp(data, o), "mlp"
    elif tabular:
        raise InputError(
            "MODEL", given="nothing", expected=f"a network for {data.name!r}", hint="deepwright list models"
        )
    else:
        model, label = load_model(name or _DEFAULT, o["weights"]), name or _DEFAULT
    if o["mean"] is not None or o["std"] is not None:
        model = Normalised(model, _numbers(o["mean"] or "0", "--mean"), _numbers(o["std"] or "1", "--std")).eval()
    limits = {k: o[k] for k in ("attack_limit", "corruption_limit") if o[k] is not None}
    if not limits:
        limits = _limits(data)
    eps = None if o["eps"] is None else tuple(_numbers(o["eps"], "--eps"))
    batch = 250 if data.kind == "tabular" or data.shape[-1] <= 64 else 25
    return Subject(_to(model, o["device"]), data, label, batch, o["seed"], eps=eps, **limits)


def _limits(data: Data) -> dict[str, int]:
    """Fewer samples for larger pictures, so that an audit stays a matter of minutes."""
    if data.kind == "image" and data.shape[-1] > 64:
        return {"attack_limit": 24, "corruption_limit": 24, "ood_limit": 100}
    return {}


def _to(model: Any, device: str) -> Any:
    try:
        return model.to(device)
    except (RuntimeError, AssertionError) as error:
        raise InputError(
            "--device", given=f"{device!r}: {str(error).splitlines()[0]}", expected="a device that this machine has"
        ) from error


def _train_mlp(data: Data, o: dict[str, Any]) -> Any:
    """An MLP for a table, trained on its training split with early stop on validation loss."""
    import torch

    from deepwright.core.fit import Selection, adamw, fit
    from deepwright.core.inference import logits_of
    from deepwright.core.randomness import local_rng
    from deepwright.nets import mlp

    with local_rng(o["seed"]):
        model = mlp(data.shape[0], len(data.classes))

    def validate(network: torch.nn.Module) -> dict[str, float]:
        out = logits_of(network, [data.validation.x])
        return {"validation_loss": float(torch.nn.functional.cross_entropy(out, data.validation.y))}

    result = fit(
        model,
        (data.train.x, data.train.y),
        epochs=200,
        batch_size=32,
        optimizer=adamw(1e-3, 1e-2),
        selection=Selection(validate, "validation_loss", mode="min", patience=20),
        seed=o["seed"],
        description="train mlp",
    )
    click.echo(f"trained an MLP ({data.shape[0]}-64-64-{len(data.classes)}), best epoch {result.best_epoch}", err=True)
    return model.eval()


def _checks(given: tuple[str, ...]) -> tuple[list[Any], list[Any]]:
    """Built-in names, and functions from the user's files; with files only, all built-in checks run too."""
    from deepwright.checks import BUILTIN

    files = [c for c in given if c.endswith(".py")]
    names = [c for c in given if not c.endswith(".py")]
    own = [function for file in files for function in load_checks(file).values()]
    return (names or list(BUILTIN)), own


def _numbers(text: str, option: str) -> list[float]:
    try:
        parts = [part.split("/") for part in text.split(",")]
        return [float(p[0]) / float(p[1]) if len(p) == 2 else float(p[0]) for p in parts]
    except (ValueError, ZeroDivisionError, IndexError) as error:
        raise InputError(option, given=repr(text), expected="numbers separated by commas") from error
