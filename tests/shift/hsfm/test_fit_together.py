"""Several fits side by side against the same fits one by one."""

import warnings

import pytest
import torch

from deepwright.core.errors import InputError
from deepwright.data import gaussian_spurious
from deepwright.shift import DFR, HSFM, ShiftWarning, fit_together, make_groups
from deepwright.shift.problems import SELECTS

SHORT = {"epochs": 4, "n_support": 16}


def rows(split):
    return split.x, split.y, make_groups(split.y, torch.as_tensor(split.columns["attribute"]), 2)


def test_each_ends_where_its_own_fit_would():
    made = gaussian_spurious(3, d=8, n=(400, 300, 100)).data
    given = (
        *rows(made.train)[:2],
        *(part.double() if i == 0 else part for i, part in enumerate(rows(made.validation))),
    )
    given = (given[0].double(), *given[1:])
    options = [{"seed": seed, "select": select} | SHORT for seed, select in enumerate(SELECTS)]
    options += [{"variant": variant, "k_hard": 8} | SHORT for variant in ("direct-hard", "frozen-support")]
    options += [{"outer_lr": 0.0} | SHORT, {"head_lr_rel": 0.02, "outer_lr": 0.3} | SHORT]
    options += [{"scale": "raw", "clip": clip, "inner_lr": 0.01} | SHORT for clip in (1e-9, 10.0)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ShiftWarning)
        together = fit_together([HSFM(**one) for one in options], *given)
        for one, got in zip(options, together, strict=True):
            want = HSFM(**one).fit(*given)
            assert torch.allclose(got.head_.weight, want.head_.weight, rtol=1e-9, atol=1e-12)
            assert torch.allclose(got.head_.bias, want.head_.bias, rtol=1e-9, atol=1e-12)
            assert torch.allclose(got.support_, want.support_, rtol=1e-6, atol=1e-7)
            assert torch.equal(got.support_index_, want.support_index_)
            assert got.best_epoch_ == want.best_epoch_
            assert got.label_use_ == want.label_use_
            assert [epoch.hard for epoch in got.history_] == [epoch.hard for epoch in want.history_]
            assert [e.worst for e in got.history_] == pytest.approx([e.worst for e in want.history_])


def test_bad_input_is_named(tmp_path):
    made = gaussian_spurious(3, d=8, n=(200, 200, 100)).data
    train, validation = rows(made.train)[:2], rows(made.validation)
    method = HSFM(**SHORT)
    with pytest.raises(InputError, match="0 methods"):
        fit_together([], *train, *validation)
    with pytest.raises(InputError, match="twice"):
        fit_together([method, method], *train, *validation)
    with pytest.raises(InputError, match="no group labels"):
        fit_together([method], *train, *validation[:2])
    with pytest.raises(InputError, match="DFR is fitted in one go"):
        DFR(draws=1).fit(*train, *validation, checkpoint=tmp_path / "file.pt")
