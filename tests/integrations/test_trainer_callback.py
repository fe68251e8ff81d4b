"""An audit while the Trainer of transformers trains."""

import json
import math
import os
import random
import socket
import subprocess
import sys

import numpy as np
import pytest
import torch

from deepwright.checks import AuditReport, Finding
from deepwright.core.errors import InputError
from deepwright.nets.texts import WordTokenizer

transformers = pytest.importorskip("transformers")
pytest.importorskip("accelerate")
from deepwright.integrations.trainer_callback import AuditTrainerCallback, _chosen  # noqa: E402 - needs both

pytestmark = pytest.mark.slow
TEXTS = [f"{word} {other} thing" for word in ("good", "bad") for other in "abcdefghijklmnop"]
LABELS = [0] * 16 + [1] * 16
TOKENIZER = WordTokenizer.of(TEXTS)


class Recorder(transformers.TrainerCallback):
    """What a tracker would get."""

    def __init__(self):
        self.logs = []

    def on_log(self, args, state, control, logs=None, **given):
        self.logs.append(dict(logs))


def network():
    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    config = transformers.BertConfig(vocab_size=len(TOKENIZER), max_position_embeddings=8, **sizes)
    return transformers.BertForSequenceClassification(config)  # with dropout, which draws


class Shuffled:
    """Batches that draw from every global generator when they are read."""

    def __iter__(self):
        random.random()
        np.random.rand()  # noqa: NPY002
        order = torch.randperm(32)
        yield [TEXTS[i] for i in order], torch.tensor(LABELS)[order]


def rows():
    return [{"input_ids": ids, "labels": label} for ids, label in zip(TOKENIZER(TEXTS), LABELS)]


def trainer(folder, callbacks=(), **options):
    given = {"eval_strategy": "steps", "eval_steps": 2, "max_steps": 6, "save_strategy": "no", "report_to": "none"}
    given |= {"per_device_train_batch_size": 8, "learning_rate": 1e-2, "use_cpu": True, "disable_tqdm": True}
    args = transformers.TrainingArguments(output_dir=str(folder), **(given | options))
    data = rows()
    return transformers.Trainer(network(), args, train_dataset=data, eval_dataset=data, callbacks=list(callbacks))


def test_the_training_does_not_notice(tmp_path):
    plain, audited = trainer(tmp_path), trainer(tmp_path)
    callback = AuditTrainerCallback(
        Shuffled(),
        tokenizer=TOKENIZER,
        checks=["accuracy", "robustness"],
        at_end=True,
        attack_limit=8,
        out=tmp_path / "kept",
    ).attach(audited)
    audited.add_callback(recorder := Recorder())
    states = []
    for each in (plain, audited):
        np.random.seed(0)  # noqa: NPY002
        torch.manual_seed(1)
        each.train()
        states.append((np.random.get_state()[1].tolist(), torch.get_rng_state()))  # noqa: NPY002
    assert states[0][0] == states[1][0]
    assert torch.equal(states[0][1], states[1][1])
    found, wanted = audited.model.state_dict(), plain.model.state_dict()
    assert all(torch.equal(found[name], wanted[name]) for name in wanted)
    assert all(a.requires_grad == b.requires_grad for a, b in zip(audited.model.parameters(), plain.model.parameters()))
    assert [m.training for m in audited.model.modules()] == [m.training for m in plain.model.modules()]
    assert len(callback.reports) == 4  # after 2, 4 and 6 steps, and at the end
    name, logged = (
        "eval_audit/accuracy/accuracy",
        [row for row in audited.state.log_history if "eval_audit/" in str(row)],
    )
    assert [row["step"] for row in logged] == [2, 4, 6, 6]
    assert [row[name] for row in logged] == [report["accuracy"].number("accuracy") for report in callback.reports]
    assert sum(name in logs for logs in recorder.logs) == 4
    assert len([p for p in (tmp_path / "kept").iterdir() if p.is_dir()]) == 4
    assert (tmp_path / "kept" / "index.html").exists()


def test_the_best_weights_may_be_those_of_an_audit(tmp_path):
    callback = AuditTrainerCallback(Shuffled(), tokenizer=TOKENIZER, every_n_evaluations=1)
    words = {"metric_for_best_model": "audit/accuracy/accuracy", "load_best_model_at_end": True, "save_steps": 2}
    run = trainer(tmp_path, [callback], save_strategy="steps", **words)
    run.train()
    best = max(report["accuracy"].number("accuracy") for report in callback.reports)
    assert run.state.best_metric == best
    assert run.evaluate()["eval_audit/accuracy/accuracy"] == best


def finding(value=None, **directions):
    return Finding("fragility", "info", "", {} if value is None else {"fi": value}, **directions)


