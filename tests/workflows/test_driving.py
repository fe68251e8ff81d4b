"""`deepwright drive`: files, what is said, other agents, and a campaign that goes on."""

import json

import pytest
import torch
from click.testing import CliRunner
from torch import nn

from deepwright.cli import main
from deepwright.core.errors import InputError
from deepwright.corruptions.driving import tiny_pilot
from deepwright.workflows import DriveOptions, drive

FEW = dict(roads=2, perturbations=("contrast", "posterize"), severities=(5,), size=(24, 48), timeout=25.0)


class Steering(nn.Module):
    """Straight on, by one column."""

    def forward(self, pictures):
        return 0 * pictures.mean((1, 2, 3))[:, None]


@pytest.mark.slow
def test_files_of_a_campaign(tmp_path):
    said = []
    found = drive(DriveOptions(Steering().eval(), out=tmp_path, **FEW), say=said.append)
    assert said == ["6 episodes: 2 roads, 3 cells, in roadsim"]
    assert [row[:3] for row in found.table.rows] == [["clean", 0, 2], ["contrast", 5, 2], ["posterize", 5, 2]]
    assert {o.ended for o in found.outcomes} == {"left the lane"}
    page = (tmp_path / "drive.html").read_text()
    assert "data:image/gif;base64" in page
    assert "contrast" in page
    data = json.loads((tmp_path / "outcomes.json").read_text())
    assert len(data["outcomes"]) == 6
    assert (tmp_path / "film.gif").read_bytes()[:3] == b"GIF"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["drive.html", "film.gif", "outcomes.json"]


@pytest.mark.slow
def test_the_bundled_pilot_drives_clean_roads_and_fails_in_fog(tmp_path):
    words = [
        "drive",
        "--roads",
        "8",
        "--perturbation",
        "gaussian_noise,fog_mapping",
        "--severity",
        "5",
        "--seed",
        "100",
    ]
    result = CliRunner().invoke(main, [*words, "--out", str(tmp_path), "--json", str(tmp_path / "all.json")])
    assert result.exit_code == 0, result.output
    outcomes = json.loads((tmp_path / "all.json").read_text())["outcomes"]
    ended = {}
    for outcome in outcomes:
        ended.setdefault(outcome["scenario"]["perturbation"], []).append(outcome)
    assert {o["ended"] for o in ended[None]} == {"passed"}
    assert sum(o["max_xte"] for o in ended[None]) / 6 < 1
    assert sum(o["ended"] == "left the lane" for o in ended["fog_mapping"]) > 3
    assert "fog_mapping: severity 5" in result.output


def test_an_agent_of_one_column_steers_without_throttle():
    from deepwright.workflows import driving

    sim = driving.RoadSim(1, (24, 48))
    agent = driving._with_throttle(Steering().eval(), sim, DriveOptions(size=(24, 48)))
    assert agent(torch.rand(3, 1, 24, 48)).shape == (3, 2)
    assert not agent.training


class Turning(nn.Module):
    """A network of two columns that leaves every road, and can be trained."""

    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.AvgPool2d(8), nn.Flatten(), nn.Linear(18, 2))

    def forward(self, pictures):
        return self.net(pictures)


@pytest.mark.slow
def test_the_worst_cell_comes_first_and_the_rest_goes_on_when_there_is_time(tmp_path):
    options = {**FEW, "perturbations": ("posterize", "translate"), "order": "worst-first", "out": tmp_path / "a"}
    agent = Turning().eval()
    whole = drive(DriveOptions(agent, **options))
    errors = {cell.cell: cell.error.value for cell in whole.offline}
    cells = list(dict.fromkeys(o.scenario.cell for o in whole.outcomes))
    assert cells[0] == ("clean", 0)
    assert errors[cells[1]] >= errors[cells[2]]
    options |= {"out": tmp_path / "b", "junit": tmp_path / "b.xml"}
    some = drive(DriveOptions(agent, **options, time_budget=1e-9))
    assert [o.scenario.cell for o in some.outcomes] == [("clean", 0)] * 2
    assert some.undriven == cells[1:]
    assert "time was up" in some.lines()[-1]
    assert (tmp_path / "b.xml").read_text().count("<skipped") == 2
    rest = drive(DriveOptions(agent, **options, time_budget=1e9))
    assert rest.undriven == []
    assert [o.ended for o in rest.outcomes] == [o.ended for o in whole.outcomes]


