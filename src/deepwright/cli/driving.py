"""`deepwright drive`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from deepwright.cli.commands import Command
from deepwright.cli.words import DEVICE, FRESH, JSON, PATH, SEED, Names, NewFile, Numbers, out, tell, words

_OF_SERVE = ("serve", "host", "port", "seed")


class Size(click.ParamType):
    """Height and width: `40x80`."""

    name = "size"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, int]:
        """Both.

        Args:
            value: the text.
            param: whose value it is.
            ctx: of click.

        Raises:
            InputError: anything else.
        """
        from deepwright.core.errors import InputError

        if isinstance(value, tuple):
            return value
        height, cross, width = value.lower().partition("x")
        if not (cross and height.isdecimal() and width.isdecimal()):
            raise InputError("--size", given=repr(value), expected="HEIGHTxWIDTH in pixels, as 40x80")
        return int(height), int(width)


@click.command(cls=Command, example="deepwright drive --roads 2 --perturbation contrast --severity 5")
@words(
    click.argument("agent", required=False),
    click.option("--weights", type=PATH, help="Of an agent by package.module:factory: safetensors or .pt."),
    click.option(
        "--sim",
        type=click.Choice(["roadsim", "car-racing", "donkey", "udacity", "carla"]),
        default="roadsim",
        show_default=True,
        help="Where it drives; the last three run in a process of their own.",
    ),
    click.option("--host", default="127.0.0.1", show_default=True, help="Of a simulator in another process."),
    click.option("--port", type=int, help="Of a simulator in another process (or of --serve)."),
    click.option("--size", type=Size(), default="40x80", show_default=True, help="Of RoadSim's pictures."),
    click.option("--rgb", is_flag=True, help="RoadSim in colour."),
    click.option("--roads", type=int, default=16, show_default=True, help="How many, or how many seeds."),
    click.option("--max-angle", type=float, default=35.0, show_default=True, help="Degrees at a node of a road."),
    click.option("--perturbation", "perturbations", type=Names(), help="Names between commas; six by default."),
    click.option("--severity", "severities", type=Numbers(), help="Up to 5, between commas, as 2,3.5; 2,5 by default."),
    click.option("--max-xte", type=float, default=4.0, show_default=True, help="Metres at which the lane is left."),
    click.option("--tighter", type=float, default=2.0, show_default=True, help="A second such limit."),
    click.option("--timeout", type=float, default=62.0, show_default=True, help="Simulated seconds of an episode."),
    click.option("--frozen", is_flag=True, help="Draw perturbations once an episode, sensor noise too."),
    click.option("--recording", type=PATH, help="Donkey tub or Udacity log: errors without driving, and a repair."),
    click.option(
        "--order",
        type=click.Choice(["given", "worst-first"]),
        default="given",
        show_default=True,
        help="Of the cells: worst-first by their errors without driving.",
    ),
    click.option("--time-budget", type=float, help="Seconds after which no further cell is begun."),
    click.option("--repair", is_flag=True, help="Train a copy on what failed; before and after on fresh roads."),
    click.option("--watch", is_flag=True, help="Tell whether pictures looked unusual before a failure."),
    click.option("--junit", type=NewFile(), help="Write JUnit XML here too: each scenario is a test."),
    click.option("--jobs", type=int, default=1, show_default=True, help="Worker processes, for RoadSim."),
    click.option(
        "--serve",
        type=click.Choice(["donkey", "udacity"]),
        help="Drive nothing: be that simulator, with RoadSim inside, for an agent of yours that speaks its protocol.",
    ),
    SEED,
    DEVICE,
    FRESH,
    out("driving", "drive.html, outcomes.json, film.gif and repaired.safetensors"),
    JSON,
)
def drive(json_file: Path | None, serve: str | None, **options: Any) -> None:
    """Drive AGENT on roads under perturbations: which make it leave the lane, and at which severity.

    AGENT is package.module:factory or a file, a network of pictures -> (steering in radians, throttle); the bundled
    pilot by default. Killed, it goes on from where it was.
    """
    from deepwright import workflows
    from deepwright.core.files import write_json

    if serve is not None:
        _require_alone(click.get_current_context())
        _serve(serve, options)
        return
    given = {name: value for name, value in options.items() if value is not None}
    if "severities" in given:
        given["severities"] = tuple(int(s) if s == int(s) else s for s in given["severities"])
    found = workflows.drive(workflows.DriveOptions(given.pop("agent", None), **given), say=tell)
    if json_file is not None:
        write_json(json_file, found.to_dict())
    _print(found, options["out"])


def _print(found: Any, folder: Path) -> None:
    from deepwright.report import print_table

    print_table(found.table)
    if found.repaired is not None:
        print_table(found.repaired.table)
    for line in found.lines():
        click.echo(line)
    for file in (folder / "drive.html", folder / "outcomes.json", found.film, found.weights):
        if file is not None:
            click.echo(str(file))


def _require_alone(context: click.Context) -> None:
    """Refuse words of a campaign beside --serve, which drives nothing."""
    from deepwright.core.errors import InputError

    for param in context.command.params:
        given = context.get_parameter_source(param.name or "") is click.core.ParameterSource.COMMANDLINE
        if given and param.name not in _OF_SERVE:
            what = param.opts[0] if isinstance(param, click.Option) else "AGENT"
            hint = "your agent connects by the simulator's protocol"
            raise InputError(what, given="beside --serve", expected="--host, --port and --seed alone", hint=hint)


def _serve(protocol: str, options: dict[str, Any]) -> None:
    """Until Ctrl-C, or until Udacity's driver hangs up."""
    from deepwright.core.errors import InputError
    from deepwright.corruptions.driving import DonkeyServer, InfrastructureError, UdacityClient

    host, seed, port = options["host"], options["seed"], options["port"]
    if protocol == "donkey":
        server = DonkeyServer(9091 if port is None else port, host, seed=seed)
        tell(f"a Donkey simulator listens at {host}:{server.port}; Ctrl-C ends it")
        server.serve()
        return
    port = 4567 if port is None else port
    tell(f"an Udacity simulator connects to {host}:{port}")
    try:
        UdacityClient(port, host, seed=seed).serve()
    except InfrastructureError as error:
        expected = f"a driver that listens at {host}:{port}; start it first"
        raise InputError("--serve udacity", given=str(error), expected=expected) from error
    tell("the driver hung up")
