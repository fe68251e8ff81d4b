"""The table of claims prints no spread that nobody measured."""

import pytest

from deepwright.core.claims import Claim
from deepwright.core.results import Figure, StudyResult, Table
from deepwright.core.statistics import Interval
from deepwright.report.study_words import claims_table


@pytest.mark.parametrize(
    ("claim", "spread"),
    [
        (Claim.at_least("a quotient of means", Interval(3.0, 2.0, 4.0), 1.0, n=5), None),
        (Claim.at_least("once", 2.0, 1.0, basis="closed form"), None),
        (Claim.at_least("a mean", [1.0, 2.0, 3.0], 0.5), 1.0),
        (Claim.at_least("alike in every seed", [2.0, 2.0, 2.0], 0.5), 0.0),
    ],
    ids=lambda value: value.text if isinstance(value, Claim) else "",
)
def test_the_spread_is_printed_where_it_is_known(claim, spread):
    figure = Figure("line", "t", [{"name": "n", "x": [0, 1], "y": [1, 2]}])
    table = claims_table(StudyResult("s", [claim], Table(["a"], [[1]]), [figure]))
    assert table.rows[0][table.columns.index("spread")] == spread


def test_a_timing_with_an_interval_says_over_how_many():
    claim = Claim.at_most("c", [0.5, 0.52, 0.51], 0.45, timing=True, basis="seeds; medians")
    result = StudyResult("s", [claim], Table(["a"], [[1]]), [])
    table = claims_table(result)
    assert table.rows[0][table.columns.index("over")] == "3 seeds; medians"
