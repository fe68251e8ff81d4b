"""`deepwright drive`: files, what is said, other agents, and a campaign that goes on."""

import json

import pytest
import torch
from click.testing import CliRunner
from torch import nn

from deepwright.cli import main
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
