"""Audits that several files look at."""

import functools

import pytest
import subjects

from deepwright.checks import audit
from deepwright.compress import cost


@pytest.fixture(scope="session")
def audited():
    """(name) -> subject and report, made once; latency is measured for a moment only, and not in ONNX Runtime."""
    made = {}

    def get(name):
        if name not in made:
            subject = subjects.subject(name)
            with pytest.MonkeyPatch.context() as patch:  # while it is made, and no longer: other files measure, too
                patch.setattr("deepwright.compress.counting.costs.onnx_latency", lambda *_, **__: None)
                patch.setattr("deepwright.checks.cost.cost", functools.partial(cost, min_run_time=0.01))
                made[name] = subject, audit(subject)
        return made[name]

    return get
