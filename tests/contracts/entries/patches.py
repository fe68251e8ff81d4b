"""Calls of patches: on detectors, classifiers, and of what they are made of."""

import tempfile
from pathlib import Path

import torch

from deepwright.adversarial.patches import (
    EOT,
    FILLS,
    PSF,
    SAAP,
    AdversarialPatch,
    AdvPatch,
    DPatch,
    Placement,
    RobustDPatch,
    UniversalAttenuation,
    adversarial_training_hook,
    apply_patches,
    attack_scenes,
    attenuated,
    constant_shares,
    energy_shares,
    load_patches,
    save_patches,
    smallest_shares,
    total_variation,
    unprintable,
    usual_colours,
)
from deepwright.core.boxes import Detections
from deepwright.core.tasks import CandidateDetection, DetectionBatch
from deepwright.nets import CandidateBoxes, CentreDetector, YoloCandidates, centre_loss, centre_targets, fine_ssd
from entries import Entry, Placed, image_classifier, uniform

TASK = CandidateDetection(1, score_threshold=0.01, least=0.005)
TRUTH = [
    Detections(torch.tensor(rows), torch.zeros(len(rows), dtype=torch.long))
    for rows in ([[4.0, 4.0, 16.0, 14.0]], [[2.0, 8.0, 12.0, 18.0], [18.0, 18.0, 30.0, 30.0]])
]


def scene(device, dtype=torch.float32):
    torch.manual_seed(3)
    model = CentreDetector(width=4).eval()
    return model.to(device, dtype), (uniform(2, 1, 32, 32) * 0.8 + 0.1).to(device, dtype)


def hidden(**options):
    """Boxes from the CPU."""

    def call(device, dtype=torch.float32):
        model, x = scene(device, dtype)
        found = SAAP(TASK, 0.2, steps=3, **options)(model, x, TRUTH)
        return Placed(found.images), found.boxes, [s.to(dtype) for s in found.energy_share], model

    return call


def behind_a_receiver(device):
    model, x = scene(device)
    parts = uniform(2, 2, 2, 32, 32) - 0.5
    field = torch.complex(parts[0], parts[1]).to(device)
    psf = PSF(1.2, 1.5, phase=0.2, misplaced=0.5)
    found = SAAP(TASK, 0.2, steps=2, physical=psf)(model, x, TRUTH, field=field)
    seen = psf.amplitude(field), psf.realised(field, torch.ones(2, 1, *found.transmission.shape[2:], device=device))
    return Placed(found.images), Placed(found.transmission), seen


def kept(device):
    model, x = scene(device)
    attack = SAAP(TASK, 0.2, steps=2)
    with tempfile.TemporaryDirectory() as folder:
        twice = [attack(model, x, TRUTH, checkpoint=Path(folder) / "c.jsonl").images for _ in range(2)]
        result = attack(model, x, TRUTH)
        save_patches(Path(folder) / "p.npz", result)
        again = apply_patches(x, *load_patches(Path(folder) / "p.npz"))
    return [Placed(t) for t in (*twice, again)], bool(torch.equal(*twice))


def fills(device, dtype=torch.float32):
    _, x = scene(device, dtype)
    return [Placed(attenuated(kind, x, TRUTH, 0.2)[0]) for kind in FILLS]


def missing(device, dtype=torch.float32):
    _, x = scene(device, dtype)
    return [Placed(t) for each in energy_shares(x, x * 0.9, TRUTH) for t in each]


def shares(device):
    model, x = scene(device)
    attack = SAAP(TASK, steps=2)
    return [Placed(f(attack, model, x, TRUTH, halvings=1)) for f in (smallest_shares, constant_shares)]


def of_several_sizes(device):
    model, x = scene(device)
    found = attack_scenes(SAAP(TASK, 0.2, steps=1), model, [x[0], x[1, :, :24]], TRUTH)
    return [Placed(image) for image in found.images]


def universal(device):
    model, x = scene(device)
    made = UniversalAttenuation(TASK, 0.2, cells=4, epochs=1).fit(model, x, TRUTH)
    return Placed(made.pattern), Placed(made(x, TRUTH)[0])


