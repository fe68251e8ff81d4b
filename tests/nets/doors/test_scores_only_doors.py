"""Estimators of scikit-learn and plain functions as networks that give scores only."""

import copy
import pickle

import numpy as np
import pytest
import torch
from sklearn.cluster import KMeans
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_iris
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC
from sklearn.tree import DecisionTreeRegressor
from torch import nn

from deepwright.adversarial import APGD, Square
from deepwright.checks import subject_from_loaders
from deepwright.core.errors import InputError
from deepwright.core.identity import digest
from deepwright.core.inference import has_gradients, require_gradients
from deepwright.core.tasks import Binary, Regression
from deepwright.nets import Normalised, load
from deepwright.nets.doors import as_scores_only, examine, from_callable, from_estimator, in_class_order
from deepwright.nets.scores_only import declared_outputs
from deepwright.workflows.subjects import SubjectOptions, build_subject

X, Y = load_iris(return_X_y=True)
ROWS = torch.from_numpy(X[::10])


def fitted(estimator, y=Y, x=X):
    return make_pipeline(StandardScaler(), estimator).fit(x, y)


class Vote:
    """Speaks the protocol, and gives labels alone."""

    classes_, n_features_in_ = np.array(["a", "b"]), 4

    def fit(self, x, y):
        return self

    def predict(self, x):
        return np.where(x.sum(1) > 10, "b", "a")


def test_probabilities_decisions_and_numbers_are_the_estimators_own():
    forest, line = fitted(KNeighborsClassifier()), fitted(LinearSVC())
    assert np.array_equal(from_estimator(forest)(ROWS), forest.predict_proba(ROWS.numpy()))
    assert from_estimator(forest).outputs == "probabilities"
    assert np.array_equal(from_estimator(line)(ROWS), line.decision_function(ROWS.numpy()))
    assert "read as logits" in from_estimator(line).notes[0]
    numbers = LinearRegression().fit(X[:, :3], X[:, 3])
    assert np.allclose(from_estimator(numbers)(ROWS[:, :3]), numbers.predict(ROWS[:, :3].numpy()))


def test_labels_alone_are_certain_and_said_to_be():
    network = from_estimator(Vote())
    assert network.labels_only
    assert network(torch.tensor([[9.0, 9.0, 0.0, 0.0], [1.0, 0.0, 0.0, 0.0]])).tolist() == [[0, 1], [1, 0]]


def test_pictures_are_rows_and_named_columns_keep_their_names():
    flat = from_estimator(fitted(LogisticRegression()))
    assert torch.equal(flat(ROWS.reshape(-1, 1, 2, 2)), flat(ROWS))
    import pandas as pd

    frame = pd.DataFrame(X, columns=list("abcd"))
    chosen = make_pipeline(ColumnTransformer([("one", "passthrough", ["d", "a"])]), LogisticRegression()).fit(frame, Y)
    assert np.allclose(
        from_estimator(chosen)(ROWS), chosen.predict_proba(pd.DataFrame(ROWS.numpy(), columns=list("abcd")))
    )
    with pytest.raises(InputError, match="3 columns"):
        flat(ROWS[:, :3])


def test_columns_come_in_the_order_of_the_datas_classes():
    names = np.array(["rose", "iris", "aster"])[Y]  # the estimator sorts: aster, iris, rose
    network = from_estimator(fitted(LogisticRegression(), names))
    turned = in_class_order(network, ("rose", "iris", "aster"))
    assert torch.equal(turned(ROWS), network(ROWS)[:, [2, 1, 0]])
    assert "brought into the order" in turned.notes[-1]
    assert in_class_order(network, ("aster", "iris", "rose")) is network
    with pytest.raises(InputError, match="classes"):
        in_class_order(network, ("rose", "iris", "tulip"))
    numbered = from_estimator(fitted(LogisticRegression(), Y.astype(float)))
    assert in_class_order(numbered, ("setosa", "versicolor", "virginica")) is numbered
    shifted = from_estimator(fitted(LogisticRegression(), Y + 1))
    with pytest.raises(InputError, match="1, 2, 3"):
        in_class_order(shifted, ("setosa", "versicolor", "virginica"))
    two = from_estimator(fitted(LinearSVC(), names[Y < 2], X[Y < 2]))
    with pytest.raises(InputError, match="scores the second"):
        in_class_order(two, ("rose", "iris"))


