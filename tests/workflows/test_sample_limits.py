"""How many samples are attacked and perturbed where nobody says."""

import pytest
import torch

from deepwright.data import Data, Split
from deepwright.workflows import AuditOptions
from deepwright.workflows.subjects import _limits


def of(kind, shape):
    y = torch.zeros(2, *(shape[1:] if kind == "segmentation" else ()), dtype=torch.long)
    rows = Split(torch.zeros(2, *shape), y)
    return Data("pictures", kind, ("a", "b"), rows, rows, rows)


@pytest.mark.parametrize(
    ("kind", "shape", "few"),
    [
        ("image", (3, 224, 224), 24),
        ("detection", (3, 300, 300), 24),
        ("segmentation", (3, 120, 160), 8),
        ("image", (3, 32, 32), None),
        ("segmentation", (1, 32, 32), None),
    ],
)
def test_large_pictures_are_fewer_whatever_is_asked_of_them(kind, shape, few):
    found = _limits(AuditOptions("any"), of(kind, shape))
    assert (found.get("attack_limit"), found.get("corruption_limit")) == (few, few)


@pytest.mark.parametrize(("kind", "usual"), [("segmentation", (8, 8, 100)), ("text", (100, 200, 200))])
def test_what_is_said_holds_and_leaves_the_others_as_they_are(kind, usual):
    data, names = of(kind, (3, 120, 160)), ("attack_limit", "corruption_limit", "ood_limit")
    assert _limits(AuditOptions("any"), data) == dict(zip(names, usual))
    for name in names[:2]:
        assert _limits(AuditOptions("any", **{name: 117}), data) == {**dict(zip(names, usual)), name: 117}
