"""Every row of the catalogue is true: face, study, page, result and tests exist, and generated texts are current."""

import importlib
import importlib.util
from pathlib import Path

import pytest

from deepwright.core.errors import InputError
from deepwright.systems import SYSTEMS, find

ROOT = Path(__file__).parent.parent
HERE = [s for s in SYSTEMS if s.here]
STUDIED = [s for s in SYSTEMS if s.study]


def _slug(system):
    return system.slug


def _generate():
    spec = importlib.util.spec_from_file_location("generate", ROOT / "docs" / "generate.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_slugs_are_distinct():
    assert len({s.slug for s in SYSTEMS}) == len(SYSTEMS)


@pytest.mark.parametrize("system", HERE, ids=_slug)
def test_its_names_come_from_the_face_of_its_room(system):
    face = importlib.import_module(f"deepwright.{system.room}")
    assert system.names
    assert [n for n in system.names if not hasattr(face, n)] == []


@pytest.mark.parametrize("system", HERE, ids=_slug)
def test_its_own_face_says_what_it_is(system):
    assert (importlib.import_module(system.module).__doc__ or "").strip()


@pytest.mark.parametrize("system", HERE, ids=_slug)
def test_it_has_a_page(system):
    page = (ROOT / "docs" / "systems" / f"{system.slug}.md").read_text()
    assert page.startswith("# ")
    assert system.names[0] in page


@pytest.mark.parametrize("system", STUDIED, ids=_slug)
def test_its_study_runs_and_has_a_committed_result(system):
    module = importlib.import_module(f"deepwright.studies.{system.study}")
    assert callable(module.run)
    assert {f.suffix for f in (ROOT / "docs" / "results").glob(f"{system.slug}.*")} >= {".json", ".md", ".png"}


@pytest.mark.parametrize("system", [s for s in HERE if "." not in s.folder], ids=_slug)
def test_it_has_tests(system):
    folder, file = ROOT / "tests" / system.room / system.folder, ROOT / "tests" / system.room
    assert list(folder.glob("test_*.py")) or list(file.glob("test_*.py"))


@pytest.mark.parametrize("system", [s for s in SYSTEMS if not s.here], ids=_slug)
def test_what_is_to_come_claims_nothing(system):
    assert (system.names, system.study, system.missing) == ((), "", "")


def test_every_study_belongs_to_a_system():
    from deepwright.studies import STUDIES

    assert set(STUDIES) == {s.slug for s in STUDIED}


def test_generated_texts_are_current():
    for path, text in _generate().written().items():
        assert path.read_text() == text, f"{path.name}: run `make docs`"


def test_unknown_system_lists_the_closest():
    with pytest.raises(InputError, match="kinetic-jko"):
        find("kinetic-jk")
