"""HSFM: a last layer relearned from edits of a small support set (arXiv 2603.29313). Begin with `HSFM`."""

from deepwright.shift.hsfm.adjoint import hypergradient
from deepwright.shift.hsfm.edits import EditReport, edit_report
from deepwright.shift.hsfm.hard import hard_set
from deepwright.shift.hsfm.meta import HSFM, Epoch
from deepwright.shift.hsfm.sweep import fit_together

__all__ = ["HSFM", "EditReport", "Epoch", "edit_report", "fit_together", "hard_set", "hypergradient"]
