"""A small corpus of one, two and three dimensions, and models whose weights say something."""

import torch

from deepwright.physics.pde_data import ChannelRegistry

REGISTRY = ChannelRegistry()


def awake(model):
    """Weights that say something: everything that starts at zero is drawn."""
    draw = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for p in model.parameters():
            p.add_(0.05 * torch.randn(p.shape, generator=draw))
    return model.eval()


def scaled(model, sets):
    """A model with the units of data."""
    model.fit_units(sets)
    return model
