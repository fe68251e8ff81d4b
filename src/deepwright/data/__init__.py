"""Data sets by name, embedded defaults, and the user's own files.

Example:
    >>> from deepwright.data import load
    >>> load("mnist").test.x.shape
    torch.Size([1000, 1, 28, 28])
"""

from deepwright.data.catalogue import ENTRIES, Entry, load
from deepwright.data.companions import ood_companions
from deepwright.data.dataset import Data, Split, split_three, stratified_order, to_float

__all__ = ["ENTRIES", "Data", "Entry", "Split", "load", "ood_companions", "split_three", "stratified_order", "to_float"]
