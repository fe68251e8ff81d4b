"""What a comparison of publishers found: shares with intervals, paired tests, and whether anything is worth doing."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import torch

from deepwright.adversarial.sharpening.arms import NONE
from deepwright.core.pareto import nondominated
from deepwright.core.results import Table
from deepwright.core.statistics import Interval, holm, mcnemar, wilson

_LEVEL = 0.05


@dataclass
class Row:
    """One way to publish.

    Attributes:
        name: of the way.
        control: whether it is a control at equal error.
        error: mean squared error of each picture.
        ssim: of each picture.
        met: whether each picture is at the error that it was to be put at.
        clean: whether the target is right on each published picture.
        right: "transfer 0.03" -> whether the target is right on each attacked picture; absent where there is no such
            attacker.
        seconds: of CPU for each batch's picture.
    """

    name: str
    control: bool = False
    error: list[float] = field(default_factory=list)
    ssim: list[float] = field(default_factory=list)
    met: list[bool] = field(default_factory=list)
    clean: list[bool] = field(default_factory=list)
    right: dict[str, list[bool]] = field(default_factory=dict)
    seconds: list[float] = field(default_factory=list)

    def take(self, batch: dict[str, Any]) -> None:
        """Add a batch.

        Args:
            batch: as the bench measures it.
        """
        for name in ("error", "ssim", "met", "clean"):
            getattr(self, name).extend(batch[name])
        self.seconds.append(batch["seconds"])
        for what, outcomes in batch["cells"].items():
            if outcomes is not None:
                self.right.setdefault(what, []).extend(outcomes)

    @property
    def comparable(self) -> bool:
        """Whether a control is where it was to be put in nineteen pictures of twenty at least."""
        return not self.control or sum(self.met) >= 0.95 * len(self.met)

    @property
    def psnr(self) -> float:
        """Of the mean squared error over all pictures; infinite for none."""
        mean = math.fsum(self.error) / len(self.error)
        return math.inf if mean == 0 else -10 * math.log10(mean)

    def under(self, what: str) -> list[bool]:
        """Outcomes under an attacker; whom nobody asked is attacked from the surrogate in the column of transfer.

        Args:
            what: a key of `right`, of this row or of another.
        """
        return self.right[what if what in self.right else what.replace("grey box", "transfer")]

    def share(self, what: str) -> Interval:
        """Of pictures that the target is right on.

        Args:
            what: "clean", or a key of `right`.
        """
        outcomes = self.clean if what == "clean" else self.right[what]
        return wilson(sum(outcomes), len(outcomes))

    def kept(self, what: str) -> Interval | None:
        """Of pictures that the target is right on before the attack, the share on which it stays so.

        Args:
            what: a key of `right`.
        """
        n = sum(self.clean)
        return wilson(sum(a and b for a, b in zip(self.clean, self.right[what])), n) if n else None


@dataclass
class Comparison:
    """Ways to publish under four attackers.

    Attributes:
        n: pictures.
        eps: budgets, rising; the verdict is at the last.
        rows: "none" first, then the methods, then the controls.
        third: whether the column transfer is of a third network.
        attack: what carries over.
    """

    n: int
    eps: tuple[float, ...]
    rows: list[Row]
    third: bool
    attack: str

    def __getitem__(self, name: str) -> Row:
        """The row of a way to publish."""
        return next(row for row in self.rows if row.name == name)

    def judged(self, row: Row) -> str:
        """By which attacker a way is judged: transfer, or the grey box of one who asked the surrogate.

        Args:
            row: one of `rows`.
        """
        transfer = f"transfer {self.eps[-1]!r}"
        return transfer if transfer in row.right else f"grey box {self.eps[-1]!r}"

    def p_value(self, row: Row, other: Row, what: str | None = None) -> float:
        """McNemar's p that two ways are equally often right, each under its own attacker.

        Args:
            row: one of `rows`.
            other: another.
            what: a key of both rows' `right` (of the other the same attacker's), or "clean"; what each is judged by
                where None.
        """
        one, two = (torch.tensor(r.clean if what == "clean" else r.under(what or self.judged(r))) for r in (row, other))
        return mcnemar(one, two)

    @property
    def chosen(self) -> list[str]:
        """Methods worth their error: better than none and than every control at equal error, none of them dominated.

        Better is a higher share right under attack, at Holm's adjusted p below 0.05 against "none" and at a p below
        0.05 against each control; fewer right without an attack (at p below 0.05) is a reason against. Of what is left,
        those that no other one beats in robustness, PSNR and time together.
        """
        none, controls = self[NONE], [r for r in self.rows if r.control and r.comparable]
        methods = [r for r in self.rows if not r.control and r is not none]
        adjusted = holm([self.p_value(r, none) for r in methods])
        good = [
            r
            for r, p in zip(methods, adjusted)
            if p < _LEVEL
            and self._robust(r) > self._robust(none)
            and all(self._robust(r) > self._robust(c) and self.p_value(r, c) < _LEVEL for c in controls)
            and not self._costs(r)
        ]
        if not good:
            return []
        goals = torch.tensor([[-self._robust(r), -r.psnr, sum(r.seconds)] for r in good], dtype=torch.float64)
        return [r.name for r, best in zip(good, nondominated(goals.numpy())) if best]

    def _robust(self, row: Row) -> float:
        return row.share(self.judged(row)).value

    def _costs(self, row: Row) -> bool:
        """Whether the target is shown to be right on fewer pictures without an attack."""
        none = self[NONE]
        return sum(row.clean) < sum(none.clean) and self.p_value(row, none, "clean") < _LEVEL

    @property
    def verdict(self) -> str:
        """What to do, in a sentence: "do nothing" is one of the answers."""
        if self.chosen:
            return f"Worth their error: {', '.join(self.chosen)}."
        none = self[NONE]
        better = [
            r
            for r in self.rows
            if r is not none and self._robust(r) > self._robust(none) and self.p_value(r, none) < _LEVEL
        ]
        plain = [r.name for r in better if r.control and r.comparable]
        if not better:
            return f"Do nothing: no way to publish is shown to do better than none ({self.n} pictures)."
        if plain:
            return f"Do nothing of these: {', '.join(plain)} at the same squared error does as well."
        if all(map(self._costs, better)):
            return "Do nothing: what helps against the attack costs right answers without it."
        return f"Do nothing: no method is shown to do better than none and than every control ({self.n} pictures)."

    def table(self) -> Table:
        """Each way beside each attacker; p is McNemar's against "none"."""
        none = self[NONE]
        attackers = [f"{kind} {e!r}" for e in self.eps for kind in ("transfer", "grey box", "white box", "reversion")]
        attackers = [a for a in attackers if any(a in r.right for r in self.rows)]
        columns = ["published", "PSNR (dB)", "SSIM", "right", "ms a picture"]
        for attacker in attackers:
            kind, _, eps = attacker.rpartition(" ")
            columns += [f"{kind}, eps {float(eps):.3g}", "95 % from", "95 % to", "p", "of those right"]
        rows = []
        for r in self.rows:
            mark = "" if r.comparable else " (not at that error)"
            psnr = "" if math.isinf(r.psnr) else round(r.psnr, 2)
            milliseconds = 1e3 * math.fsum(r.seconds) / len(r.seconds)
            row: list[Any] = [r.name + mark, psnr, math.fsum(r.ssim) / self.n, r.share("clean").value, milliseconds]
            for attacker in attackers:
                row += self._cells(r, none, attacker)
            rows.append(row)
        source = "a third network" if self.third else "the surrogate"
        caption = (
            f"{self.n} pictures; transfer: {self.attack} on {source}, its last step; p against none; controls at the "
            "squared error of the first method"
        )
        return Table(columns, rows, caption)

    def _cells(self, row: Row, none: Row, attacker: str) -> list[Any]:
        if attacker not in row.right:
            return [""] * 5
        share, kept = row.share(attacker), row.kept(attacker)
        p: Any = "" if row is none or attacker.startswith("reversion") else self.p_value(row, none, attacker)
        return [share.value, share.low, share.high, p, "" if kept is None else kept.value]
