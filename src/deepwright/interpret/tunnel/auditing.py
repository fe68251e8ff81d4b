"""Everything about one network: what its shape forbids on a domain, proved or shown, with what follows from it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn

from deepwright.core.errors import InputError
from deepwright.core.files import jsonable, write_json
from deepwright.core.results import Figure, Table
from deepwright.interpret.tunnel.advising import advice
from deepwright.interpret.tunnel.cells import MOST, MOST_FEATURES, cell_certificate
from deepwright.interpret.tunnel.certificates import Certificate, certify
from deepwright.interpret.tunnel.critical import MOST_FEATURES as MOST_SEARCHED
from deepwright.interpret.tunnel.critical import CriticalPoint, Search, search
from deepwright.interpret.tunnel.distances import Distances, corrected, distances, nearest_obstructed
from deepwright.interpret.tunnel.domains import Domain, around
from deepwright.interpret.tunnel.floors import Floor, SampleFloor, approximation_floor, approximation_floor_from_samples
from deepwright.interpret.tunnel.islands import island
from deepwright.interpret.tunnel.layers import Chain, is_known
from deepwright.interpret.tunnel.maps import Outputs, ScalarMap, scalar_map
from deepwright.interpret.tunnel.pictures import level_sets, ratio_bars
from deepwright.interpret.tunnel.singular import WIDEST, SingularLayer, singular_layers
from deepwright.interpret.tunnel.winding import winding
from deepwright.interpret.tunnel.witnesses import TunnelPath, tunnel_paths

WITNESSES = 4


@dataclass(frozen=True)
class EmbeddingReport:
    """What was found of a network on a domain.

    Attributes:
        verdict: "ABSENT" (proved: no critical point), "PRESENT" (a verified one), or "UNDECIDED".
        reason: what shows it, or what would decide.
        structure: "non-augmented", "augmented", or "augmented with a bottleneck"; "unknown" where it isn't taken apart.
        widths: of the hidden states, the input's first.
        certificate: the proof, or where it fails.
        points: critical points that were found.
        winding: of the gradient along the domain's boundary, in the plane; None elsewhere or where it isn't resolved.
        accounted: whether the points found add up to it.
        singular: blocks whose Jacobian changes its determinant's sign.
        floor: of the target, for maps without critical points.
        sample_floor: what the data suggest.
        distances: to the nearest obstructed networks.
        near_floor: the floor less the smaller of them, of those relatives that are proved to have no critical point;
            None where it says nothing.
        witnesses: tunnels.
        advice: what would change the verdict.
        notes: what was left out, and why.
        figures: level sets with points and tunnels (in the plane), ratios of the blocks.
    """

    verdict: str
    reason: str
    structure: str
    widths: tuple[int, ...]
    certificate: Certificate
    points: tuple[CriticalPoint, ...] = ()
    winding: int | None = None
    accounted: bool | None = None
    singular: tuple[SingularLayer, ...] = ()
    floor: Floor | None = None
    sample_floor: SampleFloor | None = None
    distances: Distances | None = None
    near_floor: float | None = None
    witnesses: tuple[TunnelPath, ...] = ()
    advice: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    figures: list[Figure] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """Plain data."""
        plain: dict[str, Any] = jsonable(asdict(replace(self, points=(), witnesses=(), floor=None, singular=())))
        plain["points"] = [asdict(p) | {"x": p.x.tolist()} for p in self.points]
        plain["singular"] = [asdict(s) | {"at": None if s.at is None else s.at.tolist()} for s in self.singular]
        ways = [{"points": w.points.tolist(), "values": w.values.tolist()} for w in self.witnesses]
        plain["witnesses"] = [
            way | {"reached_boundary": w.reached_boundary, "monotone": w.monotone}
            for way, w in zip(ways, self.witnesses)
        ]
        if self.floor is not None:
            at = None if self.floor.argmin is None else self.floor.argmin.tolist()
            plain["floor"] = {"sup": self.floor.sup, "mse": self.floor.mse, "argmin": at}
        return jsonable(plain)

    def to_json(self, path: Path | str) -> Path:
        """Write JSON.

        Args:
            path: of the file.
        """
        return write_json(path, self.to_dict())

    def table(self) -> Table:
        """Block by block."""
        rows: list[list[Any]] = []
        for b in self.certificate.per_block:
            margin = b.log10_margin if b.log10_margin > -math.inf else None
            rows.append([b.name, b.rule, margin, b.reason])
        columns = ["factor", "shown by", "log10 of its margin", "in words"]
        return Table(columns, rows, "Whether each factor's Jacobian can be singular on the domain")


def audit_embedding(
    model: nn.Module,
    data: tuple[Float[Tensor, "batch n"], Shaped[Tensor, " batch"]] | Float[Tensor, "batch n"] | None = None,
    domain: Domain | None = None,
    target: Callable[[Tensor], Tensor] | None = None,
    outputs: Outputs = None,
    *,
    n_starts: int = 256,
    cells: int = MOST,
    resolution: int = 101,
    seed: int = 0,
) -> EmbeddingReport:
    """Whether a network can, and does, enclose a region of its inputs; what it can't represent where it doesn't.

    Args:
        model: in eval mode.
        data: inputs, or inputs and labels (classes, or a real target).
        domain: in the units of the model's input; the box of the data, a tenth wider, when None.
        target: the function that it should be, (batch, n) -> (batch,).
        outputs: which output, or the pair of a margin; None where there is one.
        n_starts: of the search for critical points.
        cells: budget of the proof by cells.
        resolution: points a side of the target's grid.
        seed: of all draws.

    Raises:
        InputError: neither data nor domain, what `scalar_map` refuses, or a domain of another dimension.
    """
    x, y = data if isinstance(data, tuple) else (data, None)
    x, y = _checked(x, y)
    if domain is None:
        if x is None:
            raise InputError("domain", given="neither domain nor data", expected="one of them")
        domain = around(x.flatten(1))
    example = x if x is not None else domain.centre[None].expand(2, -1)
    if example[0].numel() != domain.dimension:
        given = f"{domain.dimension} features for inputs of {example[0].numel()}"
        raise InputError("domain", given=given, expected="as many as an input has")
    fn = scalar_map(model, example, outputs)
    notes = list(fn.notes)
    judged = verdict_of(fn, domain, n_starts=n_starts, cells=cells, seed=seed)
    chain = fn.chain
    folded: list[SingularLayer] = []
    if chain is not None and max(_widths(chain)) <= WIDEST:
        folded = singular_layers(chain, domain, generator=torch.Generator().manual_seed(seed))
    number, accounted = _counted(fn, domain, judged, notes)
    floor = None if target is None else approximation_floor(target, domain, resolution)
    by_samples = None if x is None or y is None else _sample_floor(x, y, notes)
    away = distances(chain, domain) if chain is not None and fn.smooth else None
    if fn.smooth is False:
        notes.append("no floor is given: it needs the gradient's flow, and the network isn't differentiable everywhere")
        floor = by_samples = None
    near = None
    if chain is not None and floor is not None and away is not None:
        near = corrected(floor.sup, nearest_obstructed(chain, domain, away))
    ways: list[TunnelPath] = []
    if judged.verdict != "PRESENT" and fn.smooth is not False and x is not None and y is not None:
        ways = _witnesses(fn, domain, x.flatten(1), y)
    report = EmbeddingReport(
        judged.verdict,
        judged.reason,
        _structure(chain),
        tuple(_widths(chain)) if chain is not None else (domain.dimension,),
        judged.certificate,
        judged.search.points,
        number,
        accounted,
        tuple(folded),
        floor,
        by_samples,
        away,
        near,
        tuple(ways),
        tuple(advice(chain, judged.verdict, domain)),
        tuple(notes),
    )
    return replace(report, figures=_figures(fn, domain, report))


def _checked(x: Tensor | None, y: Tensor | None) -> tuple[Tensor | None, Tensor | None]:
    if x is not None and (x.ndim < 2 or not len(x)):
        raise InputError("data", given=f"inputs of shape {tuple(x.shape)}", expected="(batch, n), not empty")
    if x is not None and not x.is_floating_point():
        x = x.double()
    if x is None or y is None:
        return x, None
    if y.numel() != len(x):
        raise InputError("labels", given=f"shape {tuple(y.shape)}", expected=f"({len(x)},), one an input")
    return x, y.reshape(-1)


@dataclass(frozen=True)
class Verdict:
    """The verdict with what it rests on.

    Attributes:
        verdict: "ABSENT", "PRESENT" or "UNDECIDED".
        reason: in words.
        certificate: factor by factor.
        search: for critical points; empty where the certificate holds.
    """

    verdict: str
    reason: str
    certificate: Certificate
    search: Search


def verdict_of(fn: ScalarMap, domain: Domain, *, n_starts: int = 256, cells: int = MOST, seed: int = 0) -> Verdict:
    """ABSENT by a proof, PRESENT by a verified point, else UNDECIDED: neither samples nor small gradients decide.

    Args:
        fn: a map.
        domain: in its units.
        n_starts: of the search.
        cells: budget of the proof by cells.
        seed: of the search.
    """
    nothing = Search((), math.nan, why="not needed")
    proof = certify(fn.chain, domain)
    if proof.verdict == "ABSENT":
        return Verdict("ABSENT", proof.reason, proof, nothing)
    if domain.dimension > MOST_SEARCHED:
        why = f"{domain.dimension} features: critical points are searched in at most {MOST_SEARCHED}"
        return Verdict("UNDECIDED", f"{proof.reason}; {why}", proof, replace(nothing, why=why))
    found = search(fn, domain, n_starts, torch.Generator().manual_seed(seed))
    point = next((p for p in found.points if p.verified), None)
    if point is not None:
        return Verdict("PRESENT", _located(point), proof, found)
    if fn.smooth is False and domain.dimension <= MOST_FEATURES:
        seen = island(fn, domain)
        if seen is not None:
            return Verdict("PRESENT", seen, proof, found)
    if is_known(fn.chain) and domain.dimension <= MOST_FEATURES and found.scale > 0:
        cut = cell_certificate(fn.chain, domain, cells)
        if cut.absent:
            margin = math.log10(cut.least) if cut.least > 0 else -math.inf
            reason = f"on each of {cut.looked_at} cells the gradient points to one side"
            return Verdict("ABSENT", reason, replace(proof, verdict="ABSENT", margin=margin, reason=reason), found)
        if fn.smooth:
            again = search(fn, domain, 1, torch.Generator().manual_seed(seed), more=cut.resisting)
            found = replace(found, points=_joined(found.points, again.points, domain))
            point = next((p for p in found.points if p.verified), None)
            if point is not None:
                return Verdict("PRESENT", _located(point), proof, found)
    return Verdict("UNDECIDED", f"{proof.reason}; {found.why or _undecided(found)}", proof, found)


def _joined(a: Sequence[CriticalPoint], b: Sequence[CriticalPoint], domain: Domain) -> tuple[CriticalPoint, ...]:
    apart = 1e-4 * domain.diameter
    new = [p for p in b if all(float((p.x - q.x).norm()) > apart for q in a)]
    return tuple(sorted((*a, *new), key=lambda p: not p.verified))


def _located(point: CriticalPoint) -> str:
    kind = "a minimum" if point.index == 0 else "a maximum" if point.index == len(point.x) else "a saddle"
    at = ", ".join(f"{v:.4g}" for v in point.x.tolist()[:6])
    return f"{kind} at ({at}{', ...' if len(point.x) > 6 else ''}) with value {point.value:.4g}: {point.how}"


def _undecided(found: Search) -> str:
    if found.points:
        return f"{len(found.points)} candidates that nothing verifies: {found.points[0].how}"
    return "no critical point was found, which proves nothing: a tighter bound or more cells would decide"


def _widths(chain: Chain) -> list[int]:
    widths = [chain[0].widths[0]]
    for element in chain[:-1]:
        if element.widths[1] != widths[-1]:
            widths.append(element.widths[1])
    return widths


def _structure(chain: Chain | None) -> str:
    if chain is None:
        return "unknown"
    widths = _widths(chain)
    if max(widths) <= widths[0]:
        return "non-augmented"
    wide = next(i for i, w in enumerate(widths) if w > widths[0])
    return "augmented with a bottleneck" if min(widths[wide:]) < widths[wide] else "augmented"


def _counted(fn: ScalarMap, domain: Domain, judged: Verdict, notes: list[str]) -> tuple[int | None, bool | None]:
    if domain.dimension != 2 or fn.smooth is False:
        return None, None
    try:
        number = winding(fn, domain)[0]
    except ArithmeticError as error:
        notes.append(f"the winding number along the boundary isn't known: {error}")
        return None, None
    return number, number == sum((-1) ** p.index for p in judged.search.points if p.verified)


def _sample_floor(x: Tensor, y: Tensor, notes: list[str]) -> SampleFloor | None:
    try:
        return approximation_floor_from_samples(x.flatten(1), y)
    except InputError as error:
        notes.append(f"no floor from the samples: {error}")
        return None


def _witnesses(fn: ScalarMap, domain: Domain, x: Tensor, y: Tensor) -> list[TunnelPath]:
    """From samples of each class that lie deepest among their own prediction: those nearest to the class's mean."""
    if y.is_floating_point():
        return []
    starts, signs = [], []
    inside = domain.contains(x.to(fn.device, torch.float64))
    for label in y.unique().tolist():
        own = x[(y == label) & inside.to(y.device)]
        if not len(own):
            continue
        near = (own - own.mean(0)).norm(dim=1).argsort()[:WITNESSES]
        starts.append(own[near])
        with torch.no_grad():
            values = fn(own[near].to(fn.device, torch.float64))
        signs.append(torch.where(values >= 0, 1.0, -1.0).cpu())
    return tunnel_paths(fn, torch.cat(starts), domain, torch.cat(signs)) if starts else []


def _figures(fn: ScalarMap, domain: Domain, report: EmbeddingReport) -> list[Figure]:
    figures = []
    if domain.dimension == 2:
        figures.append(level_sets("What the network says on its domain", [("", fn, report)], domain))
    if fn.chain is not None:
        bars = ratio_bars(fn.chain)
        figures += [bars] if bars is not None else []
    return figures
