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

from deepwright.nets.doors.hugging_face import HuggingFace

__all__ = ["HuggingFace"]
