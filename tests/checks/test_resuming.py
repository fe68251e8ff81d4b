"""An interrupted audit goes on with what is finished, and never with what another check found."""

import torch
from torch import nn

from deepwright.checks import Finding, audit


def batches(seed):
    x = torch.rand(30, 1, 4, 4, generator=torch.Generator().manual_seed(seed))
    return [(x, torch.arange(30) % 2)]


def counting(value, calls):
    """A check that leaves a line in the file `calls`: what a closure holds would be a part of what the check is."""

    def check_counted(subject):
        with calls.open("a") as stream:
            stream.write(f"{value}\n")
        return Finding("counted", "info", "", {"value": value})

    return check_counted


def run(path, check):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = nn.Sequential(nn.Flatten(), nn.Linear(16, 2))
    return audit(model, batches(0), train=batches(1), validation=batches(2), checks=[check], journal=path)


def test_an_edited_check_is_run_again(tmp_path):
    run(tmp_path / "journal", counting(1.0, tmp_path / "calls"))
    assert run(tmp_path / "journal", counting(2.0, tmp_path / "calls"))["counted"].values["value"] == 2.0


def test_a_check_that_stayed_is_not_run_again(tmp_path):
    run(tmp_path / "journal", counting(1.0, tmp_path / "calls"))
    run(tmp_path / "journal", counting(1.0, tmp_path / "calls"))
    assert (tmp_path / "calls").read_text() == "1.0\n"
