"""Bad input to what is laid over pictures, films, other domains and thresholds."""

import torch
from refusals import Bad, over
from torch import nn

from deepwright.corruptions import (
    FRAME_FAULTS,
    CycleGAN,
    FaultyCamera,
    Guided,
    InputGradient,
    apply,
    as_perturbation,
    colour_transfer,
    failing_severity,
    failure_threshold,
    film,
    fourier_swap,
    get,
    overlay,
    region_of,
    severity_for_change,
    unit_range,
)

X = torch.full((2, 3, 16, 16), 0.5)
LATE = FRAME_FAULTS[0]
NET = nn.Sequential(nn.Flatten(), nn.Linear(768, 2))
LABELS = torch.tensor([0, 1])


def shrinking(camera):
    """Frames that become smaller."""
    camera(X)
    return camera(X[..., :8])


def written(folder):
    """A state that no CycleGAN saved."""
    from deepwright.core.files import save_state

    return CycleGAN.load(save_state(folder / "state.pt", {"weights": {}}))


ROWS = [
    Bad("an overlay that is none", lambda _: overlay("hail"), ("overlay", "hail", "snow")),
    Bad("an overlay of no height", lambda _: overlay("rain", size=(0, 20)), ("height", "0")),
    Bad("an overlay at no time", lambda _: overlay("rain", float("nan")), ("t", "nan", "frames")),
    Bad("an overlay for a height of 0", lambda _: overlay("rain", reference_height=0), ("reference_height", "0")),
    Bad("an overlay with ids in floats", lambda _: overlay("rain", ids=torch.zeros(2)), ("ids", "float")),
    Bad("noise between two frames", lambda _: apply(X, "gaussian_noise", 2, t=0.5), ("t", "0.5", "anew")),
    Bad("a kind of false colours between two", lambda _: apply(X, "false_color", 2.5), ("severity", "2.5")),
    Bad("frost below its first level", lambda _: apply(X, "frost", 0.5), ("severity", "0.5", "between 0 and 1")),
    Bad("a severity of infinity", lambda _: apply(X, "contrast", float("inf")), ("severity", "inf")),
    Bad("an overlay on five channels", lambda _: apply(X[:, :1].expand(-1, 5, -1, -1), "static_sun", 2), ("5 chan",)),
    Bad("a camera with a name", lambda _: FaultyCamera("contrast", 2), ("fault", "contrast", "get")),
    Bad("a camera at severity 6", lambda _: FaultyCamera(get("contrast"), 6), ("severity", "6")),
    Bad("a stream between two levels", lambda _: FaultyCamera(LATE, 1.5), ("severity", "1.5")),
    Bad("a stream that is frozen in time", lambda _: FaultyCamera(LATE, 1, frozen=True), ("frozen", "latency")),
    Bad("a frame without its batch", lambda _: FaultyCamera(LATE, 1)(X[0]), ("frames", "(3, 16, 16)", "scene")),
    Bad("frames that shrink", lambda _: shrinking(FaultyCamera(LATE, 1)), ("frames", "start()")),
    Bad("frames of other scenes", lambda _: FaultyCamera(get("contrast"), 1, ids=torch.arange(3))(X), ("ids", "(3,)")),
    Bad("a film of no frames", lambda _: film(X[:0], LATE, 1), ("frames", "one or more")),
    Bad("a film in a list", lambda _: film([X[0]], LATE, 1), ("frames", "list")),
    Bad("a guided name", lambda _: Guided("contrast", NET), ("perturbation", "get")),
    Bad("a share in percent", lambda _: Guided(get("contrast"), InputGradient(NET), share=30), ("share", "30")),
    Bad("a region that is none", lambda _: region_of(X[:, 0], "top", 0.1, None), ("region", "top_n")),
    Bad("maps of layers", lambda _: Guided(get("contrast"), lambda x: x)(X, 2), ("saliency", "(2, 16, 16)")),
    Bad("the gradient of a name", lambda _: InputGradient("resnet"), ("model", "str", "nn.Module")),
    Bad("no pictures of a domain", lambda folder: colour_transfer(folder), ("none could be read",)),
    Bad("a domain in one picture", lambda _: fourier_swap(X[0]), ("targets", "(M, 3, h, w)")),
    Bad("a domain of bright NaN", lambda _: fourier_swap(X * torch.nan), ("targets", "NaN")),
    Bad("a generator that is none", lambda _: as_perturbation("night", "night"), ("function", "night")),
    Bad("a generator that grows", lambda _: as_perturbation(lambda x: x[:1], "cut")(X, 2), ("cut(images)", "(1, 3")),
    Bad("no channels of a CycleGAN", lambda _: CycleGAN(width=0), ("width", "0")),
    Bad("domains of two sizes", lambda _: CycleGAN(2, 1).fit(X, X[..., :8]), ("one size", "(3, 16, 8)")),
    Bad("another state for a CycleGAN", written, ("state", "CycleGAN.save")),
    Bad("no function of failures", lambda _: failing_severity(0.3), ("failures", "0.3")),
    Bad("a share of failures", lambda _: failing_severity(lambda s: 0.3), ("failures", "0.3", "attempts")),
    Bad("a level in percent", lambda _: failing_severity(lambda s: (0, 1), level=50), ("level", "50")),
    Bad("a threshold of a table", lambda _: failure_threshold("texts", NET, [(X, LABELS)]), ("perturbation", "texts")),
    Bad("a threshold on no samples", lambda _: failure_threshold("contrast", NET, []), ("no samples",)),
    Bad("a change of nothing", lambda _: severity_for_change("contrast", X, 0.0), ("change", "0")),
]


test_it_is_refused = over(ROWS)


def test_flat_maps_stay_finite():
    assert torch.equal(unit_range(X[:, 0]), torch.zeros(2, 16, 16))
