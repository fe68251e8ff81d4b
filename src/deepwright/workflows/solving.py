"""Solve a differential equation: a problem in, a trained network with its certificate and pictures out."""

from __future__ import annotations

import math
from dataclasses import KW_ONLY, dataclass, field, replace
from html import escape
from pathlib import Path
from typing import Any

import torch
from torch import nn

from deepwright.core.devices import resolve
from deepwright.core.errors import InputError
from deepwright.core.files import write_json, write_text
from deepwright.core.requirements import require_positive, require_whole
from deepwright.core.results import Figure, Table
from deepwright.core.statistics import Interval
from deepwright.core.user_code import mistakes_told
from deepwright.nets import write_weights
from deepwright.physics.solve import Certificate, LeastSquaresProblem, PDEProblem, Phase, Training, certify
from deepwright.physics.two_phase import TwoPhasePINN, TwoPhaseProblem
from deepwright.report import svg
from deepwright.report.page import document
from deepwright.report.tables import table_html
from deepwright.workflows.options import (
    Say,
    quiet,
    require_choice,
    require_place,
    require_writable,
    said,
)
from deepwright.workflows.precision import placed, true_dtype
from deepwright.workflows.problems import stated
from deepwright.workflows.solution_pictures import flow_figure, loss_figure, solution_figures, solution_film

OPTIMIZERS = ("lm", "adam", "lbfgs", "bfgs", "ssbfgs", "ssbroyden")
_PRECISIONS = ("32-true", "64-true")  # least squares need all the digits that there are
_FRESH, _DENSE = 7919, 4  # seeds of new points are this far from the old; so many times as many


@dataclass(frozen=True)
class SolveOptions:
    """Which problem is solved, how, and where the files go.

    Attributes:
        problem: a name of `deepwright solve --list`, a Python file with `problem = PDEProblem(...)` (it is run), or
            such a problem.
        steps: of `optimizer` instead of the problem's own schedule.
        optimizer: one of `OPTIMIZERS`, with `steps`; "lm" by default.
        max_time: CPU seconds at most.
        seed: of network and points.
        device: where it is trained; where the problem makes its network by default.
        precision: "32-true" or "64-true"; the problem's own by default.
        out: folder of the files, and of the state that an interrupted run goes on from.

    Raises:
        InputError: words or numbers out of their range, an optimizer without steps.
    """

    problem: str | Path | PDEProblem | TwoPhaseProblem
    _: KW_ONLY
    steps: int | None = None
    optimizer: str | None = None
    max_time: float | None = None
    seed: int = 0
    device: str | None = None
    precision: str | None = None
    out: Path | str = Path("solution")

    def __post_init__(self) -> None:
        require_whole(1, **said(steps=self.steps))
        require_positive(**said(max_time=self.max_time))
        require_whole(0, seed=self.seed)
        if self.optimizer is not None:
            require_choice("optimizer", self.optimizer, OPTIMIZERS)
        if self.optimizer is not None and self.steps is None:
            hint = "say how many steps, too; the problem has a schedule of its own"
            raise InputError("optimizer", given=f"{self.optimizer} without steps", expected="both or none", hint=hint)
        require_place(self.device, self.precision, _PRECISIONS)

    @property
    def schedule(self) -> list[Phase] | None:
        """The one phase that was asked for, or None for the problem's own schedule."""
        return None if self.steps is None else [Phase(self.optimizer or "lm", self.steps)]


