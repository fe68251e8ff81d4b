"""Fields that are compared stand on one colour scale."""

import numpy as np
import pytest

from deepwright.core.errors import InputError
from deepwright.physics.pictures import field_image, field_images


def test_fields_that_are_compared_share_their_scale():
    values = np.linspace(-1.0, 3.0, 16).reshape(4, 4)
    large, small = field_images({"large": values, "small": values / 10})
    assert large["png"] == field_image(values, "large")["png"]
    assert small["png"] == field_image(values / 10, "small", limit=3.0)["png"]


def test_no_fields_are_refused():
    with pytest.raises(InputError, match="no fields"):
        field_images({})
