"""HSFM: a last layer relearned from edits of a small support set (arXiv 2603.29313). Begin with `HSFM`."""

from deepwright.shift.hsfm.adjoint import hypergradient
from deepwright.shift.hsfm.edits import EditReport, edit_report
from deepwright.shift.hsfm.hard import hard_set
from deepwright.shift.hsfm.meta import HSFM, Epoch

__all__ = ["HSFM", "EditReport", "Epoch", "edit_report", "hard_set", "hypergradient"]
