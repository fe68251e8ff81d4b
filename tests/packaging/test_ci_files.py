"""The GitHub Action and the pre-commit hook: what they run is understood by the command, and words stay words."""

import os
import subprocess
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from deepwright.cli import main

ROOT = Path(__file__).parents[2]
ACTION = yaml.safe_load((ROOT / "action.yml").read_text())
STEPS = {step.get("name", step.get("uses")): step for step in ACTION["runs"]["steps"]}
STUB = """#!/bin/bash
printf '%s\\n' "$@" > words
{summary}
exit {code}
"""


def ran(folder, arguments, code, summary="echo '# told' > out/summary.md"):
    """The audit step's own script, beside a command that notes its words; then the step that ends the job."""
    (folder / "bin").mkdir()
    stub = folder / "bin" / "deepwright"
    stub.write_text(STUB.format(code=code, summary=summary))
    stub.chmod(0o755)
    notes = {name: str(folder / name) for name in ("GITHUB_STEP_SUMMARY", "GITHUB_OUTPUT")}
    for path in notes.values():
        Path(path).write_text("")
    env = {"PATH": f"{folder / 'bin'}:{os.environ['PATH']}", "OUT": "out", "ARGUMENTS": arguments, **notes}
    shell = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c"]  # as GitHub runs a step in bash
    subprocess.run([*shell, STEPS["Audit"]["run"]], cwd=folder, env=env, check=True, timeout=20)
    told = Path(notes["GITHUB_OUTPUT"]).read_text().strip()
    end = {"PATH": os.environ["PATH"], "CODE": told.removeprefix("code=")}
    ended = subprocess.run([*shell, STEPS["Gates"]["run"]], env=end, check=False, timeout=20).returncode
    return (folder / "words").read_text().splitlines(), ended, Path(notes["GITHUB_STEP_SUMMARY"]).read_text()


@pytest.mark.parametrize("code", [0, 1, 2, 3])
def test_the_job_ends_as_the_audit_does(tmp_path, code):
    _, ended, summary = ran(tmp_path, "resnet8-mnist", code)
    assert ended == code
    assert summary == "# told\n"


def test_without_a_summary_the_code_is_still_told(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "summary.md").write_text("of an earlier run")
    _, ended, summary = ran(tmp_path, "", 2, summary="")
    assert (ended, summary) == (2, "")


def test_no_word_is_run_by_the_shell(tmp_path):
    given = ["a b", "$(touch evil)", "`touch evil`", "; touch evil", '"', "*", "--data", "my data"]
    words, _, _ = ran(tmp_path, "\n".join(given) + "\n", 0)
    assert words[: len(given) + 1] == ["audit", *given]
    assert not list(tmp_path.glob("**/evil"))


def test_the_scripts_hold_no_input_of_their_own():
    """`${{ ... }}` in a script is pasted into it before the shell reads it."""
    assert [name for name, step in STEPS.items() if "${{" in step.get("run", "")] == []


def test_what_is_run_is_understood(tmp_path, monkeypatch):
    words, _, _ = ran(tmp_path, "", 0)
    monkeypatch.chdir(tmp_path)
    context = main.commands["audit"].make_context("audit", words[1:])
    assert {"out", "markdown", "junit"} <= {name for name, value in context.params.items() if value}


def test_what_the_action_names_is_there():
    used = "".join(str(step) for step in ACTION["runs"]["steps"])
    assert all(f"inputs.{name}" in used for name in ACTION["inputs"])
    assert ACTION["runs"]["using"] == "composite"
    assert all("shell" in step for step in STEPS.values() if "run" in step)


def test_the_hook_is_one_and_runs():
    (hook,) = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())
    assert {"id", "name", "entry", "language"} <= set(hook)
    program, *words = hook["entry"].split()
    assert program == "deepwright"
    assert CliRunner().invoke(main, [*words, "--help"]).exit_code == 0
    assert hook["pass_filenames"] is False  # names of changed files are no models