@pytest.mark.parametrize(
    ("metric", "value", "expected"),
    [
        ("audit/fragility/fi", 0.3, {}),  # it is logged
        ("eval_audit/fragility/fi", math.inf, {"eval_audit/fragility/fi": math.inf}),
        ("audit/fragility/nfi_matched", 0.3, {"eval_audit/fragility/nfi_matched": math.inf}),  # can't be told
        ("audit/fragility/nonsense", 0.3, {}),  # which the Trainer refuses
        ("eval_loss", 0.3, {}),
    ],
)
def test_weights_without_a_finite_number_are_never_the_best(tmp_path, metric, value, expected):
    words = {"metric_for_best_model": metric, "greater_is_better": False, "load_best_model_at_end": True}
    args = transformers.TrainingArguments(
        str(tmp_path), use_cpu=True, save_strategy="steps", eval_strategy="steps", **words
    )
    assert _chosen(args, AuditReport({}, [finding(value, lower_is_better=("fi",))], [])) == expected


def test_the_worst_weights_are_not_kept(tmp_path):
    words = {"metric_for_best_model": "audit/fragility/fi", "load_best_model_at_end": True}
    args = transformers.TrainingArguments(
        str(tmp_path), use_cpu=True, save_strategy="steps", eval_strategy="steps", **words
    )
    with pytest.raises(InputError, match="greater_is_better=False"):
        _chosen(args, AuditReport({}, [finding(0.3, lower_is_better=("fi",))], []))


def test_a_gate_stops_the_training_at_its_audit(tmp_path):
    callback = AuditTrainerCallback(
        Shuffled(), tokenizer=TOKENIZER, every_n_evaluations=2, checks=["accuracy"], fail_on=["accuracy<=1"]
    )
    run = trainer(tmp_path, [callback])
    run.train()
    assert run.state.global_step == 4
    assert callback.reports[-1].failed


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"every_n_evaluations": -1}, "every_n_evaluations"),
        ({"every_n_evaluations": 0}, "every_n_evaluations.*at_end"),
        ({"checks": ["accuracy"], "fail_on": ["fi>1"]}, "fi>1"),
    ],
)
def test_options_that_audit_nothing_are_refused(options, words):
    with pytest.raises(InputError, match=words):
        AuditTrainerCallback(Shuffled(), **options)
    with pytest.raises(InputError, match="which ends"):
        AuditTrainerCallback(iter([]))


WORKER = """
import json, sys, torch
sys.path.insert(0, sys.argv[1])
from test_trainer_callback import Shuffled, TOKENIZER, trainer
from deepwright.integrations.trainer_callback import AuditTrainerCallback
callback = AuditTrainerCallback(Shuffled(), tokenizer=TOKENIZER, checks=["accuracy"], fail_on=["accuracy<=1"])
run = trainer(sys.argv[2], [callback], ddp_backend="gloo", metric_for_best_model="audit/accuracy/accuracy",
              load_best_model_at_end=True, save_strategy="steps", save_steps=2)
run.train()
found = [row for row in run.state.log_history if "eval_audit/accuracy/accuracy" in row]
print("FOUND", json.dumps([len(callback.reports), run.state.global_step, found[0]["eval_audit/accuracy/accuracy"]]))
"""


FAILING = """
import os, torch.distributed as dist
from deepwright.core.errors import InputError
from deepwright.integrations.trainer_callback import _from_the_first
dist.init_process_group("gloo")
first = dist.get_rank() == 0
def work():
    raise OSError("no space left")
try:
    _from_the_first(first, work)
except (OSError, InputError) as error:
    print("FOUND", type(error).__name__, error)
print("ENDED", _from_the_first(first, lambda: ({"a": 1.0}, False, {})))
"""


def in_two_processes(worker, tmp_path):
    """What each process of a world of two writes."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    world = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "ACCELERATE_USE_CPU": "true"}
    here = os.path.dirname(__file__)
    runs = [
        subprocess.Popen(
            [sys.executable, "-c", worker, here, str(tmp_path)],
            env={**os.environ, **world, "RANK": str(rank), "LOCAL_RANK": str(rank)},
            stdout=subprocess.PIPE,
            text=True,
        )
        for rank in (0, 1)
    ]
    said = [run.communicate(timeout=240)[0] for run in runs]
    assert [run.returncode for run in runs] == [0, 0]
    return said


def test_an_audit_that_fails_in_the_first_process_ends_all(tmp_path):
    first, second = in_two_processes(FAILING, tmp_path)
    assert "FOUND OSError no space left" in first
    assert "FOUND InputError the audit of the first process; given: OSError: no space left" in second
    assert all("ENDED ({'a': 1.0}, False, {})" in said for said in (first, second))


def test_one_process_audits_for_all(tmp_path):
    said = in_two_processes(WORKER, tmp_path)
    first, second = (json.loads(text.partition("FOUND ")[2].splitlines()[0]) for text in said)
    assert (first[0], second[0]) == (1, 0)  # reports
    assert first[1:] == second[1:]
    assert first[1] == 2
