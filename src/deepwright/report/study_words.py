"""What a study's pages say of its claims, its arms and how it was run, as words and tables."""

from __future__ import annotations

from typing import Any

from deepwright.core.results import Claim, StudyResult, Table, show

RULE = (
    "A claim about a mean holds when its whole 95 % interval (Student's, over the seeds) lies on the side asked for, "
    "fails when all of it lies on the other side, and is not shown when the bar is inside. A claim about every seed "
    "is decided by the seed nearest to failing. Each interval is of one claim alone: of many that hold, a few may do "
    "so by chance."
)


def counted(result: StudyResult) -> str:
    """How many claims hold, and the rule by which it is said."""
    verdicts = [claim.verdict for claim in result.claims]
    held, failed = verdicts.count("holds"), verdicts.count("fails")
    rest = len(verdicts) - held - failed
    shown = f", {rest} not shown" if rest else ""
    told = f" {RULE}" if any(claim.rule for claim in result.claims) else ""
    words = f"{held} hold{'s' * (held == 1)}, {failed} fail{'s' * (failed == 1)}{shown}"
    return f"Of {len(verdicts)} claim{'s' * (len(verdicts) != 1)} {words}.{told}"


def ordered(claims: list[Claim]) -> list[Claim]:
    """Failing claims first, then what isn't shown, then what holds; within each as they were written."""
    ranks = {"fails": 0, "holds": 2}
    return sorted(claims, key=lambda claim: ranks.get(claim.verdict, 1))


def claims_table(result: StudyResult) -> Table:
    """Every claim with what was measured, its interval and what was asked."""
    rows: list[list[Any]] = []
    for c in ordered(result.claims):
        sampled = c.rule in ("mean", "every") or c.low is not None
        over = f"{c.n} {c.basis or 'seeds'}" if sampled else c.basis or str(c.n)
        rows.append([c.text, c.measured, _interval(c), f"{c.sense} {show(c.threshold)}", _spread(c), over, c.verdict])
    return Table(["claim", "measured", "95 % interval", "asked", "spread", "over", "holds"], rows)


def _spread(claim: Claim) -> float | None:
    """None where nothing was spread, or where only an interval is known: a quotient of means, a bootstrap."""
    known = claim.spread != 0 or claim.low == claim.high
    return claim.spread if known and claim.rule not in ("once", "timing") else None


def _interval(claim: Claim) -> str:
    if claim.low is not None and claim.high is not None:
        return f"{show(claim.low)} to {show(claim.high)}"
    return {"every": "the seed nearest to failing", "once": "no sample", "timing": "a timing"}.get(claim.rule, "–")


def reasons(result: StudyResult) -> list[tuple[Claim, str]]:
    """Why claims don't hold, in words, with where that is shown."""
    found = []
    for claim in ordered(result.claims):
        if claim.verdict == "holds":
            continue
        shown = f" Shown by “{claim.experiment}”." if claim.experiment else ""
        if claim.reason:
            found.append((claim, claim.reason + shown))
        elif claim.verdict == "not shown":
            found.append((claim, f"{claim.n} seeds don't decide it: the bar lies inside the interval."))
        elif claim.verdict == "fails" and claim.rule:
            found.append((claim, "No reason is known yet."))
    return found


def arms_table(result: StudyResult) -> Table:
    """What was compared, with how each setting was selected and what it cost."""
    grouped = any(arm.group for arm in result.arms)
    rows: list[list[Any]] = []
    for arm in result.arms:
        chosen = "; ".join(f"{setting} ({n})" for setting, n in arm.chosen.items()) or None
        edge = f"{arm.at_edge} of {sum(arm.chosen.values())} seeds" if arm.at_edge else None
        cells = [arm.name, arm.rule, arm.data or None, arm.tried, chosen, edge, arm.budget, arm.why or None]
        rows.append([arm.group, *cells] if grouped else cells)
    columns = ["arm", "selected by", "on", "tried", "chosen (seeds)", "at the grid's edge", "budget", "why it differs"]
    return Table(["group", *columns] if grouped else columns, rows, "")


def edge_note(result: StudyResult) -> str:
    """What the column of edges doesn't count; empty where all axes of numbers have three or none."""
    pairs = sorted({axis for arm in result.arms for axis, values in arm.grid.items() if _is_pair(values)})
    if not pairs:
        return ""
    return f"Where two numbers were tried, each is an edge, and none is counted: {'; '.join(pairs)}."


def _is_pair(values: list[Any]) -> bool:
    return len(values) == 2 and all(isinstance(v, int | float) and not isinstance(v, bool) for v in values)


def run_lines(result: StudyResult) -> list[str]:
    """Command, seeds, seconds, machine and settings; what was replayed is counted with the seconds it took."""
    settings = dict(result.settings)
    replayed, seeds = settings.pop("replayed from the store", None), settings.pop("seeds", None)
    told = "" if replayed is None else f" ({replayed} replayed from the store, counted with the seconds they took)"
    lines = [
        f"`deepwright study {result.study}` runs it again; with `--check` it says what differs from this page.",
        f"{result.seconds:.0f} seconds{told}, trials counted one after another as they ran.",
    ]
    if seeds is not None:
        lines.append(f"Seeds: {', '.join(map(str, seeds)) if isinstance(seeds, list) else seeds}.")
    if result.machine:
        lines.append(f"Machine: {', '.join(f'{k} {v}' for k, v in result.machine.items())}.")
    if settings:
        lines.append(f"Settings: {', '.join(f'{k} = {_said(v)}' for k, v in settings.items())}.")
    return lines


def _said(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{k} {_said(v)}" for k, v in value.items())
    return show(value)
