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
    """Measure, harden, shrink and explain your own deep network."""


@main.command()
@click.argument("model", required=False)
@click.option(
    "--data", "data_name", help="A name of `deepwright list data`, an image folder or zip, an .npz, or a .csv."
)
@click.option("--data-root", type=click.Path(path_type=Path), help="Folder of the real data sets (or DEEPWRIGHT_DATA).")
@click.option(
    "--weights", type=click.Path(path_type=Path), help="safetensors (or a plain state dict) for package.module:factory."
)
@click.option("--target", help="Column to predict, for a CSV.")
@click.option("--limit", type=int, help="At most so many test samples.")
@click.option("--size", type=int, help="Resize images to this side.")
@click.option("--mean", help="Normalisation inside the model: one number or one a channel, comma-separated.")
@click.option("--std", help="As --mean.")
@click.option("--ood", "ood_path", type=click.Path(path_type=Path), help="A folder of images that belong to no class.")
@click.option(
    "--check", "checks", multiple=True, help="Only these checks; or a .py file with check_...(subject) of your own."
)
@click.option("--fail-on", multiple=True, help='A gate, e.g. "fi>0.5"; the exit code is then 1 when it is met.')
@click.option("--compare", "compare_with", type=click.Path(path_type=Path), help="An earlier report.json.")
@click.option(
    "--out", type=click.Path(path_type=Path), default=Path("report"), show_default=True, help="Folder of the report."
)
@click.option("--json", "json_file", type=click.Path(path_type=Path), help="Write the results here too.")
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--eps", help="Budgets of the robustness curve, comma-separated (4/255 works).")
@click.option("--attack-limit", type=int, help="Attack at most so many samples.")
@click.option("--corruption-limit", type=int, help="Perturb at most so many samples.")
@click.option("--device", default="cpu", show_default=True)
@click.option("--skip-broken", is_flag=True, help="Leave broken files and rows out instead of refusing.")
@click.option("--fresh", is_flag=True, help="Forget what an interrupted run left.")
def audit(**options: Any) -> None:
    """Measure a network: MODEL is a zoo name, package.module:factory, or a torch.export .pt2 file.

    Without arguments: resnet8-mnist on the embedded digits.
    """
    from deepwright.cli.audit import run

    raise SystemExit(run(**options))


@main.command()
@click.argument("names", nargs=-1, required=True)
@click.option("--quick", is_flag=True, help="Fewer seeds and samples: a smoke test, not a result.")
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
@click.argument("what", type=click.Choice(["models", "data", "checks", "studies"]), required=False)
@click.option("--check", "checks", multiple=True, help="A .py file whose checks are listed too.")
def list_(what: str | None, checks: tuple[str, ...]) -> None:
    """What there is."""
    from deepwright.cli.listing import run

    run(what, checks)
