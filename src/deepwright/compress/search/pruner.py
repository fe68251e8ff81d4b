"""Two-phase, importance-guided, multi-objective search for pruned networks.

Phase 1 searches one threshold a layer (`thresholds`: a few real numbers, NSGA-II). Its front gives two anchors, a heavy
and a light network; what both keep is kept for good, what both drop is dropped for good (`corridor`), and phase 2
searches bits only where they disagree, with moves that lean on importance (`bits`). Every point found stays in one
`archive`.

Source: "A Hierarchical Importance-Guided Multi-objective Evolutionary Framework for Deep Neural Network Pruning",
arXiv 2604.01076. Where the paper leaves constants open they are ours, as are widening, escape and racing.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray as Array
from torch import Tensor, nn

from deepwright.compress.search.engines import Engine, named_engine
from deepwright.compress.search.evaluation import Evaluation
from deepwright.compress.search.front import ParetoResult
from deepwright.compress.search.generations import Candidate, Generations
from deepwright.compress.search.objectives import Accuracy, Evaluate, require_disjoint, shared_samples
from deepwright.compress.search.preparing import Preparation
from deepwright.compress.search.requirements import require_masks, require_pair
from deepwright.compress.search.space import COSTS, Space
from deepwright.compress.search.state import SearchState
from deepwright.compress.search.units import UnitSpace
from deepwright.compress.search.weights import WeightSpace
from deepwright.core.errors import InputError
from deepwright.core.interrupt import graceful
from deepwright.core.progress import bar
from deepwright.core.requirements import require_network, require_whole, require_within
from deepwright.core.resume import Resume

GRANULARITIES = ("unit", "weight", "block")
SEEDS = ("normalised", "raw")
BLOCK = 4


class SearchError(InputError, RuntimeError):
    """A search that can't go on."""


