"""0 passed, 1 a gate failed, 2 bad input, 3 a check broke, 130 interrupted: and nothing else ends with 0."""

import os
import signal
import subprocess
import sys

import pytest
from click.testing import CliRunner

from deepwright.cli import main
from deepwright.cli.commands import EXIT_CODES

MODULE = """
import sys
from torch import nn

class Ends(nn.Module):
    def forward(self, x):
        sys.exit(0)

class Broken(nn.Module):
    def forward(self, x):
        return x + undefined

def ends():
    sys.exit(0)

def two() -> nn.Module:
    return nn.Linear(2, 2)
"""
CHECKS = {
    "exits.py": "import sys\nsys.exit(0)\n",
    "quits.py": "quit()\n",
    "silent.py": "raise SystemExit\n",
    "broken.py": "def check_broken(subject):\n    raise KeyError('k')\n",
    "leaves.py": "import sys\ndef check_leaves(subject):\n    sys.exit(0)\n",
    "wrong.py": "\nx = undefined\n",
    "syntax.py": "\n\nx = = 1\n",
}


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder with a table, networks, and files of checks; and the words that audit it."""
    (tmp_path / "t.csv").write_text("a,b,y\n" + "".join(f"{i % 7},{i % 5},{i % 2}\n" for i in range(60)))
    (tmp_path / "ends_mine.py").write_text(MODULE)
    for name, text in CHECKS.items():
        (tmp_path / name).write_text(text)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "ends_mine", raising=False)
    return tmp_path


def audit(*words, model="ends_mine:two"):
    plain = ["audit", model, "--data", "t.csv", "--target", "y", "--check", "accuracy"]
    return CliRunner().invoke(main, [*plain, *map(str, words)])


def test_an_audit_without_gates_ends_with_0(place):
    assert audit().exit_code == 0


def test_a_gate_that_is_met_ends_with_1(place):
    assert audit("--fail-on", "accuracy<=1").exit_code == 1


@pytest.mark.parametrize("file", ["broken.py", "leaves.py"])
def test_a_check_that_breaks_ends_with_3_before_any_gate(place, file):
    assert audit("--check", file, "--fail-on", "accuracy<=1").exit_code == 3
    assert (place / "report" / "report.json").exists()


@pytest.mark.parametrize(
    ("file", "told"),
    [
        ("exits.py", "sys.exit(0) (exits.py, line 2)"),
        ("quits.py", "sys.exit"),
        ("silent.py", "sys.exit() (silent.py, line 1)"),
        ("wrong.py", "NameError: name 'undefined' is not defined (wrong.py, line 2)"),
        ("syntax.py", "SyntaxError: invalid syntax (syntax.py, line 3)"),
    ],
)
@pytest.mark.parametrize("words", [["audit", "--check"], ["solve"], ["list", "checks", "--check"]])
def test_a_file_that_ends_the_process_or_fails_is_bad_input(place, words, file, told):
    done = CliRunner().invoke(main, [*words, file])
    assert done.exit_code == 2
    assert told in done.output
    assert len(done.output.strip().splitlines()) == 1


@pytest.mark.parametrize(
    ("model", "told"),
    [
        ("ends_mine:ends", "sys.exit(0) (ends_mine.py, line"),
        ("ends_mine:Ends", "sys.exit(0) (ends_mine.py, line 7)"),
        ("ends_mine:Broken", "NameError: name 'undefined' is not defined (ends_mine.py, line 11)"),
    ],
)
def test_a_network_that_ends_the_process_or_fails_is_bad_input(place, model, told):
    done = audit(model=model)
    assert done.exit_code == 2
    assert told in done.output
    assert len(done.output.strip().splitlines()) == 1


@pytest.mark.parametrize("gate", ["accuracy<nan", "accuracy.grade>Z", "acuracy<0.5"])
def test_a_gate_that_cannot_fail_is_refused_before_any_work(place, gate):
    assert audit("--fail-on", gate).exit_code == 2
    assert not (place / "report").exists()


@pytest.mark.parametrize("text", ['[gate]\nfail-on = ["accuracy<=1"]', 'fail_on = ["accuracy<=1"]'])
def test_a_config_that_would_not_be_read_is_refused_before_any_work(place, text):
    (place / "deepwright.toml").write_text(text)
    assert audit().exit_code == 2
    assert not (place / "report").exists()


def test_a_fault_of_ours_ends_with_3_and_its_trace(monkeypatch):
    monkeypatch.setattr("deepwright.data.ENTRIES", [None])
    done = CliRunner().invoke(main, ["list", "data"])
    assert done.exit_code == 3
    assert "AttributeError: 'NoneType' object has no attribute 'name'" in done.output
    assert "Traceback" in done.output


@pytest.mark.parametrize("name", main.commands)
def test_help_says_what_each_code_means(name):
    shown = CliRunner().invoke(main, [name, "--help"]).output
    assert [line for line in EXIT_CODES.splitlines() if line.strip() not in shown] == []


WAITS = """
import os, signal, sys
number = int(os.environ["NUMBER"])
os.kill(os.getpid(), number)
signal.pause()
"""


def test_a_reader_that_goes_away_is_no_fault():
    code = "from deepwright.cli import main; main(['list', 'data'])"
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run([sys.executable, "-c", code], stdout=writing, stderr=subprocess.PIPE, timeout=60, check=False)
    os.close(writing)
    assert (done.returncode, done.stderr) == (141, b"")


@pytest.mark.parametrize(
    ("words", "number", "code"), [(["audit", "--check"], signal.SIGINT, 130), (["solve"], signal.SIGTERM, 143)]
)
@pytest.mark.slow
def test_a_signal_in_a_users_file_is_no_fault_of_the_file(tmp_path, words, number, code):
    (tmp_path / "waits.py").write_text(WAITS)
    call = (
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); import deepwright.cli as c; c.main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", call, *words, "waits.py"],
        cwd=tmp_path,
        env={**os.environ, "NUMBER": str(int(number))},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == code, done.stderr
