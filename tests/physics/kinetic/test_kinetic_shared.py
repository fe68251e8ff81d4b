"""One control for all steps against the scheme on moments, alone and in two processes."""

import pytest
import torch
from kinetic_cases import M0, S0, SYSTEM
from torch import nn

from deepwright.core.errors import InputError
from deepwright.physics.kinetic import (
    AffineVelocity,
    GaussianMixture,
    KineticJKO,
    gaussian_jko,
    train_shared,
)

TWO = """
import sys, torch
from deepwright.core.devices import Compute
from deepwright.core.files import save_state
from deepwright.physics.kinetic import GaussianMixture, Harmonic, KineticFokkerPlanck, KineticJKO, train_shared
torch.set_num_threads(1)
start = GaussianMixture.gaussian(torch.tensor([1.5, -0.5]), torch.tensor([[0.6, 0.1], [0.1, 0.3]]))
run = KineticJKO(KineticFokkerPlanck(Harmonic(1.0), 1.0, 0.5, 1), start, step_size=0.1, batch_size=64, particles=64)
net = run.control()
train_shared(run, 3, net, iterations=5, compute=Compute(devices=2, strategy="ddp"))
save_state(f"{sys.argv[1]}-{torch.distributed.get_rank()}", net.state_dict())
torch.distributed.barrier()
"""


def test_one_control_for_all_steps(tmp_path):
    start = GaussianMixture.gaussian(M0, S0)

    class InTime(nn.Module):
        """Affine, each coefficient a straight line in time."""

        def __init__(self):
            super().__init__()
            self.ends = nn.ModuleList(AffineVelocity(1) for _ in range(2))

        def forward(self, t, x, v):
            (a, da), (b, db) = (e(0.0, x, v) for e in self.ends)
            return a + t * b, da + t * db

    options = dict(step_size=0.1, batch_size=512, particles=4096, lr=2e-2)
    run = KineticJKO(SYSTEM, start, **options)
    train_shared(run, 5, InTime(), iterations=300)
    scheme = gaussian_jko(SYSTEM, M0, S0, 0.1, 5)
    z = torch.cat([run.now.x, run.now.v], 1)
    assert torch.allclose(z.mean(0), scheme[-1][0], atol=0.06)
    assert all(i.slack > -5e-3 for i in run.infos)
    p = run.now
    assert torch.allclose(run.log_prob(p.x, p.v), p.log_density, atol=1e-8)
    with pytest.raises(InputError, match="fresh run"):
        train_shared(run, 5)


@pytest.mark.slow
def test_two_processes_train_one_control(two_processes):
    """Each takes particles of its own; their networks stay the same, and aren't that of one process."""
    first, second = two_processes(TWO)
    assert all(torch.equal(first[k], second[k]) for k in first)
    run = KineticJKO(SYSTEM, GaussianMixture.gaussian(M0, S0), step_size=0.1, batch_size=64, particles=64)
    net = run.control()
    train_shared(run, 3, net, iterations=5)
    assert any(not torch.equal(first[k], v) for k, v in net.state_dict().items())
