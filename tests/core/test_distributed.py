"""The same numbers from clusters and from several processes as from one."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from deepwright.core.errors import InputError
from deepwright.core.files import load_state
from deepwright.core.randomness import generator
from deepwright.core.trials import run

DDP = """
import sys, torch
from torch import nn
from deepwright.core.devices import Compute
from deepwright.core.files import save_state
from deepwright.core.fit import fit, sgd
torch.set_num_threads(1)
path, devices, batch = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
x = torch.randn(192, 6, generator=torch.Generator().manual_seed(1)); y = x[:, :3].argmax(1)
torch.manual_seed(0)
model = nn.Sequential(nn.Linear(6, 16), nn.Tanh(), nn.Linear(16, 3)).double()
fit(model, (x.double(), y), epochs=3, batch_size=batch, optimizer=sgd(0.1), seed=5,
    compute=Compute(devices=devices, strategy="ddp" if devices > 1 else "auto"))
if not torch.distributed.is_initialized() or torch.distributed.get_rank() == 0:
    save_state(path, model.state_dict())
"""


def draw(seed):
    return {"values": torch.rand(3, generator=generator(seed))}


@pytest.mark.slow
def test_two_processes_train_as_one_does(tmp_path):
    """Two gloo processes with batches of 16 take the very steps of one process with batches of 32."""
    (tmp_path / "script.py").write_text(DDP)
    for name, devices, batch in (("one", 1, 32), ("two", 2, 16)):
        command = [sys.executable, "script.py", str(tmp_path / name), str(devices), str(batch)]
        subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, timeout=300)
    one, two = load_state(tmp_path / "one"), load_state(tmp_path / "two")
    assert all(torch.allclose(one[k], two[k], rtol=1e-9, atol=1e-12) for k in one)


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["dask", "ray"])
def test_clusters_give_the_same_numbers(backend, tmp_path):
    trials = [{"seed": i} for i in range(5)]
    expected = run(draw, trials)
    if backend == "dask":
        distributed = pytest.importorskip("distributed")
        with pytest.raises(InputError, match="Client"):
            run(draw, trials, jobs=2, backend="dask")
        with distributed.Client(n_workers=1, processes=False, dashboard_address=None):
            found = run(draw, trials, store=tmp_path, jobs=2, backend="dask")
    else:
        ray = pytest.importorskip("ray")
        workers = {"env_vars": {"PYTHONPATH": str(Path(__file__).parent)}}
        ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, runtime_env=workers)
        try:
            found = run(draw, trials, store=tmp_path, jobs=2, backend="ray")
        finally:
            ray.shutdown()
    assert all(torch.equal(a["values"], b["values"]) for a, b in zip(found, expected))
    assert len(list(tmp_path.glob("*.pt"))) == 5
