"""The command `deepwright`: thin, no maths; heavy modules are imported inside the commands."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from deepwright import __version__


class _Group(click.Group):
    """Bad input ends in one line and exit code 2; Ctrl-C in one line and 130."""

    def main(self, *args: Any, **kwargs: Any) -> Any:
        from deepwright.core.errors import InputError

        try:
            return super().main(*args, **{**kwargs, "standalone_mode": False})
        except click.ClickException as error:
            error.show()
            raise SystemExit(error.exit_code) from None
        except InputError as error:
            click.echo(f"deepwright: {error}", err=True)
            raise SystemExit(2) from None
        except (KeyboardInterrupt, click.Abort):
            click.echo("\nStopped. What is finished is kept: run the same command to go on.", err=True)
            raise SystemExit(130) from None


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__)
def main() -> None:
    """Measure, harden, shrink and explain your own deep network; solve differential equations with one."""


def _subject_options(column: str = "--target") -> Any:
    """MODEL and everything that says what it is measured on; the same for every command that takes a network."""
    options = (
        click.argument("model", required=False),
        click.option(
            "--data", "data_name", help="A name of `deepwright list data`, an image folder or zip, .npz or .csv."
        ),
        click.option(
            "--data-root", type=click.Path(path_type=Path), help="Folder of the real data sets (or DEEPWRIGHT_DATA)."
        ),
        click.option(
            "--weights",
            type=click.Path(path_type=Path),
            help="safetensors (or a state dict) for package.module:factory.",
        ),
        click.option(column, "target", help="Column to predict, for a CSV."),
        click.option("--limit", type=int, help="At most so many test samples."),
        click.option("--size", type=int, help="Resize images to this side."),
        click.option("--mean", help="Normalisation inside the model: one number or one a channel, comma-separated."),
        click.option("--std", help="As --mean."),
        click.option(
            "--ood", "ood_path", type=click.Path(path_type=Path), help="A folder of images that belong to no class."
        ),
        click.option("--seed", type=int, default=0, show_default=True),
        click.option("--eps", help="Budgets of the robustness curve, comma-separated (4/255 works)."),
        click.option("--attack-limit", type=int, help="Attack at most so many samples."),
        click.option("--corruption-limit", type=int, help="Perturb at most so many samples."),
        click.option("--device", default="cpu", show_default=True),
        click.option("--skip-broken", is_flag=True, help="Leave broken files and rows out instead of refusing."),
    )

    def decorate(function: Any) -> Any:
        for option in reversed(options):
            function = option(function)
        return function

    return decorate


@main.command()
@_subject_options()
@click.option(
    "--check", "checks", multiple=True, help="Only these checks; or a .py file with check_...(subject) of your own."
)
@click.option("--fail-on", multiple=True, help='A gate, e.g. "fi>0.5"; the exit code is then 1 when it is met.')
@click.option("--compare", "compare_with", type=click.Path(path_type=Path), help="An earlier report.json.")
@click.option(
    "--out", type=click.Path(path_type=Path), default=Path("report"), show_default=True, help="Folder of the report."
)
@click.option("--json", "json_file", type=click.Path(path_type=Path), help="Write the results here too.")
@click.option("--fresh", is_flag=True, help="Forget what an interrupted run left.")
def audit(**options: Any) -> None:
    """Measure a network: MODEL is a zoo name, package.module:factory, or a torch.export .pt2 file.

    Without arguments: resnet8-mnist on the embedded digits.
    """
    from deepwright.cli.audit import run

    raise SystemExit(run(**options))


@main.command()
@_subject_options(column="--target-column")
@click.option(
    "--target",
    "goal",
    default="macs=0.5",
    show_default=True,
    help="macs=, params= or bytes= (a share or a number), latency-ms=.",
)
@click.option("--method", type=click.Choice(["one-shot", "evolve", "exit"]), default="one-shot", show_default=True)
@click.option("--importance", "criterion", default="taylor", show_default=True, help="How units are scored.")
@click.option("--epochs", type=int, default=3, show_default=True, help="Of fine-tuning after the cut.")
@click.option("--generations", type=int, default=20, show_default=True, help="In each phase of --method evolve.")
@click.option(
    "--round-to", type=int, default=1, show_default=True, help="Widths are multiples of this (8 runs faster)."
)
@click.option("--int8", is_flag=True, help="Write and measure an 8-bit file too.")
@click.option("--max-harm", type=float, default=0.02, show_default=True, help="Certified bound of --method exit.")
@click.option("--freeze", multiple=True, help="A module that stays whole.")
@click.option("--check", "checks", multiple=True, help="Checks of the audits before and after; all by default.")
@click.option(
    "--out", type=click.Path(path_type=Path), default=Path("shrunk"), show_default=True, help="Folder of the files."
)
@click.option("--json", "json_file", type=click.Path(path_type=Path), help="Write the results here too.")
def shrink(**options: Any) -> None:
    """Make a network smaller, prove it equal to its masked original, and show what that broke.

    MODEL as for `audit`. Writes weights, a torch.export program, ONNX, the index map, and audits before and after.
    """
    from deepwright.cli.shrink import run

    raise SystemExit(run(**options))


@main.command()
@click.argument("pool")
@click.option("--budget", type=int, required=True, help="Labels in all.")
@click.option("--classes", help="Class names, comma-separated; their order is the label's number.")
@click.option(
    "--labels", type=click.Path(path_type=Path), help="A filled to-label.csv (columns index or file, and label)."
)
@click.option("--interactive", is_flag=True, help="Ask here, one sample at a time.")
@click.option(
    "--simulate", is_flag=True, help="POOL has labels (a data set's name, class folders): play the loop through."
)
@click.option("--strategy", default="least-confidence", show_default=True)
@click.option(
    "--removed", type=float, default=0.5, show_default=True, help="Share of channels that the selector lacks."
)
@click.option("--round-size", type=int, help="Labels a round; a sixth of the budget by default.")
@click.option(
    "--t-sync", type=int, default=0, show_default=True, help="Fuse and prune again after so many rounds (0: never)."
)
@click.option("--epochs", type=int, default=20, show_default=True, help="Of every training.")
@click.option("--model", help="package.module:factory of the network to be; a ResNet or an MLP by default.")
@click.option("--size", type=int, help="Resize images to this side.")
@click.option("--target", help="Column to predict, for a CSV (with --simulate).")
@click.option("--data-root", type=click.Path(path_type=Path), help="Folder of the real data sets (or DEEPWRIGHT_DATA).")
@click.option("--seed", type=int, default=0, show_default=True)
@click.option(
    "--out", type=click.Path(path_type=Path), default=Path("labels"), show_default=True, help="Labels and state."
)
@click.option("--json", "json_file", type=click.Path(path_type=Path), help="Write the results here too.")
def label(**options: Any) -> None:
    """Choose what to label next in POOL (a folder or zip of images): a pruned copy of the network selects.

    Run it, fill to-label.csv, run it again with --labels; or answer with --interactive. No label is ever lost.
    """
    from deepwright.cli.label import run

    raise SystemExit(run(**options))


@main.command()
@click.argument("problem", required=False)
@click.option("--list", "listing", is_flag=True, help="Name the bundled problems.")
@click.option("--steps", type=int, default=0, help="Steps of --optimiser instead of the problem's own schedule.")
@click.option(
    "--optimiser",
    type=click.Choice(["lm", "adam", "lbfgs", "bfgs", "ssbfgs", "ssbroyden"]),
    default="lm",
    show_default=True,
)
@click.option("--max-time", type=float, help="CPU seconds at most.")
@click.option("--seed", type=int, default=0, show_default=True)
@click.option(
    "--out", type=click.Path(path_type=Path), default=Path("solution"), show_default=True, help="Folder of the files."
)
def solve(**options: Any) -> None:
    """Solve a differential equation: PROBLEM is a bundled name or a Python file with `problem = PDEProblem(...)` (it is run).

    Trains, keeps checkpoints, certifies, draws. Killed, it goes on from where it was.
    """
    from deepwright.cli.solve import run

    raise SystemExit(run(**options))


@main.command()
@click.argument("names", nargs=-1, required=True)
@click.option("--quick", is_flag=True, help="Fewer seeds and samples: a smoke test, not a result.")
@click.option("--seeds", help="Other seeds than the study's own, as 100-104 or 1,2,3; written to a folder beside.")
@click.option("--data-root", type=click.Path(path_type=Path))
@click.option("--jobs", type=int, default=2, show_default=True, help="Trials side by side.")
@click.option("--backend", type=click.Choice(["local", "ray", "dask"]), default="local", show_default=True)
@click.option("--out", type=click.Path(path_type=Path), default=Path("docs/results"), show_default=True)
@click.option(
    "--store",
    type=click.Path(path_type=Path),
    default=Path(".deepwright/trials"),
    show_default=True,
    help="Finished trials.",
)
@click.option("--json", "json_file", type=click.Path(path_type=Path), help="Write the result here too.")
def study(**options: Any) -> None:
    """Reproduce a system against its baselines (names of `deepwright list studies`, or `all`)."""
    from deepwright.cli.study import run

    raise SystemExit(run(**options))


@main.command(name="list")
@click.argument("what", type=click.Choice(["systems", "models", "data", "checks", "studies"]), required=False)
@click.option("--check", "checks", multiple=True, help="A .py file whose checks are listed too.")
def list_(what: str | None, checks: tuple[str, ...]) -> None:
    """What there is."""
    from deepwright.cli.listing import run

    run(what, checks)
