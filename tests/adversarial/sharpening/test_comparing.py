"""The comparison on an affine pair, where who gains is known; what it counts, refuses and resumes."""

import pytest
import torch
from torch import nn

from deepwright import InputError
from deepwright.adversarial import BIM
from deepwright.adversarial.sharpening import (
    BiLevel,
    ContrastStretch,
    FastPreemption,
    Jpeg,
    LaplacianSharpen,
    LastIterate,
    Row,
    compare,
)
from deepwright.adversarial.sharpening.compared import Comparison

EPS = 8 / 255


class Checks(nn.Module):
    """Two classes by the sign of a checkerboard's amplitude, with a fault of its own."""

    def __init__(self, seed, fault=0.3):
        super().__init__()
        board = ((torch.arange(8)[:, None] + torch.arange(8)) % 2).float() * 2 - 1
        own = torch.randn(8, 8, generator=torch.Generator().manual_seed(seed))
        self.weight = nn.Parameter(board + fault * (own - own.mean()))

    def forward(self, x):
        z = (x[:, 0] * self.weight).sum((1, 2))
        return torch.stack([-z, z], 1)


def boards(n=40, low=0.005, high=0.07):
    """Checkerboards of random amplitude: sharpening multiplies them by 1 + 8 a."""
    rng = torch.Generator().manual_seed(0)
    y = torch.arange(n) % 2
    amplitude = (torch.rand(n, generator=rng) * (high - low) + low) * (2.0 * y - 1)
    board = ((torch.arange(8)[:, None] + torch.arange(8)) % 2).float() * 2 - 1
    return (0.5 + amplitude[:, None, None] * board)[:, None].clamp(0, 1), y


@pytest.fixture(scope="module")
def found():
    x, y = boards()
    surrogate = Checks(1)
    methods = {"sharpened": LaplacianSharpen(0.25), "fast": FastPreemption(surrogate), "copied": lambda t: t}
    return compare(methods, surrogate, Checks(2), [(x[:30], y[:30]), (x[30:], y[30:])], [EPS])


def test_what_raises_the_signal_gains_and_what_copies_doesn_t(found):
    at = f"transfer {EPS!r}"
    assert found["sharpened"].share(at).value > found["none"].share(at).value + 0.3
    assert found["copied"].share(at).value == found["none"].share(at).value
    assert found.p_value(found["sharpened"], found["none"]) < 0.01
    assert found.p_value(found["copied"], found["none"]) == 1.0


def test_controls_are_at_the_error_of_the_first_method(found):
    controls = [r for r in found.rows if r.control and r.comparable]
    assert {"contrast", "unsharp mask", "noise"} <= {r.name for r in controls}
    for row in controls:
        assert abs(row.psnr - found["sharpened"].psnr) < 0.3  # rounding to 8 bits beside small changes


def test_contrast_does_as_well_here_and_the_verdict_says_so(found):
    """The amplitude of a checkerboard is its contrast: sharpening has nothing of its own."""
    assert "sharpened" not in found.chosen
    assert "contrast" in found.verdict or found.chosen == ["fast"]


def test_who_asked_the_surrogate_has_a_grey_box_and_no_transfer(found):
    assert f"transfer {EPS!r}" not in found["fast"].right
    assert f"grey box {EPS!r}" in found["fast"].right
    assert found.judged(found["fast"]) == f"grey box {EPS!r}"
    assert f"grey box {EPS!r}" not in found["sharpened"].right


def test_reversion_takes_back_what_was_gained_by_an_affine_gain(found):
    white, undone = (found["sharpened"].share(f"{kind} {EPS!r}").value for kind in ("transfer", "reversion"))
    assert undone <= white
    assert f"reversion {EPS!r}" not in found["noise"].right


def test_the_table_names_every_attacker(found):
    table = found.table()
    assert [row[0] for row in table.rows][:2] == ["none", "sharpened"]
    assert all(len(row) == len(table.columns) for row in table.rows)
    assert sum("transfer" in c for c in table.columns) == 1


def test_a_third_network_gives_everybody_a_transfer():
    x, y = boards(20)
    surrogate = Checks(1)
    report = compare({"fast": FastPreemption(surrogate)}, surrogate, Checks(2), [(x, y)], attacker=Checks(3))
    assert {f"transfer {EPS!r}", f"grey box {EPS!r}"} <= set(report["fast"].right)
    assert report.third


def test_what_is_published_goes_through_a_file():
    x, y = boards(12)
    networks = Checks(1), Checks(2)
    plain, stored = (
        compare({"s": LaplacianSharpen(0.25)}, *networks, [(x, y)], equal_mse=False, then=then)
        for then in (None, Jpeg(30))
    )
    assert plain["none"].psnr > 48  # rounding alone
    assert stored["none"].psnr < plain["none"].psnr - 3
    assert stored["s"].psnr != plain["s"].psnr