@dataclass(frozen=True)
class Solved:
    """A trained network and what can be said of it.

    Attributes:
        network: that solves the problem.
        certificate: residuals on its points and on others, errors where the truth is known.
        training: what the fit did.
        table: residuals of each block.
        film: the file, where there is one.
        unknowns: what was found of an inverse problem's unknowns.
    """

    network: nn.Module
    certificate: Certificate
    training: Training
    table: Table
    film: Path | None = None
    unknowns: dict[str, Interval] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Plain data: the certificate, unknowns, steps, seconds and loss."""
        fit = self.training
        found = {name: vars(interval) for name, interval in self.unknowns.items()}
        return self.certificate.to_dict() | {
            "unknowns": found,
            "steps": fit.steps,
            "seconds": fit.seconds,
            "loss": fit.loss,
        }

    def lines(self) -> list[str]:
        """Errors, warnings and what the fit did, in words."""
        fit = self.training
        done = f"{fit.steps} steps, {fit.seconds:.1f} CPU seconds, loss {fit.loss:.3g}"
        found = [
            f"{name} = {value.value:.6g} (no interval: nothing that was measured decides it)"
            if math.isnan(value.low)
            else f"{name} = {value.value:.6g}, 95 % interval {value.low:.6g} to {value.high:.6g}"
            for name, value in self.unknowns.items()
        ]
        return [*found, *self.certificate.lines(), *self.certificate.warnings, done, *fit.stopped]


def solve(options: SolveOptions, *, say: Say = quiet) -> Solved:
    """Train, certify, draw; in `out` are then `solution.html`, `certificate.json`, `weights.safetensors`, `fit.pt`.

    An interrupted run goes on from `fit.pt`; where the problem or an option is another, it is refused by name.

    Args:
        options: the problem and the rest.
        say: told what is solved.

    Raises:
        InputError: an unknown problem, a file that fails; bad input of any kind.
        OtherWorkError: a run on something else lies in `out`.
    """
    require_writable(options.out)
    given = options.problem
    if not isinstance(given, str | Path | PDEProblem | TwoPhaseProblem):
        expected = "a name, a .py file, a PDEProblem or a TwoPhaseProblem"
        raise InputError("problem", given=type(given).__name__, expected=expected)
    problem = stated(str(given)) if isinstance(given, str | Path) else given
    stating = given if isinstance(given, str | Path) else "the problem"
    with mistakes_told(f"cannot solve {stating}", "residuals, conditions and networks that can be called"):
        if isinstance(problem, TwoPhaseProblem):
            return _flow(problem, options)
        say(f"{problem.name}: {len(problem.conditions)} conditions over {problem.domain.dim} axes")
        return _equation(problem, options)


def _equation(problem: PDEProblem, options: SolveOptions) -> Solved:
    out = Path(options.out)
    network = placed(problem.make_network(options.seed), options.device, options.precision)
    found = problem.solve(
        seed=options.seed,
        network=network,
        checkpoint=out / "fit.pt",
        max_time=options.max_time,
        schedule=options.schedule,
    )
    kept = _kept(out, found.network, found.training)
    kept = replace(kept, unknowns=found.unknowns)
    write_json(out / "certificate.json", kept.to_dict())
    certificate = certify(problem, found.network, seed=options.seed)
    solved = replace(kept, certificate=certificate, table=_table(certificate))
    write_json(out / "certificate.json", solved.to_dict())
    solved = replace(solved, film=solution_film(found, out / "film.gif"))
    figures = [loss_figure(found.training), *solution_figures(found)]
    write_text(out / "solution.html", _page(problem.name, solved, figures))
    return solved


def _flow(problem: TwoPhaseProblem, options: SolveOptions) -> Solved:
    out = Path(options.out)
    dtype = true_dtype(options.precision, torch.float64)
    device = resolve(options.device or "cpu", "device")
    solver = TwoPhasePINN(problem, (16, 16), seed=options.seed, dtype=dtype, device=device)
    training = solver.fit(options.schedule, max_time=options.max_time, checkpoint=out / "fit.pt")
    kept = _kept(out, solver.model, training)
    trained = solver.least_squares().breakdown()
    fresh, dense = (
        LeastSquaresProblem(solver.model, solver.blocks(solver.counts.times(k), solver.seed + _FRESH)).breakdown()
        for k in (1, _DENSE)
    )
    doubts = [
        "a flow of several fluids isn't linearised; what is told is residuals, and errors where the flow is known"
    ]
    certificate = Certificate(trained, fresh, dense, errors=solver.errors(), doubts=doubts)
    solved = replace(kept, certificate=certificate, table=_table(certificate))
    write_json(out / "certificate.json", solved.to_dict())
    figures = [loss_figure(training), flow_figure(solver, out / "film.gif")]
    solved = replace(solved, film=out / "film.gif")
    name = str(options.problem) if isinstance(options.problem, str | Path) else "a flow of several fluids"
    write_text(out / "solution.html", _page(name, solved, figures))
    return solved


def _kept(out: Path, network: nn.Module, training: Training) -> Solved:
    """Weights and what the fit did, on disk before anything that may fail looks at them."""
    write_weights(out / "weights.safetensors", network)
    nothing = Certificate({}, {}, {})
    solved = Solved(network, nothing, training, _table(nothing))
    write_json(out / "certificate.json", solved.to_dict())
    return solved


def _table(certificate: Certificate) -> Table:
    rows: list[Any] = [
        [k, rms, certificate.fresh.get(k), certificate.dense.get(k)] for k, rms in certificate.trained.items()
    ]
    return Table(["block", "RMS on its points", "on fresh points", "on four times as many"], rows, "residuals")


def _page(name: str, solved: Solved, figures: list[Figure]) -> str:
    head = f'<header><p class="kind">Deepwright solution</p><h1>{escape(name)}</h1></header>'
    text = "".join(f"<p>{escape(line)}</p>" for line in solved.lines())
    drawn = "".join(f'<section class="page">{svg(f)}</section>' for f in figures)
    return document(name, f'{head}<section class="page">{text}{table_html(solved.table)}</section>{drawn}')
