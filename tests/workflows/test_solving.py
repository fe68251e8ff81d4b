"""`deepwright solve`: a user's file of twenty lines, names, pictures, resuming, and files that aren't problems."""

import json
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner
from safetensors.torch import load_file

from deepwright import InputError
from deepwright.cli import main
from deepwright.workflows.solving import SolveOptions, solve

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
    assert '<table class="data" aria-label="residuals">' in page
    assert load_file(tmp_path / "s" / "weights.safetensors")["0.weight"].shape == (10, 2)
    again = call(
        tmp_path / "mine.py", "--steps", 30, "--out", tmp_path / "s"
    )  # goes on from its checkpoint: nothing left to do
    assert json.loads((tmp_path / "s" / "certificate.json").read_text())["errors"] == found["errors"]
    assert again.exit_code == 0


@pytest.mark.parametrize("name", ["droplet", pytest.param("flow-mixing-3d", marks=pytest.mark.slow)])
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
        ("\n1 / 0", "bad.py, line 2)"),
        ("x = 1\nproblem =", "bad.py, line 2)"),
        ("import math\n\nproblem = PDEProblem()", "NameError: name 'PDEProblem' is not defined"),
        ("import sys\nsys.exit(0)", "it ended the process: sys.exit(0)"),
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


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("out.J[1] - 0.1", "out.J[1] - rate", ("NameError", "mine.py, line 8")),
        ("lambda z: torch.exp(-0.1", "lambda z: torch.exp(-rate", ("NameError", "mine.py, line 17")),
        ("lambda: field(2", "lambda: fild(2", ("NameError", "mine.py, line 18")),
        ('u(z), "boundary"', 'u(z)[:, 0] - z[:, :1], "boundary"', ("shapes (N,) and (N, 1)", "'ends'")),
    ],
    ids=["residual", "exact", "network", "shapes"],
)
def test_mistakes_in_the_user_s_functions_are_one_line(old, new, words, tmp_path):
    (tmp_path / "mine.py").write_text(OWN.replace(old, new))
    done = call(tmp_path / "mine.py", "--steps", 3, "--out", tmp_path / "s")
    assert done.exit_code == 2
    assert [word for word in words if word not in done.output] == []
    assert not (tmp_path / "s" / "fit.pt").exists()  # before training


INVERSE = (
    OWN.replace("- 0.1 * out.S[0]", "- u.k * out.S[0]")
    .replace('u(z), "boundary"', 'u(z) - u.b, "boundary"')
    .replace('torch.sin(math.pi * z[:, :1]), "initial"', 'u.a * torch.sin(math.pi * z[:, :1]), "initial"')
    .replace(
        "    ],\n",
        """        Condition("seen", lambda u, z, y: u(z) - y, SEEN, data=(DATA,)),
    ],
    unknowns=[Unknown("k", 0.3, positive=True), Unknown("a", 0.5), Unknown("b", 0.2)],
""",
    )
    .replace(
        "problem = PDE",
        """from deepwright.physics.solve import Unknown
rows = torch.Generator().manual_seed(0)
SEEN = torch.rand(60, 2, dtype=torch.float64, generator=rows)
TRUTH = torch.exp(-0.1 * math.pi**2 * SEEN[:, 1:]) * torch.sin(math.pi * SEEN[:, :1])
DATA = TRUTH + 0.01 * torch.randn(60, 1, dtype=torch.float64, generator=rows)
problem = PDE""",
    )
)


def test_unknowns_of_the_law_the_start_and_the_ends_are_told_with_intervals(tmp_path):
    """A diffusivity in the equation, an amplitude at the start and a level at the ends, from 60 noisy values."""
    (tmp_path / "mine.py").write_text(INVERSE)
    done = call(tmp_path / "mine.py", "--steps", 40, "--out", tmp_path / "s", "--json", tmp_path / "j.json")
    assert done.exit_code == 0, done.output
    found = json.loads((tmp_path / "j.json").read_text())["unknowns"]
    for name, truth in (("k", 0.1), ("a", 1.0), ("b", 0.0)):
        assert found[name]["low"] < truth < found[name]["high"]
        assert found[name]["high"] - found[name]["low"] < 0.1
    page = (tmp_path / "s" / "solution.html").read_text()
    assert "k = 0." in page
    assert "95 % interval" in page


@pytest.mark.parametrize(("broken", "kept"), [("certify", "unknowns"), ("solution_film", "verdict")])
def test_results_are_kept_before_they_are_looked_at(broken, kept, tmp_path, monkeypatch):
    def fails(*_, **__):
        raise RuntimeError("no")

    monkeypatch.setattr(f"deepwright.workflows.solving.{broken}", fails)
    (tmp_path / "mine.py").write_text(INVERSE)
    with pytest.raises(InputError, match="RuntimeError: no"):  # this file is a user's
        solve(SolveOptions(tmp_path / "mine.py", steps=3, out=tmp_path / "s"))
    found = json.loads((tmp_path / "s" / "certificate.json").read_text())
    assert found["unknowns"]["k"]["value"] > 0
    assert (tmp_path / "s" / "weights.safetensors").exists()
    assert ("verdict" if kept == "verdict" else "steps") in found
    assert (found["trained"] != {}) == (kept == "verdict")


ROOM = """
from pathlib import Path
from deepwright.physics import Ball, Condition, Difference, Hard, PDEProblem, Polygon, field, laplacian

outline = Polygon.read(Path(__file__).with_name("room.csv"))
room = Difference(outline, Ball((0.5, 0.5), 0.2))
problem = PDEProblem(
    "a room with a pillar", room,
    [
        Condition("heat", lambda u, x: laplacian(u, x) + 1, points=150),
        Condition("pillar", lambda u, x: u(x) - 1, "boundary", 40, keep=lambda x: (x - 0.5).norm(dim=1) < 0.3, weight=100.0),
    ],
    hard=Hard(outline.smooth_distance),  # 0 on the walls, whatever is trained
    network=lambda: field(2, hidden=(12, 12)),
)
"""


def test_a_region_from_a_file_with_a_hole_and_held_walls(tmp_path):
    (tmp_path / "room.csv").write_text("0,0\n2,0\n2,1\n1,1\n1,2\n0,2\n")
    (tmp_path / "room.py").write_text(ROOM)
    found = solve(SolveOptions(tmp_path / "room.py", steps=20, out=tmp_path / "s"))
    walls = torch.tensor([[2.0, 0.5], [1.5, 1.0], [0.0, 1.7], [1.0, 1.3]], dtype=torch.float64)
    assert float(found.network(walls).abs().max()) < 1e-6
    assert found.certificate.undetermined == 0
    assert found.certificate.trained["pillar"] < 0.3
    assert (tmp_path / "s" / "solution.html").exists()