def test_an_interrupted_comparison_asks_no_network_twice(tmp_path):
    x, y = boards(8)
    calls = []

    class Counting(Checks):
        def forward(self, t):
            calls.append(len(t))
            return super().forward(t)

    def run(eps=EPS, a=0.25, labels=y):
        made = Counting(1), Counting(2)
        return compare(
            {"s": LaplacianSharpen(a)}, *made, [(x, labels)], [eps], equal_mse=False, checkpoint=tmp_path / "c.jsonl"
        )

    first = run()
    calls.clear()
    again = run()
    assert calls == []
    assert [r.right for r in again.rows] == [r.right for r in first.rows]
    for change in ({"eps": 0.01}, {"a": 0.5}, {"labels": 1 - y}):
        with pytest.raises(InputError, match=r"eps|methods|inputs or labels"):
            run(**change)


def test_nothing_is_recommended_that_isn_t_shown():
    n = 200
    rows = [Row("none"), Row("better"), Row("unsharp mask", control=True)]
    for row, right in zip(rows, (100, 140, 104)):
        row.take(
            {
                "error": [0.0 if row.name == "none" else 1e-3] * n,
                "ssim": [1.0] * n,
                "met": [True] * n,
                "clean": [True] * n,
                "seconds": 1e-3,
                "cells": {"transfer 0.03": [i < right for i in range(n)]},
            }
        )
    report = Comparison(n, (0.03,), rows, False, "LastIterate")
    assert report.chosen == ["better"]
    rows[1].clean = [i >= 30 for i in range(n)]  # at the price of right answers
    assert report.chosen == []
    assert report.verdict == "Do nothing: what helps against the attack costs right answers without it."
    rows[1].clean = [True] * n
    rows[1].right["transfer 0.03"] = [i < 106 for i in range(n)]
    rows[2].right["transfer 0.03"] = [5 <= i < 109 for i in range(n)]  # neither above none nor below the method
    assert report.chosen == []
    assert "no method is shown to do better than none and than every control" in report.verdict
    rows[1].right["transfer 0.03"], rows[2].right["transfer 0.03"] = ([i < k for i in range(n)] for k in (140, 150))
    rows[2].met = [False] * n
    assert "same squared error" not in report.verdict  # it isn't at that error
    rows[2].met = [True] * n
    rows[2].right["transfer 0.03"] = [i < 139 for i in range(n)]
    assert report.chosen == []
    assert "unsharp mask at the same squared error does as well" in report.verdict


def test_attacks_that_stop_early_are_refused():
    x, y = boards(4)
    with pytest.raises(InputError, match="stops at its own network's first success"):
        compare({"s": ContrastStretch()}, Checks(1), Checks(2), [(x, y)], attack=BIM(EPS))
    assert (
        compare(
            {"s": ContrastStretch()}, Checks(1), Checks(2), [(x, y)], attack=LastIterate(EPS, steps=1), equal_mse=False
        ).n
        == 4
    )


@pytest.mark.slow
def test_texture_waves_show_what_was_measured():
    """One seed of the study: bi-level optimisation beats sharpening at a smaller error, contrast is no worse."""
    from deepwright.core.fit import adamw, fit, one_cycle
    from deepwright.data import texture_waves

    def network(widths, kernel, activation, seed):
        torch.manual_seed(seed)
        a, b = widths
        layers = [nn.Conv2d(1, a, kernel, 2, kernel // 2), nn.BatchNorm2d(a), activation()]
        layers += [nn.Conv2d(a, b, 3, 2, 1), nn.BatchNorm2d(b), activation()]
        layers += [nn.Conv2d(b, b, 3, 2, 1), nn.BatchNorm2d(b), activation()]
        return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(b, 8))

    x, y = texture_waves(4000, seed=100)
    test_x, test_y = texture_waves(200, seed=200)
    networks = [network((12, 24), 5, nn.ReLU, 0), network((8, 16), 7, nn.GELU, 1)]
    for model in networks:
        fit(model, (x, y), epochs=8, batch_size=100, optimizer=adamw(3e-3), scheduler=one_cycle(3e-3))
        model.eval()
    surrogate, target = networks
    methods = {"sharpened": LaplacianSharpen(0.25), "bi-level": BiLevel(surrogate, EPS, iters=10)}
    report = compare(methods, surrogate, target, [(test_x, test_y)], [EPS])
    shares = {r.name: r.share(report.judged(r)).value for r in report.rows}
    assert report["none"].share("clean").value > 0.85
    assert shares["bi-level"] > shares["sharpened"]
    assert report["bi-level"].psnr > report["sharpened"].psnr
    assert shares["blur"] <= shares["none"] + 0.03
