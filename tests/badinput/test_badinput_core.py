"""Bad input to what every room stands on."""

import torch
from refusals import Bad, over
from torch import nn

from deepwright.core.fit import fit
from deepwright.core.pictures import Strip, strips
from deepwright.core.resizing import Resizing

NET = nn.Linear(2, 2)
X, Y = torch.zeros(4, 2), torch.tensor([0, 1, 0, 1])

ROWS = [
    Bad("fit for a negative number of epochs", lambda _: fit(NET, (X, Y), epochs=-1), ("epochs", "-1")),
    Bad("a filter that Pillow has not", lambda _: Resizing(8, None, 7), ("resample", "7", "bicubic")),
    Bad("a side of 0", lambda _: Resizing((8, 0)), ("side 1", "0")),
    Bad("strips of no rows", lambda _: strips("t", []), ("strips", "no rows")),
    Bad("a strip of one picture without its batch", lambda _: Strip("a", torch.zeros(3, 4, 4)), ("'a'", "(3, 4, 4)")),
    Bad("more captions than pictures", lambda _: Strip("a", torch.zeros(1, 3, 4, 4), ["b", "c"]), ("captions", "2")),
]

test_it_is_refused = over(ROWS)