def trained(device):
    model, x = scene(device)
    hook = adversarial_training_hook(SAAP(TASK, 0.2, steps=1), p=1.0)
    return Placed(hook(model, x, TRUTH, torch.arange(2)))


def pasted_on(kind):
    def call(device):
        model, x = scene(device)
        batches = [(x, DetectionBatch(TRUTH))]
        patch = kind(TASK, pixels=4, steps=2).fit(model, batches)
        report = patch.measure(model, batches)
        return Placed(patch.patch), Placed(patch.paste(x, TRUTH)), report.n

    return call


def pasted(device):
    model, x, y = image_classifier(device)
    patch = AdversarialPatch(Placement(size=0.5), pixels=4, steps=2, smooth=0.1, printable=0.1)
    patch.fit(model, [(x, y)])
    shown, fooled, own = patch.for_each(model, x, y.cpu())
    return Placed(patch.patch), Placed(shown), fooled.shape, Placed(own), patch.measure(model, [(x, y)]).n


def penalties(device):
    patch = uniform(2, 3, 4, 4).to(device)
    return total_variation(patch), unprintable(patch, usual_colours(3))


def turned(device):
    eot = EOT(scale=(0.8, 1.25), looks=2)
    x = uniform(3, 1, 8, 8).to(device)
    drawn = eot.draw(0, torch.arange(3), 0, (8, 8), x.device)
    boxes = torch.tensor([[1.0, 1.0, 4.0, 5.0]], device=device)
    image = torch.zeros(1, dtype=torch.long, device=device)
    return eot.images(x, drawn, (0.0, 1.0)), eot.boxes(boxes, image, drawn, (8, 8))


def losses(device):
    model, x = scene(device)
    positive, wanted = centre_targets(TRUTH, 32, 32)
    with torch.no_grad():
        codes = model.codes(x)
        return codes, centre_loss(codes, positive.to(device), wanted.to(device))


def fine(device):
    torch.manual_seed(0)
    model = CandidateBoxes(fine_ssd(image_size=(32, 32), width=4)).eval().to(device)
    with torch.no_grad():
        return model(uniform(2, 1, 32, 32).to(device))


class OfYolo(torch.nn.Module):
    """Four candidates as v3 to v7 give them, of an image's first numbers."""

    def forward(self, x):
        rows = x.flatten(1)[:, :24].view(-1, 4, 6)
        return torch.cat([rows[..., :4], rows[..., 4:].sigmoid()], 2)


def yolo(device, dtype=torch.float32):
    return YoloCandidates(OfYolo(), 1)(uniform(2, 1, 8, 8).to(device, dtype))


ENTRIES = [
    Entry("SAAP", hidden(), dtypes=(torch.float64,)),
    Entry("SAAP, projected", hidden(optimizer="pgd", budget="power")),
    Entry("SAAP under transformations", hidden(eot=EOT(samples=2))),
    Entry("SAAP, PSF", behind_a_receiver),
    Entry("SAAP, checkpoint, save_patches, load_patches, apply_patches", kept),
    Entry("attenuated", fills, dtypes=(torch.float64,)),
    Entry("smallest_shares, constant_shares", shares),
    Entry("attack_scenes", of_several_sizes),
    Entry("energy_shares", missing, dtypes=(torch.float64,)),
    Entry("UniversalAttenuation", universal),
    Entry("adversarial_training_hook", trained),
    Entry("AdvPatch", pasted_on(AdvPatch)),
    Entry("DPatch", pasted_on(DPatch)),
    Entry("RobustDPatch", pasted_on(RobustDPatch)),
    Entry("AdversarialPatch, Placement", pasted),
    Entry("total_variation, unprintable, usual_colours", penalties),
    Entry("EOT", turned),
    Entry("CentreDetector, centre_targets, centre_loss", losses),
    Entry("fine_ssd", fine),
    Entry("YoloCandidates", yolo, dtypes=(torch.float64,)),
]
