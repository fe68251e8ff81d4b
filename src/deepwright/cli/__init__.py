"""The command `deepwright`: words into options, a workflow, a few lines of print; no maths, no catalogue, no training.

Heavy modules are imported inside the commands, so that `--help` and lists are quick.
"""

from __future__ import annotations

import click

from deepwright.cli.auditing import audit
from deepwright.cli.commands import Group
from deepwright.cli.driving import drive
from deepwright.cli.exiting import exits
from deepwright.cli.explaining import explain
from deepwright.cli.guarding import guard
from deepwright.cli.hardening import harden
from deepwright.cli.labelling import label
from deepwright.cli.listing import list_
from deepwright.cli.planning import plan
from deepwright.cli.shrinking import shrink
from deepwright.cli.solving import solve
from deepwright.cli.studying import study
from deepwright.core.version import __version__

__all__ = ["main"]


@click.group(cls=Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__)
def main() -> None:
    """Measure, harden, shrink and explain your own deep network; solve equations and find paths with one."""


for _command in (audit, harden, shrink, exits, guard, explain, label, drive, plan, solve, study, list_):
    main.add_command(_command)
