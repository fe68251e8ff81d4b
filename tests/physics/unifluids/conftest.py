"""Fixtures for UniFluids."""

import pytest
from uf_cases import REGISTRY

from deepwright.physics.pde_data import line_corpus, plane_corpus, space_corpus, unified


@pytest.fixture(scope="module")
def corpus():
    """Name -> (training set, test set), of three equations on a line, two in the plane, one in space."""
    return unified(line_corpus(24, 6) | plane_corpus(6, 2, 16, 8) | space_corpus(6, 2, 8, 8), REGISTRY)