@pytest.mark.slow
def test_a_campaign_repairs_on_a_recording(tmp_path):
    from PIL import Image

    for i in range(6):
        Image.new("L", (48, 24), 40 * i).save(tmp_path / f"{i}_cam.png")
        row = {"user/angle": 0.1 * i, "user/throttle": 0.0, "cam/image_array": f"{i}_cam.png"}
        (tmp_path / f"record_{i}.json").write_text(json.dumps(row))
    said = []
    options = DriveOptions(Turning().eval(), **FEW, recording=tmp_path, repair=True, out=tmp_path / "out")
    found = drive(options, say=said.append)
    assert found.repaired.trained
    assert found.offline[0].error.value > 0
    assert (tmp_path / "out" / "repaired.safetensors").exists()
    assert "The repair" in (tmp_path / "out" / "drive.html").read_text()
    assert json.loads((tmp_path / "out" / "outcomes.json").read_text())["repair"]["trained"]
    assert any("a repair by training on" in line for line in said)


def test_each_scenario_is_a_test_for_a_ci_server():
    from xml.etree import ElementTree

    from deepwright.corruptions.driving import Outcome, Scenario, outcome_table
    from deepwright.workflows.driven import Driven, driven_junit

    def outcome(ended, seed, *cell, reason=""):
        return Outcome(Scenario(None, *cell, seed=seed), ended, 4.0, 0.5, xte=torch.tensor([1.0, -3.0]), reason=reason)

    outcomes = [
        outcome("passed", 1),
        outcome("left the lane", 1, "snow", 5),
        outcome("the agent failed", 2, "snow", 5, reason="NaN <b>\x01"),
        outcome("infrastructure error", 3, "snow", 5),
    ]
    driven = Driven(outcomes, outcome_table(outcomes), undriven=[("fog_mapping", 2)])
    root = ElementTree.fromstring(driven_junit("an agent & <more>", driven).encode())
    assert {k: root.get(k) for k in ("tests", "failures", "errors")} == {"tests": "5", "failures": "2", "errors": "1"}
    assert [suite.get("name") for suite in root] == [
        "deepwright.driving.clean",
        "deepwright.driving.snow 5",
        "deepwright.driving.fog_mapping 2",
    ]
    cases = {case.get("name"): case for case in root.iter("testcase")}
    assert cases["clean, road 1"].find("failure") is None
    assert "3.00 m of 4 m" in cases["snow 5, road 1"].find("failure").text
    assert "NaN <b>" in cases["snow 5, road 2"].find("failure").get("message")
    assert cases["snow 5, road 3"].find("error").get("type") == "infrastructure"
    assert cases["fog_mapping 2"].find("skipped") is not None
    assert cases["clean, road 1"].get("time") == "1.000"


def test_what_looked_unusual_is_told_with_the_rest(tmp_path):
    agent = tiny_pilot(size=FEW["size"]).eval()
    options = {**FEW, "timeout": 1.0, "perturbations": ("posterize",)}
    found = drive(DriveOptions(agent, out=tmp_path, watch=True, **options))
    assert [row[:2] for row in found.forewarning.table.rows] == [["clean", 0], ["posterize", 5]]
    assert str(found.forewarning) in found.lines()
    written = json.loads((tmp_path / "outcomes.json").read_text())["forewarning"]
    assert written["threshold"] == found.forewarning.threshold
    assert "Unusual pictures" in (tmp_path / "drive.html").read_text()


def test_a_watch_needs_layers_and_pictures(tmp_path):
    with pytest.raises(InputError, match="layers"):
        drive(DriveOptions(lambda pictures: torch.zeros(len(pictures), 2), out=tmp_path, watch=True, **FEW))
    with pytest.raises(InputError, match="recording"):
        DriveOptions(sim="car-racing", watch=True)
