"""What surgery's sentence says of cuts at random is what their intervals say."""

import pytest

from deepwright.studies import surgery
from deepwright.studies._frame import Runs


@pytest.mark.parametrize(
    ("l2", "taylor", "words"),
    [
        (0.0, 0.0, "neither L2 nor Taylor is"),
        (-0.1, 0.0, "neither L2 nor Taylor is"),
        (0.0, 0.1, "Taylor alone is"),
        (0.1, 0.0, "L2 alone is"),
        (0.1, 0.1, "both L2 and Taylor are"),
    ],
)
def test_the_sentence_follows_the_intervals(l2, taylor, words):
    specs = tuple({"seed": seed} for seed in range(5))
    arms = {
        ("25% of the MACs", name): Runs(specs, tuple({"test": 0.8 + shift + step} for step in jitter))
        for name, shift, jitter in (
            ("random", 0.0, (0.0, 0.0, 0.0, 0.0, 0.0)),
            ("l2", l2, (-0.02, 0.02, 0.01, -0.01, 0.0)),
            ("taylor", taylor, (0.02, -0.02, 0.0, 0.01, -0.01)),
        )
    }
    assert surgery._above_random(arms) == words
