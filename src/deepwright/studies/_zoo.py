"""Training the networks of the zoo: `python -m deepwright.studies._zoo NAME` reproduces the bundled weights."""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import Dataset

from deepwright.core.devices import Compute
from deepwright.core.files import write_json
from deepwright.core.fit import Selection, adamw, fit, one_cycle, sgd
from deepwright.core.tasks import Segmentation
from deepwright.data import Data, Split, jitter_digits, shift_and_flip


def accuracy(model: nn.Module, split: Split, batch: int = 500) -> float:
    """Share of right predictions, in eval mode."""
    model.eval()
    with torch.no_grad():
        right = [(model(x).argmax(1) == y).sum() for x, y in split.batches(batch)]
    return float(torch.stack(right).sum()) / len(split)


def train_resnet20_cifar10(
    data: Data, epochs: int = 40, checkpoint: Path | None = None, accelerator: str = "cpu"
) -> nn.Module:
    """ResNet-20 on CIFAR-10: SGD, one cycle to 0.4, label smoothing, batch 256, shift-and-flip, in bfloat16."""
    from deepwright.nets import Normalised, cifar_resnet

    torch.manual_seed(0)
    network = Normalised(cifar_resnet(20), [0.4914, 0.4822, 0.4465], [0.2470, 0.2435, 0.2616])
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    jitter = shift_and_flip()

    def augment(x: Tensor, rng: torch.Generator) -> Tensor:
        return jitter(x, rng).contiguous(memory_format=torch.channels_last)

    def validate(model: nn.Module) -> dict[str, float]:
        return {"accuracy": accuracy(model, data.validation)}

    def show(model: nn.Module, row: dict[str, float]) -> None:
        print({k: round(v, 4) for k, v in row.items()}, flush=True)

    fit(
        network,
        (data.train.x, data.train.y),
        epochs=epochs,
        batch_size=256,
        loss=nn.CrossEntropyLoss(label_smoothing=0.05),
        optimizer=sgd(0.4),
        scheduler=one_cycle(0.4),
        augment=augment,
        selection=Selection(validate),
        callbacks=[show],
        checkpoint=checkpoint,
        every=50,
        compute=Compute(accelerator, precision="bf16-mixed"),
        drop_last=True,
        description="resnet20-cifar10",
    )
    return network.eval()


def train_resnet8_mnist(
    data: Data, epochs: int = 40, checkpoint: Path | None = None, accelerator: str = "cpu"
) -> nn.Module:
    """ResNet-8 on the bundled MNIST digits (training split only), with small affine jitter."""
    from deepwright.nets import Normalised, cifar_resnet

    torch.manual_seed(0)
    network = Normalised(cifar_resnet(8, channels=1), [0.1307], [0.3081])
    fit(
        network,
        (data.train.x, data.train.y),
        epochs=epochs,
        batch_size=64,
        optimizer=sgd(0.1),
        scheduler=one_cycle(0.1),
        augment=jitter_digits(),
        checkpoint=checkpoint,
        compute=Compute(accelerator),
        description="resnet8-mnist",
    )
    return network.eval()


IGNORED = 255
CAMVID_SIZE, CAMVID_WIDTHS = 120, (12, 24, 48, 96)


class RoadScenes(Dataset[tuple[Tensor, Tensor]]):
    """Frames and label maps, each drawn anew: mirrored or not, a window of another size, brighter or darker.

    Args:
        split: uint8 frames with label maps.
    """

    def __init__(self, split: Split) -> None:
        self.frames, self.labels = split.x, split.y

    def __len__(self) -> int:
        """How many."""
        return len(self.frames)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        """One frame in [0, 1] and its label map.

        Args:
            index: of the frame.
        """
        x, y = self.frames[index].float() / 255, self.labels[index]
        sides = x.shape[1:]
        if torch.rand(()) < 0.5:
            x, y = x.flip(2), y.flip(1)
        share = float(torch.empty(()).uniform_(0.6, 1.0))
        height, width = (round(share * side) for side in sides)
        top, left = (int(torch.randint(side - part + 1, ())) for side, part in zip(sides, (height, width)))
        x, y = x[:, top : top + height, left : left + width], y[top : top + height, left : left + width]
        x = F.interpolate(x[None], tuple(sides), mode="bilinear", align_corners=False)[0]
        y = F.interpolate(y[None, None].float(), tuple(sides), mode="nearest-exact")[0, 0].long()
        gain, lift = torch.empty(3, 1, 1).uniform_(0.8, 1.25), float(torch.empty(()).uniform_(-0.1, 0.1))
        return (x * gain + lift).clamp(0, 1), y


