"""Training a heuristic: walks, searches from where they end, targets, and the network that learns them."""

from __future__ import annotations

import copy
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from deepwright.core.devices import Compute, device_of
from deepwright.core.errors import InputError
from deepwright.core.interrupt import graceful
from deepwright.core.randomness import generator
from deepwright.core.requirements import require_network, require_positive, require_whole
from deepwright.core.resume import Resume, architecture, digest
from deepwright.pathfinding.domains.domain import Domain, DomainError
from deepwright.pathfinding.heuristics.learned import LearnedHeuristic, identity_of
from deepwright.pathfinding.learning.batches import rolled, searched, walked
from deepwright.pathfinding.learning.curriculum import Curriculum
from deepwright.pathfinding.learning.examples import Examples, Replay
from deepwright.pathfinding.learning.following import followed
from deepwright.pathfinding.learning.forests import grow
from deepwright.pathfinding.learning.learner import DivergedError, Learner
from deepwright.pathfinding.learning.settings import Training, copied_each, kind_of, require_learner
from deepwright.pathfinding.learning.team import Team
from deepwright.pathfinding.learning.telling import progress
from deepwright.pathfinding.learning.walks import Walks, backward_walks, forward_walks

Begin = Callable[[int, torch.Generator], Tensor]
_TESTED = 100  # instances of a check
_AHEAD = 10  # iterations whose walks are made at once


class CollapseWarning(UserWarning):
    """Targets grew and fewer instances were solved, check after check: walks were made shorter."""


