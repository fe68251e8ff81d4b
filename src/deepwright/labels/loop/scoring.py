"""What a trained selector says about the pool: logits and features, dropout passes, accuracy."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from deepwright.core.devices import to_model
from deepwright.core.errors import InputError
from deepwright.core.features import Activations, extract, read_logits
from deepwright.core.inference import evaluating
from deepwright.core.randomness import local_rng
from deepwright.core.tasks import Classification, Task
from deepwright.core.trials import run
from deepwright.labels.loop.pool import Inputs

_SCALES = ("auto", "logits")  # of tasks whose class logits can be read once more


def score_shard(model: nn.Module, batches: Sequence[Tensor], task: Task | None) -> Activations:
    """Logits and features of a part of the pool, in whatever process this runs.

    Args:
        model: the selector.
        batches: inputs.
        task: see `score_pool`.
    """
    return extract(model, batches, (), offload="cpu", task=task)


def score_pool(
    model: nn.Module, inputs: Inputs, task: Task | None = None, *, jobs: int = 1, backend: str = "local", name: str = ""
) -> Activations:
    """Class logits and features of the whole pool, on the CPU: a large one doesn't fit beside the model.

    Args:
        model: the selector.
        inputs: the pool.
        task: how to read outputs; classification by as many classes as there are columns by default.
        jobs: shards that are scored side by side.
        backend: where; see `core.trials.run`.
        name: shown beside the bar.

    Raises:
        InputError: outputs of which each sample hasn't one class, or that are probabilities where logits were expected.
    """
    if jobs == 1 and backend == "local":
        found = extract(model, inputs, (), offload="cpu", progress=name, task=task)
    else:
        shards = [
            {"model": model, "batches": [inputs.rows(rows) for rows in part], "task": task}
            for part in inputs.parts(jobs)
        ]
        found = Activations.cat(run(score_shard, shards, jobs=jobs, backend=backend, description=name))
    reader = Classification(found.logits.shape[1]) if task is None else task
    if getattr(reader, "outputs", "auto") in _SCALES:
        reader.read(found.logits)
    return found


def dropout_layers(model: nn.Module) -> list[nn.Module]:
    """What is random in a network.

    Args:
        model: the selector.

    Raises:
        InputError: nothing is.
    """
    layers: list[nn.Module] = [m for m in model.modules() if isinstance(m, nn.modules.dropout._DropoutNd)]
    if not layers:
        raise InputError("strategy 'bald'", given="a network without dropout", expected="dropout layers")
    return layers


def dropout_passes(
    model: nn.Module, inputs: Iterable[Tensor], seed: int, task: Task | None = None, count: int = 10
) -> Float[Tensor, "passes n classes"]:
    """Class logits with dropout on, on the CPU.

    Args:
        model: the selector.
        inputs: batches; gone through once a pass.
        seed: of the dropout.
        task: see `score_pool`.
        count: of passes.

    Raises:
        InputError: a network without dropout layers.
    """
    layers = dropout_layers(model)
    rows = []
    with evaluating(model), torch.no_grad(), local_rng(seed % 2**31):
        for layer in layers:
            layer.training = True
        for _ in range(count):
            rows.append(torch.cat([read_logits(model(to_model(x, model)), task).cpu() for x in inputs]))
    return torch.stack(rows)


def accuracy(model: nn.Module, x: Tensor, y: Tensor, batch_size: int, task: Task | None = None) -> float:
    """Share of samples of which the most probable class is the true one.

    Args:
        model: the selector.
        x: (n, ...) inputs.
        y: (n,) labels.
        batch_size: inputs a batch.
        task: see `score_pool`.
    """
    with evaluating(model), torch.no_grad():
        out = torch.cat([read_logits(model(to_model(part, model)), task).cpu() for part in x.split(batch_size)])
    return float((out.argmax(1) == y.cpu()).double().mean())