def train_unet_camvid(
    data: Data, epochs: int = 45, checkpoint: Path | None = None, accelerator: str = "cpu"
) -> nn.Module:
    """A U-Net of four scales on CamVid at 120 x 160: AdamW, one cycle to 3e-3, classes weighed by their frequency."""
    from deepwright.nets import Normalised, UNet

    torch.manual_seed(0)
    network = Normalised(UNet(3, len(data.classes), CAMVID_WIDTHS), *_statistics(data.train))
    counts = torch.bincount(data.train.y[data.train.y != IGNORED], minlength=len(data.classes)).double()
    weights = (counts.median() / counts).sqrt().clamp(max=4).float()
    scenes: Dataset[tuple[Tensor, Tensor]] = RoadScenes(data.train)

    def validate(model: nn.Module) -> dict[str, float]:
        return {"mean IoU": mean_iou(model, data.validation)}

    def show(model: nn.Module, row: dict[str, float]) -> None:
        print({k: round(v, 4) for k, v in row.items()}, flush=True)

    fit(
        network,
        scenes,
        epochs=epochs,
        batch_size=8,
        loss=nn.CrossEntropyLoss(weights, ignore_index=IGNORED, label_smoothing=0.02),
        optimizer=adamw(3e-3),
        scheduler=one_cycle(3e-3),
        selection=Selection(validate, "mean IoU"),
        callbacks=[show],
        checkpoint=checkpoint,
        every=50,
        compute=Compute(accelerator),
        drop_last=True,
        description="unet-camvid",
    )
    return network.eval()


def _statistics(split: Split) -> tuple[Tensor, Tensor]:
    """Mean and deviation of each channel, of pixels in [0, 1]."""
    pixels = split.x.float().div(255).transpose(0, 1).flatten(1)
    return pixels.mean(1), pixels.std(1)


def mean_iou(model: nn.Module, split: Split) -> float:
    """Mean over the classes of the intersection over union of all positions that count, in eval mode."""
    model.eval()
    with torch.no_grad():
        out = torch.cat([model(x) for x, _ in split.batches(16)])
    return Segmentation(out.shape[1]).headline_value(out, split.y)


def main() -> None:
    """Train one network, report its test accuracy, and write safetensors."""
    from deepwright.data import load
    from deepwright.nets import write_weights

    recipes = {
        "resnet20-cifar10": (train_resnet20_cifar10, "cifar10", 40, None, accuracy),
        "resnet8-mnist": (train_resnet8_mnist, "mnist", 30, None, accuracy),
        "unet-camvid": (train_unet_camvid, "camvid", 45, CAMVID_SIZE, mean_iou),
    }
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", choices=sorted(recipes))
    parser.add_argument("--data-root", type=Path, default=None)
    parser.add_argument("--out", type=Path, default=Path("weights"))
    parser.add_argument("--epochs", type=int, default=None)
    parser.add_argument("--accelerator", default="cpu")
    options = parser.parse_args()
    train, data_name, usual, size, measure = recipes[options.name]
    data = load(data_name, root=options.data_root, size=size)
    checkpoint = options.out / f"{options.name}.checkpoint"
    epochs = options.epochs or usual
    network = train(data, epochs=epochs, checkpoint=checkpoint, accelerator=options.accelerator)
    name = measure.__name__
    values = {
        "network": options.name,
        "epochs": epochs,
        f"validation_{name}": measure(network, data.validation),
        f"test_{name}": measure(network, data.test),
        "test_samples": len(data.test),
    }
    write_weights(options.out / f"{options.name}.safetensors", network)
    write_json(options.out / f"{options.name}.json", values)
    print(values)


if __name__ == "__main__":
    main()