class EvolutionaryPruner:
    """Search a front of pruned networks.

    Args:
        model: trained; left as found.
        example_inputs: as for `ShrinkGraph`.
        granularity: "unit" (coupled units: each point is a really smaller network), "weight" (single weights: sparse)
            or "block" (1 x 4 blocks of weights, for sparse kernels).
        objectives: "error" first, then costs ("params", "macs", "bytes"; for weights all are the kept share), then
            names of further values that a user's `evaluate` returns.
        phase1: {"pop": ..., "gen": ...}, 40 and 50 where not given.
        phase2: the same of phase 2; gen=0 stops after phase 1.
        importance: "magnitude", "taylor", "fisher" or, for units, any criterion of `importance`; both phases rank by
            it.
        data: batches (inputs, targets) for importances that need gradients.
        loss: of the network's output and the targets, for these importances; cross-entropy by default.
        corridor: errors above the best (heavy, light) that pick the two anchors.
        engine: "nsga2", "moead" (phase 2's selection; two objectives) or an `Engine`, such as `PymooEngine(algorithm)`.
        escape: from the middle of phase 2 on, this share of a child's flips may leave the corridor.
        guided: moves lean on importance (False: every bit alike; for comparison).
        seed: of everything.
        min_keep: bits that each layer keeps; 1 by default for units (a layer without units is no layer), 0 for weights
            and blocks, which may empty a row or a layer.
        frozen: modules that stay whole.
        seeds: what phase 1 begins with beside the dense network: "normalised" (global cuts of layer-scaled scores: a
            network that computes the same at other scales gets the same front) or "raw" (global cuts of raw scores too:
            the front is then at least as good as those).

    Raises:
        InputError: nothing to prune, weights that aren't finite, unknown options.
    """

    def __init__(
        self,
        model: nn.Module,
        example_inputs: Any,
        *,
        granularity: str = "unit",
        objectives: Sequence[str] = ("error", "params"),
        phase1: Mapping[str, int] | None = None,
        phase2: Mapping[str, int] | None = None,
        importance: str = "magnitude",
        data: Any = None,
        loss: Callable[[Tensor, Tensor], Tensor] | None = None,
        corridor: tuple[float, float] = (0.01, 0.10),
        engine: str | Engine = "nsga2",
        escape: float = 0.05,
        guided: bool = True,
        seed: int = 0,
        min_keep: int | None = None,
        frozen: Sequence[str] = (),
        seeds: str = "normalised",
    ) -> None:
        if granularity not in GRANULARITIES:
            raise InputError("granularity", given=repr(granularity), expected=" or ".join(map(repr, GRANULARITIES)))
        if not isinstance(corridor, tuple | list) or len(corridor) != 2:
            raise InputError("corridor", given=repr(corridor), expected="two errors above the best: (heavy, light)")
        heavy: dict[str, Any] = {"corridor's heavy error": corridor[0]}
        light: dict[str, Any] = {"corridor's light error": corridor[1]}
        require_within(0, 1, escape=escape, **light)
        require_within(0, corridor[1], **heavy)
        require_whole(0, seed=seed)
        require_network(model)
        if isinstance(frozen, str):
            raise InputError("frozen", given=repr(frozen), expected=f"a list of names: [{frozen!r}]")
        if seeds not in SEEDS:
            raise InputError("seeds", given=repr(seeds), expected=" or ".join(map(repr, SEEDS)))
        least = 1 if granularity == "unit" else 0
        min_keep = least if min_keep is None else min_keep
        require_whole(0, min_keep=min_keep)
        self.engine = named_engine(engine)
        _require_objectives(objectives, self.engine)
        self.sizes = {1: _sizes("phase1", phase1), 2: _sizes("phase2", phase2)}
        self.space: Space
        if granularity == "unit":
            criterion = "hessian_diag" if importance == "fisher" else importance
            self.space = UnitSpace.of(model, example_inputs, criterion, data, min_keep, frozen, loss)
        else:
            block = BLOCK if granularity == "block" else 1
            self.space = WeightSpace.of(model, importance, data, min_keep, frozen, block, loss)
        self.model, self.objectives, self.frozen = model, tuple(objectives), tuple(frozen)
        self.slacks, self.escape, self.guided, self.seed = corridor, escape, guided, seed
        self.importance, self.seeds = importance, seeds
        start = SearchState.start(self.space.size, len(self.space.names), len(self.objectives), seed)
        self.generations = Generations(
            self.space, self.engine, self.sizes, corridor, guided, escape, start, seeds == "raw"
        )
        self._begun_with: Array | None = None
        self.preparation: Preparation | None = None

    # --- ask and tell ------------------------------------------------------------------------------------------

    @property
    def state(self) -> SearchState:
        """Where the search stands."""
        return self.generations.state

    @property
    def done(self) -> bool:
        """Whether both phases have run."""
        return self.generations.done

    def begin_with(self, masks: Bool[Array, "p d"]) -> None:
        """Leave phase 1 out: phase 2 begins with these networks, and may move every bit.

        Args:
            masks: one network a row.

        Raises:
            InputError: the search has begun already, there is no mask, or masks of another size.
        """
        require_masks(masks, self.space.size)
        self.generations.begin_with(masks)
        self._begun_with = masks

    def ask(self, n: int | None = None) -> list[Candidate]:
        """Candidates of the current generation; none when the search is done.

        Args:
            n: at most so many; all by default.
        """
        return self.generations.ask(n)

    def tell(self, candidates: Sequence[Candidate], objectives: Float[Array, "p k"]) -> None:
        """Hand in objectives.

        Args:
            candidates: from `ask`.
            objectives: one row each; a row that isn't finite marks a candidate as dropped or infeasible.
        """
        self.generations.tell(candidates, objectives)

    # --- running -----------------------------------------------------------------------------------------------

    def fit(
        self,
        evaluate: Evaluate,
        *,
        budget: float | None = None,
        checkpoint: Path | str | None = None,
        executor: Executor | str | None = None,
        jobs: int = 1,
        racing: bool = False,
        preparation: Preparation | None = None,
        test: tuple[Tensor, Tensor] | None = None,
        on_step: Callable[[SearchState], object] | None = None,
    ) -> ParetoResult:
        """Run to the end (or the budget).

        Args:
            evaluate: `accuracy_on(x, y)`, or a function of a network that gives its error (and the further objectives).
            budget: evaluations at most; one is one candidate on the whole validation set, a dropped one counts its
                share, and a prepared one what its statistics and steps take, in such passes.
            checkpoint: a file that keeps the state after every generation; a search that was stopped goes on from there
                to the same end, with a larger budget too.
            executor: None, an executor of `concurrent.futures`, or "ray"; the result doesn't depend on it.
            jobs: chunks that a generation is cut into for an executor.
            racing: evaluate on 1/8, 1/4, 1/2 and all of the validation set and drop early what a better network at no
                greater cost beats for certain (sign test, p < 0.01 over all tests).
            preparation: what each candidate gets before it is judged: batch norms' statistics anew before it races, a
                short training (equal for all) before the last rung. On two objectives.
            test: data that the validation set must not share (an overlap is refused).
            on_step: called with the state after every generation.

        Raises:
            SearchError: more than 20 % of the candidates without finite objectives.
            OtherWorkError: the checkpoint is of another network, other settings or other validation data.
            InputError: a budget below two populations; validation samples that are in the test set; a preparation that
                trains on most of them, or with an executor or an `evaluate` of one's own.
            KeyboardInterrupt: the user asked to stop; the checkpoint is written, and `result()` has the front so far.
        """
        require_whole(1, jobs=jobs)
        if budget is not None and not budget >= 2 * self.sizes[1]["pop"]:
            raise InputError("budget", given=budget, expected=f"at least {2 * self.sizes[1]['pop']}, two populations")
        _require_evaluate(evaluate, racing=racing, test=test)
        if test is not None and isinstance(evaluate, Accuracy):
            require_disjoint(evaluate.x, test[0])
        if preparation is not None and isinstance(evaluate, Accuracy):
            _require_other_data(evaluate, preparation)
        run = Evaluation(evaluate, self.space, self.objectives, racing, executor, jobs, preparation)
        self.preparation = preparation
        identity = {} if checkpoint is None else self._identity(evaluate, racing)
        with Resume(checkpoint, identity, kind="search") as kept:
            plain = kept.load()
            if plain is not None:
                self.generations.take_up(SearchState.restored(plain, self.space.size))
            self._run(run, budget, kept, on_step)
            if self.done and not kept.finished:
                kept.finish(self.state.plain())
        return self.result()

    def _run(
        self,
        evaluation: Evaluation,
        budget: float | None,
        kept: Resume,
        on_step: Callable[[SearchState], object] | None,
    ) -> None:
        state = self.state
        total = sum(p["pop"] * (p["gen"] + 1) for p in self.sizes.values() if p["gen"])
        with graceful() as stop, bar("search", total) as running:
            while not self.done and (budget is None or state.evaluations < budget):
                batch = self.ask()
                if batch:
                    self.tell(batch, evaluation(np.stack([c.mask for c in batch]), state))
                    self._require_feasible()
                running.advance(
                    len(batch), f"phase {min(state.phase, 2)}, hypervolume {state.archive.hypervolume():.4f}"
                )
                kept.save(state.plain())
                if on_step is not None:
                    on_step(state)
                if stop:
                    raise KeyboardInterrupt(f"stopped after {state.evaluations:.0f} evaluations")

    def result(self) -> ParetoResult:
        """The front so far."""
        state, archive = self.state, self.state.archive
        order = np.argsort(archive.fitness[:, 1], kind="stable")
        return ParetoResult(
            space=self.space,
            objectives=self.objectives,
            F=archive.fitness[order],
            packed=np.packbits(archive.masks[order], axis=1),
            phase=archive.phase[order],
            history=list(state.history),
            log=list(state.log),
            evaluations=state.evaluations,
            preparation=self.preparation,
        )

    def _require_feasible(self) -> None:
        state = self.state
        none = len(state.archive) == 0 and not self.generations.told
        if none or (state.candidates >= 40 and state.infeasible > 0.2 * state.candidates):
            raise SearchError(
                "the search",
                given=f"{state.infeasible} of {state.candidates} candidates without finite objectives",
                expected="at most 20 %",
                hint="look at what `evaluate` returns",
            )

    def _identity(self, evaluate: Evaluate, racing: bool) -> dict[str, Any]:
        """All that the front depends on; the scores stand for the data that they were made from."""
        validation = {"validation data": evaluate} if isinstance(evaluate, Accuracy) else {"evaluate": evaluate}
        return {
            "model": self.model,
            "scores": self.space.score,
            "example inputs": self.space.graph.example if isinstance(self.space, UnitSpace) else None,
            "first masks": self._begun_with,
            "search": {
                "granularity": [self.space.granularity, getattr(self.space, "block", 1)],
                "objectives": self.objectives,
                "phase1": self.sizes[1],
                "phase2": self.sizes[2],
                "importance": self.importance,
                "corridor": self.slacks,
                "engine": self.engine,
                "escape": self.escape,
                "guided": self.guided,
                "seed": self.seed,
                "seeds": self.seeds,
                "min_keep": self.space.min_keep,
                "frozen": self.frozen,
                "racing": racing,
            },
            "preparation": self.preparation,
            **validation,
        }