def test_what_gives_no_scores_is_refused():
    with pytest.raises(InputError, match="not fitted"):
        from_estimator(LogisticRegression())
    with pytest.raises(InputError, match="classifier or regressor"):
        from_estimator(KMeans(2, n_init=1).fit(X))


def arrays(x: np.ndarray):
    return np.stack([x.sum(1), -x.sum(1)], 1)


def tensors(x: torch.Tensor):
    return torch.stack([x.sum(dim=1), -x.sum(dim=1)], dim=1)


@pytest.mark.parametrize(
    "function",
    [arrays, tensors, lambda x: np.stack([x.sum(1), -x.sum(1)], 1), lambda x: torch.stack([x.sum(1), -x.sum(1)], 1)],
    ids=["arrays", "tensors", "arrays, not annotated", "tensors, not annotated"],
)
def test_functions_of_arrays_or_tensors(function):
    network = as_scores_only(function, ROWS)
    assert torch.allclose(network(ROWS), tensors(ROWS))
    assert not has_gradients(network)
    assert not has_gradients(Normalised(network, [0.0], [1.0]))  # whatever wraps it


def test_functions_that_cannot_be_asked():
    with pytest.raises(InputError, match="one batch"):
        from_callable(lambda a, b: a)
    with pytest.raises(InputError, match="failed on its input"):
        from_callable(lambda x: x["pixels"], ROWS)
    with pytest.raises(InputError, match="one row of scores a sample"):
        from_callable(lambda x: np.zeros(3))(ROWS)
    with pytest.raises(InputError, match="numbers"):
        from_callable(lambda x: np.array(["a"] * len(x)))(ROWS)
    with pytest.raises(InputError, match="takes"):
        from_callable(arrays, takes="lists")


def test_answers_that_change_are_refused_at_the_start():
    rng = np.random.default_rng(0)
    with pytest.raises(InputError, match="two answers for the same inputs"):
        examine(from_callable(lambda x: rng.random((len(x), 2))), ROWS)
    with pytest.raises(InputError, match="among others"):
        examine(from_callable(lambda x: x - x.mean(0)), ROWS)
    examine(from_callable(arrays), ROWS)


def test_attacks_by_gradient_say_what_is_missing_and_square_works():
    network = as_scores_only(fitted(LogisticRegression()).decision_function)
    x, y = torch.from_numpy(X[50:60]).float(), torch.from_numpy(Y[50:60])
    space = {"bounds": (-np.inf, np.inf)}
    with pytest.raises(InputError, match="Square needs scores only"):
        APGD(0.3, **space)(network, x, y)
    assert Square(2.0, queries=30, **space)(network, x, y).success.all()
    with pytest.raises(InputError, match="shrink"):
        require_gradients(network, "shrink")


def test_copies_are_the_same_network():
    network = as_scores_only(fitted(LogisticRegression()))
    other = as_scores_only(fitted(LogisticRegression(C=0.1)))
    assert digest(network) == digest(copy.deepcopy(network)) == digest(pickle.loads(pickle.dumps(network)))
    assert digest(network) != digest(other)


MODULE = """
import numpy as np
from sklearn.linear_model import LogisticRegression

PIPE = LogisticRegression().fit(np.eye(3), [0, 1, 2])

def make() -> LogisticRegression:
    return PIPE

def make_function():
    return PIPE.predict_proba
"""


