"""The words for what the columns of an output are; in a file of their own, which the command line can read fast."""

from __future__ import annotations

STATED = ("logits", "probabilities", "log-probabilities")
SCALES = ("auto", *STATED)
