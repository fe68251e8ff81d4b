"""How many samples are attacked and perturbed where nobody says."""

from types import SimpleNamespace

import pytest

from deepwright.workflows.subjects import _limits


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
    none = SimpleNamespace(attack_limit=None, corruption_limit=None)
    found = _limits(none, SimpleNamespace(kind=kind, shape=shape))
    assert (found.get("attack_limit"), found.get("corruption_limit")) == (few, few)


def test_what_is_said_holds():
    said = SimpleNamespace(attack_limit=117, corruption_limit=None)
    assert _limits(said, SimpleNamespace(kind="segmentation", shape=(3, 120, 160))) == {"attack_limit": 117}
