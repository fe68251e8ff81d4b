"""Deepwright in the tools that you already use: tests (pytest), torchmetrics, MAITE.

Example:
    >>> import torch
    >>> from deepwright.checks import audit
    >>> from deepwright.integrations import assert_audit
    >>> x = torch.rand(60, 4, generator=torch.Generator().manual_seed(0))
    >>> report = audit(torch.nn.Linear(4, 2), [(x, torch.arange(60) % 2)], checks=["accuracy"])
    >>> assert_audit(report, "accuracy<0.99")
"""

from deepwright.integrations.testing import assert_audit

__all__ = ["assert_audit"]
