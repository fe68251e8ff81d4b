"""A function as a network."""

import torch
from torch import nn


class Known(nn.Module):
    """A function as a network (with one idle parameter)."""

    def __init__(self, function):
        super().__init__()
        self.function, self.idle = function, nn.Parameter(torch.zeros(1, dtype=torch.float64))

    def forward(self, x):
        return self.function(x) + 0 * self.idle