class Trainer:
    """Trains a network to say how far a state is from its goal.

    Instances are random walks of 0 to `k_max` steps from a goal. "davi" learns y = min_a c + h(T(s, a)) of a target
    network, "lhbl" the backed-up values of a small search tree, "q" y = c + min_a' Q(s', a'), "supervised" the walk's
    own cost. Every number that is drawn depends on `seed` and the iteration alone.

    Args:
        domain: whose states.
        net: (states, goals) -> (B,); for actions (B, A), or with actions as a third input. It is trained in place.
        method: of the four.
        kind: "v", "q_fixed" or "q_in"; where not given "v", or for `QNet` and the method "q" what it is. "supervised"
            also trains a "policy": logits (B, A), of the action that begins the way back.
        her: searches that failed are learned from with a goal that they reached.
        k_max: the longest walk.
        balance: walks begin with one step and are doubled whenever at least half of the test instances are solved.
        search_itrs: nodes that are expanded of each instance; all of them are trained on.
        batch_size: states of one iteration, about.
        target_update: iterations from one copy of the target network to the next; 15, for "lhbl" 50. h can grow by one
            action a copy, by the tree's depth with "lhbl".
        walk: "direct" or "plain": see `backward_walks`.
        warmup_walks: so many iterations learn the walks' costs first.
        bounded: targets of "davi" and "lhbl" are at most the cost of a way that is known: the walk's, the tree's.
        explore: with "q" the share of actions taken at random.
        weight: of the path's cost in the small searches.
        lr: Adam's.
        lr_decay: the factor of the learning rate at each iteration.
        loss: "mse", "huber", or "categorical": a distribution over distances, of a network with `bins`.
        over_weight: of errors that say too much, against those that say too little.
        replay: so many of the latest examples are kept, and batches drawn from them; 0 learns the newest.
        check_every: iterations from one check (curriculum, good weights, row of the history) to the next.
        accumulate: parts in which a batch goes through the network, to take less memory; the gradient is the whole's.
        begin: (n, generator) -> states where walks begin, for domains whose actions can't be taken back.
        seed: of everything that is drawn.
        device: where it is trained; where the network lives if not given.
        compute: several devices, each with a process that makes `batch_size` states an iteration of its own; gradients
            are those of all of them together. A script that asks for it is run once in each process.

    Attributes:
        iteration: how many are done.
        seconds: by the clock, of all calls of `fit`.
        history: a row a check: iteration, loss, mean target, share solved, longest walk, states so far.

    Raises:
        InputError: words that don't go together, numbers out of range.

    Source: arXiv 2603.23873.
    """

    def __init__(
        self,
        domain: Domain,
        net: nn.Module,
        method: str = "davi",
        *,
        kind: str | None = None,
        her: bool = False,
        k_max: int = 30,
        balance: bool = True,
        search_itrs: int = 1,
        batch_size: int = 1000,
        target_update: int | None = None,
        walk: str = "direct",
        warmup_walks: int = 0,
        bounded: bool = True,
        explore: float = 0.5,
        weight: float = 1.0,
        lr: float = 1e-3,
        lr_decay: float = 0.9999993,
        loss: str = "mse",
        over_weight: float = 1.0,
        replay: int = 0,
        check_every: int = 100,
        accumulate: int = 1,
        begin: Begin | None = None,
        seed: int = 0,
        device: torch.device | str | None = None,
        compute: Compute | None = None,
    ) -> None:
        require_network(net, "net")
        if device is not None and compute is not None:
            raise InputError("device", given="beside compute", expected="one of the two", hint="Compute(device=...)")
        self.team = Team(compute, net)
        self.settings = Training(
            method,
            kind_of(net, method) if kind is None else kind,
            her,
            k_max,
            balance,
            search_itrs,
            batch_size,
            copied_each(method) if target_update is None else target_update,
            walk,
            warmup_walks,
            bounded,
            explore,
            weight,
            lr,
            lr_decay,
            loss,
            over_weight,
            replay,
            check_every,
            accumulate,
            self.team.size,
            seed,
        )
        if domain.inverse is None and begin is None:
            raise DomainError(f"{domain.name} can't be walked backwards", given="no `inverse`", hint="begin=, states")
        require_learner(net, self.settings)
        if her and getattr(net, "goals", True) is False:
            raise InputError("her", given="a network that doesn't see the goal", expected="one made with goals=True")
        self.domain, self.begin = domain, begin
        self.net = net if device is None else net.to(device)
        self.device = device_of(self.net)
        self._start = digest(self.net.state_dict())
        self.team.require_alike(str(self._start), "the network's first weights")
        self.learner = Learner(domain, self.net, self.settings, self.team)
        self.curriculum, self.store = Curriculum(k_max, balance), Replay(replay)
        self.iteration, self.states_seen, self.seconds = 0, 0, 0.0
        self.history: list[dict[str, float]] = []
        self._sums = [0.0, 0.0, 0.0]  # loss, targets and iterations since the last check
        self._ahead: tuple[tuple[int, int, int], Walks] | None = None
        self._good = self.state_dict()

    def fit(
        self,
        max_itrs: int | None = None,
        max_seconds: float | None = None,
        until: Callable[[Trainer], bool] | None = None,
        *,
        checkpoint: Path | str | None = None,
        every: int = 100,
        report: Callable[[str], object] | None = None,
        report_every: float = 60.0,
    ) -> LearnedHeuristic:
        """Train until one of the three says that it is enough.

        Args:
            max_itrs: iterations in all, those of an earlier fit or of the checkpoint among them.
            max_seconds: by the clock, in all: those of an earlier fit or of the checkpoint among them.
            until: asked after each iteration.
            checkpoint: a file to go on from and to save to, at Ctrl-C and SIGTERM too. It belongs to these settings,
                this domain and these first weights.
            every: iterations from one save to the next.
            report: told a line of progress, the first at the first check.
            report_every: seconds from one line to the next, at least.

        Returns:
            The heuristic; the network is in eval mode.

        Raises:
            InputError: no end is given, or the checkpoint belongs to other work; what differs is named.
            DivergedError: the network gave NaN or infinity.
        """
        if max_itrs is None and max_seconds is None and until is None:
            raise InputError("fit", given="no end", expected="max_itrs, max_seconds or until")
        require_whole(1, every=every, **({} if max_itrs is None else {"max_itrs": max_itrs}))
        require_positive(report_every=report_every)
        if max_seconds is not None:
            require_positive(max_seconds=max_seconds)
        told = -report_every
        first_of_all = self.team.rank == 0
        resume = Resume(checkpoint, self._identity(), kind="training of a heuristic", writer=first_of_all)
        with resume as kept, graceful() as stop:
            state = kept.load()
            if state is not None:
                self.load_state_dict(state)
                self.seconds = state.get("seconds", 0.0)
            first, before = self.states_seen, self.seconds
            begin = time.perf_counter()
            while not self.team.any(self._over(max_itrs, max_seconds) or bool(stop)):
                try:
                    self.step()
                except DivergedError:
                    self.load_state_dict(self._good)
                    kept.save({**self.state_dict(), "seconds": self.seconds})
                    raise
                gone = time.perf_counter() - begin
                self.seconds = before + gone
                if self.iteration % every == 0:
                    kept.save({**self.state_dict(), "seconds": self.seconds})
                if report is not None and first_of_all and self.history and gone - told >= report_every:
                    told = gone
                    report(progress(self, gone, self.states_seen - first, max_itrs, max_seconds))
                if until is not None and self.team.any(bool(until(self))):
                    break
            kept.save({**self.state_dict(), "seconds": self.seconds})
            if stop:
                raise stop.error()
        return self.heuristic()

    def heuristic(self, batch_size: int = 10_000) -> LearnedHeuristic:
        """What was learned so far, with the network in eval mode.

        Args:
            batch_size: states in one pass.
        """
        found = LearnedHeuristic(self.net.eval(), self.domain, self.settings.kind, batch_size)
        found.reach = self.settings.k_max
        return found

    def step(self) -> float:
        """One iteration; its loss.

        Raises:
            DivergedError: the network gave NaN or infinity.
        """
        s = self.settings
        rng = generator(s.seed, "iteration", self.iteration, *self.team.salt)
        examples = self._together(rng)
        if s.replay:
            self.store.add(examples)
            examples = self.store.draw(s.batch_size, rng)
        everywhere, targets = self.team.sums(float(len(examples)), float(examples.targets.double().sum()))
        loss = self.learner.learn(examples, self.iteration) if everywhere else 0.0
        self.iteration += 1
        self.states_seen += int(everywhere)
        target = targets / everywhere if everywhere else 0.0
        self._sums = [a + b for a, b in zip(self._sums, (loss, target, 1.0))]
        if self.iteration % s.target_update == 0:
            self.learner.copy_to_target()
        if self.iteration % s.check_every == 0:
            self._check()
        return loss

    def evaluate(self, states: Tensor, goals: Tensor, iterations: int = 100) -> Tensor:
        """Which instances a small search with what was learned solves: (B,); a policy its likeliest actions.

        Args:
            states: (B, *state_shape).
            goals: (B, ...).
            iterations: nodes that are expanded of each.
        """
        self.net.eval()
        states, goals = states.to(self.device), goals.to(self.device)
        if self.settings.kind == "policy":
            return followed(self.heuristic(), states, goals, iterations)
        values = self.learner.values(self.net, self.iteration)
        return grow(self.domain, states, goals, values, iterations, self.settings.weight).solved

    def state_dict(self) -> dict[str, Any]:
        """All that training goes on from. What is drawn depends on the seed and the iteration alone."""
        return copy.deepcopy(
            {
                "settings": dict(vars(self.settings)),
                "domain": identity_of(self.domain, self._any_goal),
                **self.learner.state_dict(),
                "curriculum": self.curriculum.state_dict(),
                "replay": self.store.state_dict(),
                "counters": [self.iteration, self.states_seen],
                "sums": list(self._sums),
                "history": self.history,
            }
        )

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take up what `state_dict` gave.

        Args:
            state: of a trainer with the same settings and domain.

        Raises:
            InputError: other settings, or another domain; each is named.
        """
        own = {**vars(self.settings), **identity_of(self.domain, self._any_goal)}
        told = {**state["settings"], **state["domain"]}
        differing = [name for name in own if told.get(name) != own[name]]
        if differing:
            given = ", ".join(f"{name} {told.get(name)}" for name in differing)
            raise InputError("the state", given=given, expected=", ".join(f"{name} {own[name]}" for name in differing))
        state = copy.deepcopy(state)
        self.learner.load_state_dict(state)
        self.curriculum.load_state_dict(state["curriculum"])
        self.store.load_state_dict(state["replay"], self.device)
        self.iteration, self.states_seen = state["counters"]
        self._sums, self.history = state["sums"], state["history"]
        self._good = self.state_dict()

    @property
    def _any_goal(self) -> bool:
        return LearnedHeuristic(self.net, self.domain, self.settings.kind).any_goal

    def _identity(self) -> dict[str, Any]:
        """What a checkpoint belongs to."""
        start: dict[str, Any] = {"network": architecture(self.net), "first weights": self._start, "moves": self.domain}
        return {**vars(self.settings), **identity_of(self.domain, self._any_goal), "begin": self.begin, **start}

    def _over(self, max_itrs: int | None, max_seconds: float | None) -> bool:
        if max_itrs is not None and self.iteration >= max_itrs:
            return True
        return max_seconds is not None and self.seconds >= max_seconds

    def _walks(self, steps: Tensor, rng: torch.Generator) -> Walks:
        steps = steps.to(self.device)
        if self.begin is None:
            return backward_walks(self.domain, steps, rng, self.settings.walk)
        states = self.begin(len(steps), rng).to(self.device)
        return forward_walks(self.domain, states, steps, rng, self.settings.walk)

    def _instances(self, n: int) -> Walks:
        """Those of this iteration, of walks for several that are made at once: a step of many costs little more than a
        step of few. Which they are depends on seed, iteration and longest walk alone."""
        block, number = divmod(self.iteration, _AHEAD)
        made_for = (block, n, self.curriculum.k)
        if self._ahead is None or self._ahead[0] != made_for:
            rng = generator(self.settings.seed, "walks", *made_for, *self.team.salt)
            steps = torch.randint(0, self.curriculum.k + 1, (n * _AHEAD,), generator=rng)
            self._ahead = made_for, self._walks(steps, rng)
        return self._ahead[1][number * n : (number + 1) * n]

    def _together(self, rng: torch.Generator) -> Examples:
        """Those of this process; where one's network diverged, all say so, and none waits for it."""
        wrong: DivergedError | None = None
        try:
            examples = self._examples(rng)
        except DivergedError as error:
            wrong = error
        if self.team.any(wrong is not None):
            raise wrong or DivergedError("the network's output", given="NaN in another process", expected="numbers")
        return examples

    def _examples(self, rng: torch.Generator) -> Examples:
        s = self.settings
        warm = s.method == "supervised" or self.iteration < s.warmup_walks
        n = s.batch_size if warm else -(-s.batch_size // s.search_itrs)
        if warm:
            return walked(self._instances(n), s, self.domain, rng)
        learner = self.learner
        if s.method == "q":
            q = learner.action_values(learner.target, self.iteration)
            return rolled(self._instances(n), s, self.domain, q, rng)
        values = learner.values(learner.target, self.iteration)
        if s.search_itrs == 1:
            return searched(self._instances(n), None, s, self.domain, values)
        walks, spares = (self._instances(2 * n)[part] for part in (slice(0, n), slice(n, None)))
        return searched(walks, spares, s, self.domain, values)

    def _check(self) -> None:
        """A row of the history, the curriculum's next word, and weights to come back to."""
        rng = generator(self.settings.seed, "check", self.iteration)
        k = self.curriculum.k
        steps = torch.linspace(0, k, _TESTED).round().long()
        walks = self._walks(steps, rng)
        budget = max(20, min(2 * k, 100) if k < self.curriculum.k_max else 0)
        solved = float(self.evaluate(walks.states, walks.goals, budget).float().mean())
        loss, target, count = self._sums
        row = {"loss": loss / count, "target": target / count, "solved": solved, "k": float(k)}
        self.history.append({"iteration": float(self.iteration), **row, "states": float(self.states_seen)})
        self._sums = [0.0, 0.0, 0.0]
        if self.curriculum.update(row["target"], solved) == "collapsed":
            warnings.warn(
                f"at iteration {self.iteration} targets grew while fewer instances were solved, five checks in a row: "
                f"walks have at most {self.curriculum.k} steps now, not {k}; target_update may be too small",
                CollapseWarning,
                stacklevel=3,
            )
        self._good = self.state_dict()