@pytest.mark.parametrize("name", ["PIPE", "make", "make_function"])
def test_a_factory_may_make_an_estimator_or_a_function(name, tmp_path, monkeypatch):
    (tmp_path / "my_estimators.py").write_text(MODULE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    network = load(f"my_estimators:{name}")
    assert network(torch.eye(3, dtype=torch.float64)).argmax(1).tolist() == [0, 1, 2]


@pytest.mark.parametrize("ending", ["pkl", "pickle", "joblib"])
def test_pickles_are_refused_with_the_way_out(ending, tmp_path):
    with pytest.raises(InputError, match="pickle") as refused:
        load(str(tmp_path / f"estimator.{ending}"))
    assert "ONNX" in str(refused.value)
    assert "package.module:function" in str(refused.value)


def test_a_function_that_works_in_place_changes_no_data():
    def clipped(x: np.ndarray):
        return np.clip(x, 0, 1, out=x)

    x = 3 * torch.randn(20, 2, generator=torch.Generator().manual_seed(0))
    kept = x.clone()
    assert torch.equal(from_callable(clipped)(x), kept.clamp(0, 1))
    assert torch.equal(x, kept)


@pytest.mark.parametrize("form", [np.int64, np.float64, np.bool_])
@pytest.mark.parametrize("task", [None, Binary()], ids=["told", "named"])
def test_labels_of_a_function_are_no_scores(form, task):
    x, y = ROWS.repeat(3, 1).float(), (ROWS.repeat(3, 1)[:, 0] > 5.5).long()
    with pytest.raises(InputError, match="not the indices of the predicted classes"):
        subject_from_loaders(lambda x: (x[:, 0] > 5.5).astype(form), [(x, y)], task=task)


def test_whole_numbers_are_numbers_where_the_task_says_so_or_a_regressor_gives_them():
    x, y = ROWS.repeat(3, 1).float(), ROWS.repeat(3, 1)[:, :1].round()
    subject = subject_from_loaders(lambda x: x[:, :1].round(), [(x, y)], task=Regression())
    assert float(subject.score.double().mean()) == pytest.approx(1.0)
    tree = DecisionTreeRegressor(random_state=0).fit(x.numpy(), y[:, 0].numpy())
    assert subject_from_loaders(tree, [(x, y)]).task.kind == "regression"


def test_a_function_of_tensors_is_told_by_the_data(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text("a,b,sick\n" + "".join(f"{i % 7},{i % 5},{int(i % 7 > i % 5)}\n" for i in range(60)))

    def scores(x):
        return torch.stack([x[:, 1] - x[:, 0], x[:, 0] - x[:, 1]], dim=1)

    subject = build_subject(SubjectOptions(scores, data=path, target="sick"), trains=False)
    want = ROWS.new_tensor([[0.0, 0.0]])
    assert torch.equal(as_scores_only(as_scores_only(scores), want)(want), want)
    assert float(subject.right.double().mean()) > 0.8  # ties go to the first class


def test_the_number_of_columns_may_not_change_with_the_batch():
    with pytest.raises(InputError, match="same number of scores"):
        examine(from_callable(lambda x: x[:, :2] if len(x) > 1 else x[:, :3]), ROWS)


def test_an_estimators_outputs_are_known_behind_what_wraps_it(tmp_path):
    path = tmp_path / "iris.csv"
    lines = [",".join([*map(str, row), "abc"[c]]) for row, c in zip(X, Y)]
    path.write_text("\n".join(["one,two,three,four,kind", *lines]))
    model = LogisticRegression(max_iter=500).fit(X[::2], Y[::2])
    subject = build_subject(SubjectOptions(model, data=path, target="kind"), trains=False)
    assert subject.gives_probabilities
    assert declared_outputs(nn.Sequential(Normalised(from_estimator(model), [0.0], [1.0]))) == "probabilities"
    want = model.score(subject.data.test.x.double() * subject.data.scale + subject.data.center, subject.data.test.y)
    assert float(subject.right.double().mean()) == pytest.approx(want)
