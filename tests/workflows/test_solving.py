"""`deepwright solve`: a user's file of twenty lines, names, pictures, resuming, and files that aren't problems."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from safetensors.torch import load_file

from deepwright.cli import main

OWN = """
import math, torch
from deepwright.physics import Box, SpaceTime, field, jet
from deepwright.physics.solve import Condition, PDEProblem

def heat(u, z):
    out = jet(u, z, None, torch.diag(torch.tensor([1.0, 0.0]))[None])
    return out.J[1] - 0.1 * out.S[0]

problem = PDEProblem(
    "heat <on> a rod", SpaceTime(Box((0, 1)), (0, 1)),
    [
        Condition("equation", heat, points=150),
        Condition("ends", lambda u, z: u(z), "boundary", 40, 10.0),
        Condition("start", lambda u, z: u(z) - torch.sin(math.pi * z[:, :1]), "initial", 40, 10.0),
    ],
    exact=lambda z: torch.exp(-0.1 * math.pi**2 * z[:, 1:]) * torch.sin(math.pi * z[:, :1]),
    network=lambda: field(2, 1, (10, 10)),
)
"""


def call(*words):
    return CliRunner().invoke(main, ["solve", *map(str, words)])


def test_a_problem_of_ones_own(tmp_path):
    (tmp_path / "mine.py").write_text(OWN)
    done = call(tmp_path / "mine.py", "--steps", 30, "--out", tmp_path / "s")
    assert done.exit_code == 0, done.output
    found = json.loads((tmp_path / "s" / "certificate.json").read_text())
    assert found["errors"]["u"] < 1e-2
    assert set(found["trained"]) == {"equation", "ends", "start"}
    page = (tmp_path / "s" / "solution.html").read_text()
    assert "heat &lt;on&gt; a rod" in page
    assert page.count("data:image/png;base64") == 3
    assert '<table class="data"><caption>residuals</caption>' in page
    assert load_file(tmp_path / "s" / "weights.safetensors")["0.weight"].shape == (10, 2)
    again = call(
        tmp_path / "mine.py", "--steps", 30, "--out", tmp_path / "s"
    )  # goes on from its checkpoint: nothing left to do
    assert json.loads((tmp_path / "s" / "certificate.json").read_text())["errors"] == found["errors"]
    assert again.exit_code == 0


@pytest.mark.parametrize("name", ["droplet", "flow-mixing-3d"])
def test_bundled_flows_make_films(name, tmp_path):
    done = call(name, "--steps", 2, "--optimizer", "adam", "--out", tmp_path)
    assert done.exit_code == 0, done.output
    assert (tmp_path / "film.gif").read_bytes()[:6] == b"GIF89a"
    found = json.loads((tmp_path / "certificate.json").read_text())
    assert all(found["dense"][k] != v for k, v in found["fresh"].items())  # other points, not the same ones again


def test_list_and_bad_input(tmp_path):
    listed = call("--list").output
    assert all(n in listed for n in ("poisson", "allen-cahn", "droplet"))
    assert all(len(line.split(maxsplit=1)) == 2 for line in listed.splitlines())
    for text, message in (
        ("x = 1", "NoneType"),
        ("problem = 3", "int"),
        ("1 / 0", "ZeroDivisionError"),
        ("problem =", "SyntaxError"),
    ):
        (tmp_path / "bad.py").write_text(text)
        done = call(tmp_path / "bad.py", "--out", tmp_path / "o")
        assert done.exit_code == 2
        assert message in done.output
    for words, message in ((["poison"], "poisson"), ([], "--list"), ([Path("no.py")], "does not exist")):
        done = call(*words, "--out", tmp_path / "o")
        assert done.exit_code == 2
        assert message in done.output


ODE = """
import torch
from deepwright.physics import Box, LevelSet, field, jet, laplacian
from deepwright.physics.solve import Condition, PDEProblem
if {disc}:
    disc = LevelSet(lambda x: x.square().sum(1) - 1, Box((-1.2, 1.2), (-1.2, 1.2)))
    problem = PDEProblem("disc", disc, [Condition("eq", lambda u, x: laplacian(u, x) + 4, points=120), Condition("edge", lambda u, x: u(x), "boundary", 40)],
                         exact=lambda x: 1 - x.square().sum(1), network=lambda: field(2, 1, (8,)), evaluate=500)
else:
    problem = PDEProblem("growth", Box((0, 1)), [Condition("eq", lambda u, x: jet(u, x).J[0] - u(x), points=40), Condition("start", lambda u, x: u(x) - 1, torch.zeros(1, 1).double())],
                         exact=lambda x: torch.exp(x[:, 0]), network=lambda: field(1, 1, (8,)), evaluate=500)
"""


@pytest.mark.parametrize("disc", [True, False])
def test_one_axis_curved_domains_and_flat_exact_solutions(disc, tmp_path):
    (tmp_path / "p.py").write_text(ODE.replace("{disc}", str(disc)))
    done = call(tmp_path / "p.py", "--steps", 40, "--out", tmp_path / "s")
    assert done.exit_code == 0, done.output
    assert json.loads((tmp_path / "s" / "certificate.json").read_text())["errors"]["u"] < 1e-2
