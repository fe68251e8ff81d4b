"""What a narrow residual network cannot represent, whatever it is trained on: proved, or shown by a point.

A network whose hidden states are never wider than its input often can't have a critical point; then it can't put one
class inside another, and a tunnel of wrong labels leads from the enclosed class to the edge.

Example:
    >>> import torch
    >>> from deepwright.interpret import Box, audit_embedding
    >>> from deepwright.nets import NarrowResNet
    >>> network = NarrowResNet(2, 2, 3, skip=0.0).eval()
    >>> audit_embedding(network, domain=Box([-1.0, -1.0], [1.0, 1.0])).verdict
    'ABSENT'
"""

from deepwright.interpret.tunnel.auditing import EmbeddingReport, Verdict, audit_embedding, verdict_of
from deepwright.interpret.tunnel.blocks import ResidualBlock, channel_ratios, find_residual_blocks
from deepwright.interpret.tunnel.budgets import EmbeddingBudget, VerdictLog
from deepwright.interpret.tunnel.certificates import BlockCertificate, Certificate, embedding_certificate
from deepwright.interpret.tunnel.critical import CriticalPoint, find_critical_points
from deepwright.interpret.tunnel.domains import Ball, Box
from deepwright.interpret.tunnel.floors import (
    Floor,
    SampleFloor,
    approximation_floor,
    approximation_floor_from_samples,
)
from deepwright.interpret.tunnel.lipschitz_bounds import lipschitz
from deepwright.interpret.tunnel.maps import ScalarMap, scalar_map
from deepwright.interpret.tunnel.winding import winding_number
from deepwright.interpret.tunnel.witnesses import TunnelPath, tunnel_path

__all__ = [
    "Ball",
    "BlockCertificate",
    "Box",
    "Certificate",
    "CriticalPoint",
    "EmbeddingBudget",
    "EmbeddingReport",
    "Floor",
    "ResidualBlock",
    "SampleFloor",
    "ScalarMap",
    "TunnelPath",
    "Verdict",
    "VerdictLog",
    "approximation_floor",
    "approximation_floor_from_samples",
    "audit_embedding",
    "channel_ratios",
    "embedding_certificate",
    "find_critical_points",
    "find_residual_blocks",
    "lipschitz",
    "scalar_map",
    "tunnel_path",
    "verdict_of",
    "winding_number",
]
