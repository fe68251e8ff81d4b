"""Doors: any model that a person brings becomes one module with known outputs and gradients.

Example:
    >>> import torch
    >>> from transformers import ViTConfig, ViTForImageClassification
    >>> from deepwright.nets.doors import HuggingFace
    >>> sizes = dict(hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=8)
    >>> model = ViTForImageClassification(ViTConfig(image_size=16, patch_size=8, num_labels=3, **sizes)).eval()
    >>> HuggingFace(model)(torch.rand(2, 3, 16, 16)).shape
    torch.Size([2, 3])
"""

from deepwright.nets.doors.detecting import Detecting
from deepwright.nets.doors.exported import Exported, fixed_batch, load_exported
from deepwright.nets.doors.hugging_face import HuggingFace
from deepwright.nets.doors.hugging_face_folder import FolderCard, load_hugging_face, read_card
from deepwright.nets.doors.objects import Opened, as_network
from deepwright.nets.doors.output import Output
from deepwright.nets.doors.torchscript import load_torchscript, weights_hidden

__all__ = [
    "Detecting",
    "Exported",
    "FolderCard",
    "HuggingFace",
    "Opened",
    "Output",
    "as_network",
    "fixed_batch",
    "load_exported",
    "load_hugging_face",
    "load_torchscript",
    "read_card",
    "weights_hidden",
]
