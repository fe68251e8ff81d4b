"""Goals as logic programs: clauses with the head `goal`, whose stable models are sets of states."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from deepwright.core.errors import InputError, MissingExtraError
from deepwright.core.randomness import generator
from deepwright.core.requirements import require_positive, require_whole
from deepwright.pathfinding.domains.atoms import AtomSpace

Model = frozenset[str]

_LONGEST = 20_000
_DIRECTIVE = re.compile(r"#\s*([a-zA-Z_]*\+?)")
_ALLOWED = {"count", "sum", "sum+", "min", "max", "true", "false", "inf", "sup"}
_TRIAL = Path(__file__).with_name("trial.py")


class GoalProgram:
    """Clauses such as `goal :- at(1,0,0), not at(8,2,2).` over the atoms of a domain, and rules of one's own.

    A model is a set of atoms, from which the clauses derive `goal`: a partial assignment. The text is data: only clingo
    reads it, first in a process of its own with limits of time and memory. Scripts, includes and everything else that
    reaches out of a program (`#` with other than aggregates, `@`, `&`) are refused, wherever they stand.

    Args:
        space: of the domain.
        text: the clauses, at most 20,000 characters.
        seconds: for grounding, and for each search for a model.
        max_bytes: of memory for grounding.
        seed: of models.

    Raises:
        MissingExtraError: without clingo.
        InputError: what clingo can't read, with line and column; no clause with the head `goal`; atoms that nothing
            makes true; what is refused, or exceeds a limit.

    Source: F. Agostinelli et al., "Specifying goals to deep neural networks with answer set programming", ICAPS 2024.
    """

    def __init__(
        self, space: AtomSpace, text: str, *, seconds: float = 10.0, max_bytes: int = 2_000_000_000, seed: int = 0
    ) -> None:
        require_positive(seconds=seconds)
        require_whole(1, max_bytes=max_bytes)
        require_whole(0, seed=seed)
        _require_plain(text)
        self.space, self.text, self.seconds, self.seed = space, text, seconds, seed
        frame = f"{{ {'; '.join(space.atoms)} }}.\n{space.background}\n:- not goal.\n#defined goal/0."
        self._blocks = [frame, text]
        _try_grounding(self._blocks, seconds, max_bytes)
        self._asked = self._control()  # no bans here
        if not any(True for _ in self._asked.symbolic_atoms.by_signature("goal", 0)):
            raise InputError(
                "goals", given="no way to `goal`", expected="a clause that can hold, as: goal :- at(1,0,0)."
            )
        self._open = self._control()
        self._drawn, self._bans = 0, 0

    def models(self, at_most: int | None = None, within: Iterable[str] = (), minimal: bool = True) -> Iterator[Model]:
        """Models that aren't banned, at random, none twice: in the end all of them.

        Args:
            at_most: how many.
            within: atoms that all of them have.
            minimal: no single atom can be left out, but for those of `within`; nor does one contain another that was
                given before.

        Raises:
            InputError: a search took longer than `seconds`.
        """
        kept = frozenset(within)
        seen: list[Any] = []
        try:
            while at_most is None or len(seen) < at_most:
                found = self._draw(kept)
                if found is None:
                    return
                model = self._smallest(found, kept) if minimal else found
                seen.append(self._leave_out(model, whole=minimal))
                yield model
        finally:  # what was given may be drawn again by another call
            for guard in seen:
                self._open.release_external(guard)

    def check(self, state: Tensor) -> bool:
        """Whether the clauses derive `goal` for a state as a whole, where all that doesn't hold is false.

        Args:
            state: (*state_shape).
        """
        return self._is_model(self._asked, frozenset(self.space.of_state(state)))

    def partial(self, model: Model) -> Tensor:
        """A model as a partial assignment, the goal of `PartialGoals`.

        Args:
            model: its atoms.
        """
        return self.space.partial(model)

    def ban(self, model: Model, whole: bool = True) -> None:
        """Draw a model no more.

        Args:
            model: its atoms.
            whole: nor any that contains it, as when no state with these atoms can be reached.
        """
        body = self._body(model, whole)
        self._add(f":- {body}." if body else ":- .")

    def _leave_out(self, model: Model, whole: bool) -> Any:
        """A ban that can be lifted: what it hangs on."""
        import clingo

        name = f"__given{self._bans}"
        body = self._body(model, whole)
        self._add(f"#external {name}. :- {name}{', ' * bool(body)}{body}.")
        guard = clingo.Function(name)
        self._open.assign_external(guard, True)
        return guard

    def _body(self, model: Model, whole: bool) -> str:
        """What holds in a model, and in those that contain it where `whole`."""
        atoms = ", ".join(sorted(model))
        others = f"{len(model) + 1} {{ {'; '.join(self.space.atoms)} }}"
        return ", ".join(part for part in (atoms, "" if whole else f"not {others}") if part)

    def _add(self, text: str) -> None:
        part = f"ban{self._bans}"
        self._bans += 1
        self._open.add(part, [], text)
        self._open.ground([(part, [])])

    def _draw(self, kept: Model) -> Model | None:
        """A model at random: atoms are looked at in random order, and decided at random."""
        self._drawn += 1
        found: list[Model] = []
        self._solve(self._open, kept, frozenset(), found)
        if not found:
            return None
        return found[0]

    def _smallest(self, model: Model, kept: Model) -> Model:
        """Without atoms that can go, tried one after another in random order."""
        order = sorted(model - kept)
        rng = generator(self.seed, "models", self._drawn)
        for i in torch.randperm(len(order), generator=rng).tolist():
            smaller = model - {order[i]}
            if self._is_model(self._open, smaller):
                model = smaller
        return model

    def _is_model(self, control: Any, atoms: Model) -> bool:
        return self._solve(control, atoms, frozenset(self.space.atoms) - atoms, [])

    def _solve(self, control: Any, true: Model, false: Model, found: list[Model]) -> bool:
        """Whether there is a model with some atoms and without others; the first is added to `found`."""
        import clingo

        assumed = [(clingo.parse_term(a), value) for atoms, value in ((true, True), (false, False)) for a in atoms]
        known = frozenset(self.space.atoms)

        def note(model: Any) -> bool:
            found.append(known & {str(symbol) for symbol in model.symbols(atoms=True)})
            return False

        with control.solve(assumptions=assumed, on_model=note, async_=True) as handle:
            if not handle.wait(self.seconds):
                handle.cancel()
                raise InputError("goals", given=f"no answer in {self.seconds:g} s", expected="simpler clauses, or more")
            return bool(handle.get().satisfiable)

    def _control(self) -> Any:
        import clingo

        options = ["--models=1", "--rand-freq=1", "--sign-def=rnd", f"--seed={self.seed % 2**31}", "--warn=none"]
        control = clingo.Control(options, logger=_silent)
        for text in self._blocks:
            control.add("base", [], text)
        control.ground([("base", [])], context=object())
        return control


def _silent(code: Any, message: str) -> None:
    """What grounding has to say was said in the trial."""


def _require_plain(text: str) -> None:
    """Nothing that reaches out of a program, in comments and strings neither."""
    if not isinstance(text, str):
        raise InputError("goals", given=type(text).__name__, expected="text: clauses such as `goal :- at(1,0,0).`")
    if len(text) > _LONGEST:
        raise InputError("goals", given=f"{len(text)} characters", expected=f"at most {_LONGEST}")
    for match in re.finditer(r"[#@&\x00]|:~", text):
        directive = _DIRECTIVE.match(text, match.start())
        if directive is None or directive[1] not in _ALLOWED:
            line = text.count("\n", 0, match.start()) + 1
            column = match.start() - text.rfind("\n", 0, match.start())
            given = repr(directive[0] if directive else match[0])
            raise InputError(
                f"goals, line {line}, column {column}", given=given, expected="clauses and aggregates alone"
            )


def _try_grounding(blocks: list[str], seconds: float, max_bytes: int) -> None:
    """In a process of its own, as grounding can't be stopped in this one."""
    try:
        import clingo
    except ImportError:
        raise MissingExtraError("clingo", "asp", "a goal program") from None
    asked = {"seconds": max(round(seconds), 1), "bytes": max_bytes, "blocks": blocks}
    home = str(Path(clingo.__file__).parents[1])
    start = f"import sys, runpy; sys.path.append({home!r}); runpy.run_path({str(_TRIAL)!r}, run_name='__main__')"
    try:
        ended = subprocess.run(
            [sys.executable, "-c", start], input=json.dumps(asked), capture_output=True, text=True, timeout=seconds + 20
        )
    except subprocess.TimeoutExpired:
        raise InputError("goals", given=f"no end of grounding in {seconds:g} s", expected="fewer instances") from None
    told = ended.stdout.strip().removesuffix("grounded").strip()
    place = re.search(r"<block>:(\d+):(\d+)[-\d:]*: (?:\w+: )?(.*?)(?:\n|$)(.*)", told, re.DOTALL)
    if place is not None:
        why = " ".join((place[3] + " " + place[4].split("\n<block>")[0]).split())[:200]
        raise InputError(f"goals, line {place[1]}, column {place[2]}", given=why, expected="a logic program for clingo")
    if ended.returncode or told:
        why = told[:200] or f"more than {seconds:g} s or {max_bytes} bytes"
        raise InputError("goals", given=why, expected="a logic program for clingo, with fewer instances")
