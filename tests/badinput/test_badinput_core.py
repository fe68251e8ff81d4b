"""Bad input to what every room stands on."""

import torch
from refusals import Bad, over
from torch import nn

from deepwright.core.fit import fit

NET = nn.Linear(2, 2)
X, Y = torch.zeros(4, 2), torch.tensor([0, 1, 0, 1])

ROWS = [
    Bad("fit for a negative number of epochs", lambda _: fit(NET, (X, Y), epochs=-1), ("epochs", "-1")),
]

test_it_is_refused = over(ROWS)
