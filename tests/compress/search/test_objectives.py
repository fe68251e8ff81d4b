"""The error of a search speaks to the task, and a front belongs to the weights that it was made over."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from deepwright.compress import EvolutionaryPruner, ParetoResult, WeightSpace, accuracy_on
from deepwright.core.errors import InputError
from deepwright.core.files import save_state
from deepwright.core.tasks import Classification, MultiLabel, Regression

X = torch.randn(40, 4, generator=torch.Generator().manual_seed(0))


def linear(outputs, seed=0):
    torch.manual_seed(seed)
    return nn.Linear(4, outputs)


def whole_error(model, y, **options):
    space = WeightSpace.of(model)
    return accuracy_on(X, y, **options).wrong(space, np.ones((1, space.size), bool)).mean()


@pytest.mark.parametrize(
    ("outputs", "targets", "task"),
    [
        (1, lambda z: (z[:, 0] > 0).long(), None),
        (3, lambda z: z.argmax(1), None),
        (3, lambda z: z.argmax(1)[:, None], Classification(3)),
        (2, lambda z: (z > 0).long(), MultiLabel(2)),
        (1, lambda z: z[:, 0], Regression(tolerance=0.1)),
    ],
    ids=["one logit", "classes", "column of labels", "several labels", "numbers"],
)
def test_a_network_has_no_error_on_its_own_answers(outputs, targets, task):
    model = linear(outputs)
    assert whole_error(model, targets(model(X).detach()), task=task) == 0.0


def test_a_candidate_that_gives_nan_is_wrong():
    model = linear(3)
    y = model(X).argmax(1)
    space = WeightSpace.of(model)
    score = accuracy_on(X, y)
    score.wrong(space, np.ones((1, space.size), bool))
    with torch.no_grad():
        model.bias.fill_(float("nan"))
    assert score.wrong(space, np.ones((1, space.size), bool)).all()


@pytest.mark.parametrize(
    ("x", "y"),
    [
        (X, torch.arange(40) % 3 + 1),
        (X, torch.arange(40) % 3 - 1),
        (X, torch.arange(40) % 3 + 0.4),
        (X * float("nan"), torch.arange(40) % 3),
    ],
    ids=["from one", "from minus one", "fractions", "nan inputs"],
)
def test_data_that_do_not_fit_are_refused(x, y):
    space = WeightSpace.of(linear(3))
    with pytest.raises(InputError):
        accuracy_on(x, y).wrong(space, np.ones((1, space.size), bool))


def test_a_front_of_other_weights_is_refused(tmp_path):
    model = linear(3)
    search = EvolutionaryPruner(
        model, X[:2], granularity="weight", phase1={"pop": 4, "gen": 1}, phase2={"pop": 4, "gen": 1}
    )
    search.fit(accuracy_on(X, model(X).argmax(1)))
    search.result().save(tmp_path / "front.pt")
    assert len(ParetoResult.load(tmp_path / "front.pt", WeightSpace.of(model)).F)
    with pytest.raises(InputError, match="other weights"):
        ParetoResult.load(tmp_path / "front.pt", WeightSpace.of(linear(3, seed=1)))


def test_a_file_that_is_no_front_is_refused(tmp_path):
    save_state(tmp_path / "x.pt", {"a": 1})
    with pytest.raises(InputError, match="another file"):
        ParetoResult.load(tmp_path / "x.pt", WeightSpace.of(linear(3)))


@pytest.mark.parametrize(
    "options",
    [{"escape": 2.0}, {"corridor": (0.5, 0.1)}, {"corridor": (-1.0, -1.0)}, {"seed": -1}, {"frozen": ["nope"]}],
    ids=lambda o: next(iter(o)),
)
def test_options_that_cannot_be_are_refused(options):
    with pytest.raises(InputError):
        EvolutionaryPruner(linear(3), X[:2], granularity="weight", **options)
