"""A room's page in the docs holds all that its face names: under its module, or by its own name."""

import importlib
import pkgutil
import re
from pathlib import Path

import pytest

PAGES = sorted((Path(__file__).parent.parent / "docs" / "rooms").glob("*.md"))
REFERENCE = re.compile(r"^::: (deepwright[\w.]+)", re.MULTILINE)


def faces(room):
    """The room and the packages in it that have a face."""
    yield room
    for found in pkgutil.walk_packages(room.__path__, f"{room.__name__}."):
        if found.ispkg:
            yield importlib.import_module(found.name)


def unnamed(page):
    """Names of its faces that the reference doesn't reach and no word of the page names."""
    text = page.read_text()
    covered = {name: importlib.import_module(name) for name in REFERENCE.findall(text)}
    reached = {name for module in covered.values() for name in getattr(module, "__all__", ())}
    return [
        f"{face.__name__}.{name}"
        for face in faces(importlib.import_module(f"deepwright.{page.stem}"))
        for name in getattr(face, "__all__", ())
        if getattr(getattr(face, name), "__module__", "") not in covered
        and name not in reached
        and not re.search(rf"\b{name}\b", text)
    ]


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.stem)
def test_the_page_names_all_of_its_room(page):
    assert unnamed(page) == []
