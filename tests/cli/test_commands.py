"""The command line: one word a thing, examples that run, old words that lead to the new ones, ends in order."""

import functools
import json
import shlex
import signal
import subprocess
import sys

import click
import pytest
from click.testing import CliRunner

from deepwright.checks import BUILTIN, ON_REQUEST
from deepwright.cli import main
from deepwright.cli.listing import builtin_checks

COMMANDS = main.commands
NETWORKS = ("audit", "shrink", "exits", "guard", "explain")
WORKFLOWS = (*NETWORKS, "label", "solve")
EXAMPLES = {name: shlex.split(command.example)[1:] for name, command in COMMANDS.items()}
LONG = ("harden", "shrink", "exits", "guard", "label", "drive", "study")  # a minute each: the slow suite runs them


def words_of(name):
    return {word for parameter in COMMANDS[name].params for word in parameter.opts}


def run(*words):
    return CliRunner().invoke(main, [str(w) for w in words])


def parsed(words):
    """The context of a command line that begins with the command."""
    name, command, rest = main.resolve_command(click.Context(main), list(words))
    return command.make_context(name, rest)


# --- one word a thing --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_writes_json(name):
    assert "--json" in words_of(name)


@pytest.mark.parametrize("name", sorted(set(COMMANDS) - {"list"}))
def test_every_command_that_makes_files_has_a_folder_and_a_seed(name):
    assert {"--out", "--seed"} <= words_of(name)


@pytest.mark.parametrize("name", NETWORKS)
def test_only_an_audit_which_takes_texts_offers_words_of_them(name):
    assert {"--text", "--tokenizer"} & words_of(name) == (
        {"--text", "--tokenizer"} if name in ("audit", "explain") else set()
    )


@pytest.mark.parametrize("name", WORKFLOWS)
def test_every_workflow_has_a_place(name):
    assert {"--device", "--precision"} <= words_of(name)


@pytest.mark.parametrize("name", [n for n in COMMANDS if "--target" in words_of(n)])
def test_a_target_is_a_column_everywhere(name):
    target = next(p for p in COMMANDS[name].params if "--target" in p.opts)
    assert target.metavar == "COLUMN"


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_says_what_it_is_or_shows_its_default(name):
    silent = [
        p.name for p in COMMANDS[name].params if isinstance(p, click.Option) and not p.help and not p.show_default
    ]
    assert silent == []


# --- examples ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", COMMANDS)
def test_help_has_an_example_of_the_command(name):
    shown = run(name, "--help")
    assert shown.exit_code == 0
    assert COMMANDS[name].example in shown.output
    assert EXAMPLES[name][0] == name


@pytest.mark.parametrize("name", COMMANDS)
def test_the_example_is_understood(name):
    parsed(EXAMPLES[name])


@pytest.mark.parametrize("name", [pytest.param(n, marks=[pytest.mark.slow] * (n in LONG)) for n in COMMANDS])
def test_the_example_runs(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = run(*EXAMPLES[name])
    assert done.exit_code in (0, 1) if name == "study" else done.exit_code == 0, done.output


# --- words of before ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("shrink --target macs=0.5 --int8", "shrink --goal macs=0.5 --int8"),
        ("shrink mine:net --target=params=1000", "shrink mine:net --goal=params=1000"),
        ("shrink --data t.csv --target-column y", "shrink --data t.csv --target y"),
        ("shrink --method exit --epochs 1", "exits --epochs 1"),
        ("shrink --method=exit", "exits"),
        ("solve heat.py --steps 3 --optimiser adam", "solve heat.py --steps 3 --optimizer adam"),
    ],
)
def test_an_old_word_is_refused_with_the_new_one(old, new):
    done = run(*shlex.split(old))
    assert done.exit_code == 2
    assert done.output.strip().endswith(f"to do: deepwright {new}")
    parsed(shlex.split(new))


def test_a_column_that_is_no_goal_is_a_column():
    assert parsed(["shrink", "--target", "price=high"]).params["target"] == "price=high"


