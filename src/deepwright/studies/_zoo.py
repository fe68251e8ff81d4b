"""Training the networks of the zoo: `python -m deepwright.studies._zoo NAME` reproduces the bundled weights."""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from torch import Tensor, nn

from deepwright.core.devices import Compute
from deepwright.core.files import write_json
from deepwright.core.fit import Selection, fit, one_cycle, sgd
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


def main() -> None:
    """Train one network, report its test accuracy, and write safetensors."""
    from deepwright.data import load
    from deepwright.nets import write_weights

    recipes = {"resnet20-cifar10": (train_resnet20_cifar10, "cifar10"), "resnet8-mnist": (train_resnet8_mnist, "mnist")}
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", choices=sorted(recipes))
    parser.add_argument("--data-root", type=Path, default=None)
    parser.add_argument("--out", type=Path, default=Path("weights"))
    parser.add_argument("--epochs", type=int, default=None)
    parser.add_argument("--accelerator", default="cpu")
    options = parser.parse_args()
    train, data_name = recipes[options.name]
    data = load(data_name, root=options.data_root)
    checkpoint = options.out / f"{options.name}.checkpoint"
    epochs = options.epochs or {"resnet20-cifar10": 40, "resnet8-mnist": 30}[options.name]
    network = train(data, epochs=epochs, checkpoint=checkpoint, accelerator=options.accelerator)
    values = {
        "network": options.name,
        "epochs": epochs,
        "validation_accuracy": accuracy(network, data.validation),
        "test_accuracy": accuracy(network, data.test),
        "test_samples": len(data.test),
    }
    write_weights(options.out / f"{options.name}.safetensors", network)
    write_json(options.out / f"{options.name}.json", values)
    print(values)


if __name__ == "__main__":
    main()
