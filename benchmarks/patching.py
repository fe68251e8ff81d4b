"""A patch on digits by the Adversarial Robustness Toolbox (ART) and by ours: CPU seconds of one thread.

Equal steps, images a step and sizes, turns up to the same angle, Adam at the same rate, on the same digits. Both
patches are then pasted by our placement on digits that neither was made from: a time is worth what it found.
"""

from __future__ import annotations

from typing import Any

import attacks
import numpy as np
import torch
from torch import Tensor, nn

from deepwright.adversarial.patches import AdversarialPatch, Placement
from deepwright.data import load as load_data
from deepwright.nets import load

BATCH, EPOCHS, SIZE, ANGLE, RATE = 16, 10, 0.4, 22.5, 0.05


def run() -> list[dict[str, Any]]:
    """Rows of (what, ours, peer, ratio, note); none without ART, or without torchvision, which its patches need."""
    try:
        from art.attacks.evasion import AdversarialPatchPyTorch
        from art.estimators.classification import PyTorchClassifier
    except (ImportError, RuntimeError):
        return []
    network = load("resnet8-mnist").eval()
    split = load_data("mnist").test
    x, y = split.inputs()[:64], split.y[:64]
    held = [(split.inputs()[64:320], split.y[64:320])]
    batches = list(zip(x.split(BATCH), y.split(BATCH), strict=True))
    for p in network.parameters():
        p.requires_grad_(False)
    art = PyTorchClassifier(
        network, nn.CrossEntropyLoss(), tuple(x.shape[1:]), 10, clip_values=(0.0, 1.0), device_type="cpu"
    )
    ours = AdversarialPatch(
        Placement(size=SIZE, scale=(1.0, 1.0), turn=ANGLE, gain=(1.0, 1.0), lift=0.0),
        pixels=28,
        steps=EPOCHS * len(batches),
        lr=RATE,
        seed=0,
    )

    def theirs() -> Tensor:
        state = np.random.get_state()  # noqa: NPY002 - ART draws from it
        np.random.seed(0)  # noqa: NPY002
        try:
            made = AdversarialPatchPyTorch(
                art,
                rotation_max=ANGLE,
                scale_min=SIZE,
                scale_max=SIZE,
                learning_rate=RATE,
                max_iter=EPOCHS,
                batch_size=BATCH,
                patch_shape=(1, 28, 28),
                patch_type="square",
                targeted=False,
                verbose=False,
            ).generate(x.numpy(), y.numpy())[0]
        finally:
            np.random.set_state(state)  # noqa: NPY002
        return torch.from_numpy(np.asarray(made, dtype=np.float32))[None]

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    made: dict[str, Tensor] = {}

    def kept(name: str, patch: Tensor) -> None:
        made[name] = patch

    seconds, _ = attacks._cpu_seconds(
        {
            "ours": lambda: kept("ours", ours.fit(network, batches).patch),
            "ART": lambda: kept("ART", theirs()),
        }
    )
    torch.set_num_threads(threads)
    fooled = {}
    for name, patch in made.items():
        ours.patch = patch
        report = ours.measure(network, held)
        fooled[name] = f"{report.fooled.value:.0%}"
    note = f"CPU seconds of one thread; of {report.n} other digits ours fools {fooled['ours']}, the peer's "
    note += f"{fooled['ART']}, noise at the same places {report.random.value:.0%}"
    steps = EPOCHS * len(batches)
    return [attacks._row(f"a patch, {steps} steps of {BATCH} digits", seconds["ours"], "ART", seconds["ART"], note)]