# --- errors and ends ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["audit", "--limit", "0"], "--limit; given: 0"),
        (["audit", "--seed", "-1"], "--seed; given: -1"),
        (["audit", "--device", "gpu"], "--device; given: 'gpu'"),
        (["audit", "--precision", "8"], "precision; given: '8'"),
        (["audit", "--precision", "16-mixed"], "16-mixed on the CPU"),
        (["audit", "--std", "0"], "--std; given: 0"),
        (["audit", "--mean", "a"], "--mean; given: 'a'"),
        (["audit", "--weights", "w.safetensors", "--data", "t.csv"], "--weights"),
        (["shrink", "--goal", "flops=1"], "--goal; given: 'flops=1'"),
        (["shrink", "--generations", "3"], "--generations; given: 3 with method 'one-shot'"),
        (["shrink", "--method", "evolve", "--round-to", "8"], "--round-to; given: 8 with method 'evolve'"),
        (["exits", "--max-harm", "1"], "--max-harm; given: 1"),
        (["exits", "--shares", "0.3,2"], "--shares; given: 2"),
        (["label", "digits", "--simulate", "--budget", "9", "--classes", "a,b"], "--classes; given: beside simulate"),
        (["label", "digits", "--simulate", "--budget", "9", "--precision", "bf16-mixed"], "bf16-mixed"),
        (["label", "digits", "--simulate", "--budget", "9", "--interactive"], "say one of them"),
        (["solve"], "PROBLEM; given: nothing"),
        (["solve", "poisson", "--optimizer", "adam"], "--optimizer; given: adam without steps"),
        (["solve", "poisson", "--precision", "bf16-true"], "unknown --precision; given: 'bf16-true'"),
        (
            ["label", "digits", "--simulate", "--budget", "9", "--strategy", "entropyy"],
            "unknown --strategy; given: 'entropyy'",
        ),
        (["study", "fragility"], "did you mean 'fragility-index'"),
    ],
)
def test_bad_words_are_told_as_they_were_typed(words, told, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = run(*words)
    assert done.exit_code == 2
    assert told in done.output
    assert list(tmp_path.iterdir()) == []  # refused before any work


ENDING = """
import os, signal, sys
import click
from deepwright.cli.commands import Command, Group

@click.group(cls=Group)
def main():
    pass

@main.command(cls=Command)
def work():
    os.kill(os.getpid(), int(sys.argv.pop()))
    signal.pause()

main(["work"])
"""


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_in_one_line(number, code):
    # a shell that runs the tests in the background ignores Ctrl-C, and so would its children
    heard = functools.partial(signal.signal, signal.SIGINT, signal.default_int_handler)
    words = [sys.executable, "-c", ENDING, str(int(number))]
    done = subprocess.run(words, capture_output=True, text=True, preexec_fn=heard, timeout=60, check=False)
    assert done.returncode == code
    assert done.stderr.strip() == "Stopped. What is finished is kept: run the same command to go on."


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_are_heard_as_before_after_a_command(number):
    before = signal.getsignal(number)
    run("list", "checks")
    assert signal.getsignal(number) == before


# --- list --------------------------------------------------------------------------------------------------------------


def test_the_listed_checks_are_the_built_in_ones():
    both = BUILTIN | ON_REQUEST
    assert builtin_checks() == {name: check.__doc__.split("\n")[0] for name, check in both.items()}


def test_lists_go_to_json(tmp_path):
    assert run("list", "checks", "--json", tmp_path / "l.json").exit_code == 0
    assert json.loads((tmp_path / "l.json").read_text()) == {"checks": builtin_checks()}


def test_a_study_takes_the_real_data_that_the_environment_names(tmp_path, monkeypatch):
    from deepwright import studies

    asked = []

    class Told(Exception):
        pass

    def told(name, settings):
        asked.append(settings.data_root)
        raise Told

    monkeypatch.setattr(studies, "run_study", told)
    monkeypatch.setenv("DEEPWRIGHT_DATA", str(tmp_path))
    run("study", "fragility-index", "--out", str(tmp_path / "out"), "--store", str(tmp_path / "store"))
    assert asked == [tmp_path]
