"""Checkpoints of other programs: Lightning's with their prefixes, and weights in several files with an index."""

import json

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

import deepwright as dw
from deepwright.core.errors import InputError
from deepwright.nets import Output, load_weights, mlp, read_weights

X = torch.rand(6, 4, generator=torch.Generator().manual_seed(0))


def network(seed):
    torch.manual_seed(seed)
    return mlp(4, 3).eval()


def same(a, b):
    return torch.equal(a(X), b(X))


@pytest.mark.parametrize("prefix", ["model.", "net.", "module.", "_orig_mod.", "model._orig_mod.", ""])
def test_the_part_under_a_prefix_is_taken(prefix, tmp_path):
    trained, fresh = network(0), network(1)
    state = {f"{prefix}{key}": value for key, value in trained.state_dict().items()}
    if prefix:
        state["criterion.weight"] = torch.ones(3)
    torch.save({"state_dict": state, "epoch": 3, "pytorch-lightning_version": "2.6"}, tmp_path / "it.ckpt")
    load_weights(fresh, tmp_path / "it.ckpt")
    assert same(fresh, trained)


def test_two_networks_in_one_file_are_told_apart_by_nobody(tmp_path):
    parts = {f"{who}.{key}": value for who in ("student", "teacher") for key, value in network(0).state_dict().items()}
    torch.save({"state_dict": parts}, tmp_path / "it.ckpt")
    with pytest.raises(InputError, match=r"under 'student\.' and under 'teacher\.'"):
        load_weights(network(1), tmp_path / "it.ckpt")


def test_what_is_missing_under_a_prefix_is_named(tmp_path):
    state = {f"net.{key}": value for key, value in network(0).state_dict().items()}
    gone = list(state)[-1]
    save_file({key: value for key, value in state.items() if key != gone}, tmp_path / "w.safetensors")
    with pytest.raises(InputError, match=f"no key '{gone.removeprefix('net.')}'"):
        load_weights(network(1), tmp_path / "w.safetensors")


@pytest.mark.slow
def test_a_lightning_checkpoint_of_its_own_trainer(tmp_path):
    lightning = pytest.importorskip("lightning")

    class Module(lightning.LightningModule):
        def __init__(self):
            super().__init__()
            self.save_hyperparameters()
            self.net = network(0)

        def forward(self, x):
            return self.net(x)

        def training_step(self, batch, i):
            return nn.functional.cross_entropy(self(batch[0]), batch[1])

        def configure_optimizers(self):
            return torch.optim.Adam(self.parameters())

    quiet = {name: False for name in ("logger", "enable_progress_bar", "enable_model_summary")}
    trainer = lightning.Trainer(
        max_steps=2, accelerator="cpu", enable_checkpointing=False, default_root_dir=tmp_path, **quiet
    )
    module, y = Module(), torch.arange(6) % 3
    trainer.fit(module, torch.utils.data.DataLoader(torch.utils.data.TensorDataset(X, y), 3))
    trainer.save_checkpoint(tmp_path / "it.ckpt")
    fresh, whole = network(1), Module()
    load_weights(fresh, tmp_path / "it.ckpt")
    load_weights(whole, tmp_path / "it.ckpt")
    assert same(fresh, module.eval().net)
    assert same(whole.eval(), module)
    rows = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(X.repeat(5, 1), y.repeat(5)), 10)
    want, got = (dw.audit(each, rows, checks=["accuracy"]) for each in (module.net, module))
    assert want["accuracy"].values == got["accuracy"].values


class Sneaky:
    pass


def test_a_checkpoint_with_objects_says_how_to_export_it(tmp_path):
    torch.save({"state_dict": network(0).state_dict(), "hyper_parameters": Sneaky()}, tmp_path / "it.ckpt")
    with pytest.raises(InputError, match=r"more than tensors.*hyperparameters, callbacks.*\['state_dict'\]"):
        load_weights(network(1), tmp_path / "it.ckpt")


def shards(folder, state):
    """Two files and their index, as `save_pretrained` and `save_torch_state_dict` write them."""
    keys = list(state)
    places = {key: f"model-0000{1 + (i % 2)}-of-00002.safetensors" for i, key in enumerate(keys)}
    for name in set(places.values()):
        save_file({key: state[key] for key in keys if places[key] == name}, folder / name)
    index = folder / "model.safetensors.index.json"
    index.write_text(json.dumps({"metadata": {"total_size": 1}, "weight_map": places}))
    return index, places


def test_an_index_gathers_its_files(tmp_path):
    trained = network(0)
    index, _ = shards(tmp_path, trained.state_dict())
    for source in (index, tmp_path):
        fresh = network(1)
        load_weights(fresh, source)
        assert same(fresh, trained)


def test_an_index_reaches_nothing_but_the_files_beside_it(tmp_path):
    inside = tmp_path / "inside"
    inside.mkdir()
    index, places = shards(inside, network(0).state_dict())
    first = next(iter(places))
    save_file({first: torch.ones(1)}, tmp_path / "out.safetensors")
    (inside / "link.safetensors").symlink_to(tmp_path / "out.safetensors")
    outside = ["../out.safetensors", str(tmp_path / "out.safetensors"), "link.safetensors"]
    for name in [*outside, "a\0.safetensors", "it.bin", "..", "gone.safetensors"]:
        index.write_text(json.dumps({"weight_map": places | {first: name}}))
        with pytest.raises(InputError, match=r"beside it"):
            read_weights(index)


def test_an_index_says_what_is_in_its_files(tmp_path):
    index, places = shards(tmp_path, network(0).state_dict())
    first, *rest = places
    for wrong, said in (({k: places[k] for k in rest}, "also in"), (places | {"more": places[first]}, "missing in")):
        index.write_text(json.dumps({"weight_map": wrong}))
        with pytest.raises(InputError, match=said):
            read_weights(index)
    for text in ("[1]", "{}", '{"weight_map": {"a": 3}}', "not json", "[" * 100_000):
        index.write_text(text)
        with pytest.raises(InputError):
            read_weights(index)


def test_links_of_the_hub_s_cache_are_followed(tmp_path):
    blobs, snapshot = tmp_path / "blobs", tmp_path / "snapshots" / "abc"
    blobs.mkdir()
    snapshot.mkdir(parents=True)
    trained = network(0)
    _, places = shards(blobs, trained.state_dict())
    for name in {*places.values(), "model.safetensors.index.json"}:
        (snapshot / name).symlink_to(blobs / name)
    fresh = network(1)
    load_weights(fresh, snapshot)
    assert same(fresh, trained)


def test_one_output_is_taken_by_its_place_or_name():
    class Several(nn.Module):
        def __init__(self, form):
            super().__init__()
            self.form = form

        def forward(self, x):
            return self.form(x)

    class Record:
        def __init__(self, x):
            self.scores = x

    assert torch.equal(Output(Several(lambda x: [x, 2 * x]), 1)(X), 2 * X)
    assert torch.equal(Output(Several(lambda x: {"main": x}), "main")(X), X)
    assert torch.equal(Output(Several(Record), "scores")(X), X)
    for form, which, said in (
        (lambda x: [x, x], 2, r"0\.\.1"),
        (lambda x: {"main": x}, "aux", "main"),
        (lambda x: x, 0, "a single one"),
    ):
        with pytest.raises(InputError, match=said):
            Output(Several(form), which)(X)
