"""`deepwright shrink`: a subject in, a smaller network with its files and two audits out."""

from __future__ import annotations

from typing import Any

import click

from deepwright.checks import Subject
from deepwright.checks.running import resolve
from deepwright.cli.audit import build_subject
from deepwright.core.errors import InputError
from deepwright.core.files import write_json, write_text
from deepwright.report import print_audit, print_table, write_report
from deepwright.workflows.exiting import exit_subject
from deepwright.workflows.shrinking import TARGETS, describe, shrink_subject


def run(**o: Any) -> int:
    """Shrink; returns the exit code."""
    goal = parse_goal(o["goal"])
    checks = list(o["checks"]) or None
    resolve(checks)  # an unknown check is told before minutes of work, and so is a folder that can't be written
    write_text(o["out"] / ".writable", "")
    (o["out"] / ".writable").unlink()
    subject = build_subject(o, train_limit=None)
    if o["method"] == "exit":
        return _exits(subject, o)
    result = shrink_subject(
        subject,
        o["out"],
        target=goal,
        method=o["method"],
        criterion=o["criterion"],
        epochs=o["epochs"],
        int8=o["int8"],
        checks=checks,
        frozen=o["freeze"],
        generations=o["generations"],
        round_to=o["round_to"],
        say=lambda text: click.echo(text, err=True),
    )
    write_report(result.before, o["out"] / "before")
    page = write_report(result.after, o["out"])
    if o["json_file"] is not None:
        write_json(o["json_file"], describe(result))
    print_audit(result.after)
    print_table(result.table)
    for note in result.notes:
        click.echo(f"note: {note}")
    click.echo(f"{page}\n{o['out'] / 'weights.safetensors'}\n{o['out'] / 'network.pt2'}")
    return 0


def _exits(subject: Subject, o: dict[str, Any]) -> int:
    found = exit_subject(
        subject, o["out"], epochs=o["epochs"], max_harm=o["max_harm"], say=lambda text: click.echo(text, err=True)
    )
    if o["json_file"] is not None:
        write_json(
            o["json_file"], {"table": vars(found.table), "cost": vars(found.cost), "policy": vars(found.model.policy)}
        )
    print_table(found.table)
    click.echo(f"{o['out'] / 'policy.json'}\n{o['out'] / 'heads.safetensors'}")
    return 0


def parse_goal(text: str) -> tuple[str, float]:
    """`macs=0.5` as a pair."""
    name, _, value = text.partition("=")
    try:
        number = float(value)
    except ValueError:
        number = -1.0
    if name not in TARGETS or not number > 0:
        raise InputError("--target", given=repr(text), expected=" or ".join(f"{t}=NUMBER" for t in TARGETS))
    return name, number