def _require_other_data(evaluate: Accuracy, preparation: Preparation) -> None:
    """Doubles happen in tables and films; a set that trains candidates and judges them is a mistake."""
    shared = shared_samples(evaluate.x, preparation.x)
    if shared > len(evaluate) / 2:
        raise InputError(
            "preparation", given=f"{shared} of {len(evaluate)} validation samples to train on", expected="training data"
        )
    if shared:
        message = f"{shared} validation samples are among the preparation's training data: errors on them are too low"
        warnings.warn(message, stacklevel=3)


def _require_evaluate(evaluate: object, racing: bool, test: object) -> None:
    """A function of one's own is called on networks: nobody knows the samples behind it."""
    if not isinstance(evaluate, Accuracy):
        if not callable(evaluate):
            raise InputError("evaluate", given=type(evaluate).__name__, expected="accuracy_on(x, y), or a function")
        for name, given in (("racing", racing), ("test", test is not None)):
            if given:
                raise InputError(name, given="beside a function as evaluate", expected="accuracy_on(x, y)")
    if test is not None:
        require_pair("test", test)


def _require_objectives(objectives: Sequence[str], engine: Engine) -> None:
    if len(set(objectives)) != len(objectives):
        raise InputError("objectives", given=list(objectives), expected="different ones")
    if len(objectives) < 2 or objectives[0] != "error" or objectives[1] not in COSTS:
        raise InputError("objectives", given=list(objectives), expected=f"'error', then one of {', '.join(COSTS)}")
    if len(objectives) > engine.most_objectives:
        raise InputError(
            "objectives", given=list(objectives), expected=f"two for engine={engine.name!r}", hint="use 'nsga2'"
        )


def _sizes(name: str, given: Mapping[str, int] | None) -> dict[str, int]:
    """Population and generations of a phase."""
    if given is not None and not isinstance(given, Mapping):
        raise InputError(name, given=repr(given), expected="a mapping with 'pop' and 'gen'")
    sizes = {"pop": 40, "gen": 50, **(given or {})}
    if set(sizes) != {"pop", "gen"}:
        raise InputError(name, given=dict(given or {}), expected="'pop' of at least 2, 'gen' of at least 0")
    require_whole(2, **{f"{name}'s pop": sizes["pop"]})
    require_whole(0, **{f"{name}'s gen": sizes["gen"]})
    return sizes
