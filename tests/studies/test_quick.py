"""Every study runs small, on a seed that isn't its own, and what it finds can be read.

All of them train networks for more than 8 seconds, so all are slow; what is cheap is tested in `test_seeds`.
"""

import math

import pytest

from deepwright.core.results import StudyResult
from deepwright.core.trials import run as run_trials
from deepwright.studies import STUDIES, Settings

pytestmark = pytest.mark.slow
SEEDS = (3,)
CHOOSING = 9000  # from this seed on settings are chosen, and nothing else is done


@pytest.fixture(scope="module", params=STUDIES)
def slug(request):
    """A study's name."""
    return request.param


@pytest.fixture(scope="module")
def ran(slug, tmp_path_factory):
    """A quick run of each study, and the seeds of each of its grids."""
    seeds, store = [], tmp_path_factory.mktemp("store")

    def recorded(function, grid, **how):
        seeds.append({spec["seed"] for spec in grid})
        return run_trials(function, grid, **how)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("deepwright.studies._frame.runs.run_trials", recorded)
        return STUDIES[slug]().run(Settings(quick=True, seeds=SEEDS, store=store)), seeds


@pytest.fixture(scope="module")
def result(ran):
    """What a quick run found."""
    return ran[0]


def numbers(result):
    """Every number of the claims and tables, with where it stands."""
    for claim in result.claims:
        yield claim.text, claim.measured
        yield claim.text, claim.threshold
        yield claim.text, claim.spread
    for table in [result.table, *result.tables]:
        for row in table.rows:
            for column, cell in zip(table.columns, row):
                if isinstance(cell, float):
                    yield f"{row[0]}: {column}", cell


def test_it_bears_its_slug(result, slug):
    assert result.study == slug


def test_it_claims_something(result):
    assert result.claims


def test_its_main_table_has_rows(result):
    assert result.table.rows


def test_it_draws_something(result):
    assert all(figure.series for figure in result.figures)
    assert result.figures


def test_it_says_something(result):
    assert len(result.summary) > 40


def test_its_numbers_are_finite_or_left_out(result):
    assert [(where, value) for where, value in numbers(result) if not math.isfinite(value)] == []


def test_its_result_goes_to_json_and_back(result, tmp_path):
    back = StudyResult.from_json(result.to_json(tmp_path / "result.json"))
    assert back.to_dict() == result.to_dict()


def test_every_grid_has_the_seeds_that_were_asked_for(ran, slug):
    """But for those that choose settings on seeds of their own."""
    chosen_on = {0} if slug == "bbas" else None
    tested = [seeds for seeds in ran[1] if min(seeds) < CHOOSING and seeds != chosen_on]
    assert tested
    assert all(seeds == set(SEEDS) for seeds in tested)


def test_it_records_the_seeds_that_were_asked_for(result):
    assert result.settings["seeds"] == list(SEEDS)
