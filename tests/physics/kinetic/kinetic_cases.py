"""A Gaussian in a harmonic potential, whose flow is known exactly: what many kinetic tests begin with."""

import torch

from deepwright.physics.kinetic import Harmonic, KineticFokkerPlanck

M0 = torch.tensor([1.5, -0.5], dtype=torch.float64)
S0 = torch.tensor([[0.6, 0.1], [0.1, 0.3]], dtype=torch.float64)
SYSTEM = KineticFokkerPlanck(Harmonic(1.0), 1.0, 0.5, 1)
