"""Calls of the room of perturbations."""

import torch
from torch.nn.functional import interpolate

from deepwright.core.boxes import Detections
from deepwright.core.tasks import Classification, Segmentation
from deepwright.core.texts import to_codes
from deepwright.corruptions import (
    ALL,
    DYNAMIC,
    FRAME_FAULTS,
    SERIES,
    TABLES,
    TEXTS,
    ActivationEnergy,
    Compose,
    Consistent,
    CorruptionMix,
    CycleGAN,
    FaultyCamera,
    GradCAM,
    Guided,
    InputGradient,
    Suite,
    apply,
    as_perturbation,
    colour_transfer,
    diamond_square,
    differentiable_jpeg,
    failing_severity,
    failure_threshold,
    film,
    fourier_swap,
    get,
    move_boxes,
    move_labels,
    overlay,
    region_of,
    series_in_units,
    severity_for_change,
    split_families,
    unit_range,
)
from deepwright.corruptions.driving import (
    Camera,
    Demonstrations,
    Perturbing,
    PurePursuit,
    Road,
    RoadSim,
    Scenario,
    collect,
    driving_threshold,
    evaluate,
    forewarned,
    grid_search,
    imitate,
    offline_errors,
    read_recording,
    repair,
    replay,
    steering_error,
    tiny_pilot,
    worst_families,
)
from entries import Entry, Placed, image_classifier, normal, seeded, uniform


def photos(device, n=2):
    base = interpolate(uniform(n, 3, 4, 4), (12, 16), mode="bicubic").clamp(0, 1)
    return base.to(device)


def perturbed(p):
    def call(device):
        x = photos(device)
        mixed = p(x, torch.tensor([0, 4], device=device), seed=3, ids=torch.arange(2, device=device))
        return p(x, 3, seed=3), mixed, Placed(p((255 * x).to(torch.uint8), 2))

    return call


def seen_through(fault):
    def call(device):
        camera = FaultyCamera(fault, 2, seed=1, ids=torch.arange(2, device=device))
        return [camera((x * 0.1).to(device)) for x in (photos("cpu") * k for k in range(4))]

    return call


def filmed(device):
    return film(photos(device, 3), get("dynamic_snow"), 3)


def overlaid(device):
    return [overlay(kind, 4.5, size=(12, 16), ids=torch.arange(2), device=device) for kind in ("rain", "smoke")]


def looking(where):
    """A network on `device`, pictures there or on the CPU."""

    def call(device):
        torch.manual_seed(0)
        model = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3, padding=1), torch.nn.Flatten(), torch.nn.Linear(768, 3))
        model, x = model.to(device), photos(device if where == "device" else "cpu")
        maps = [InputGradient(model)(x), GradCAM(model, "0")(x), ActivationEnergy(model, "0")(x)]
        guided = Guided(get("contrast"), InputGradient(model))
        y = torch.zeros(2, dtype=torch.long, device=x.device)
        found = failure_threshold(guided, model, [(x, y)], tolerance=0.5)
        report = Suite([guided], (2,)).evaluate(model, [(x, y)])
        return [*maps, Placed(guided(x, 3)), Placed(guided.mask(x)), guided.attended(x), found.rates, report.errors]

    return call


def regions(device):
    from deepwright.core.randomness import Streams

    maps = unit_range(uniform(2, 12, 16).to(device))
    return [region_of(maps, name, 0.3, Streams(0, 2, "ties", device=device)) for name in ("high", "top_n", "random_n")]


def other_domains(device):
    targets = uniform(2, 3, 10, 10, seed=4)
    made = [fourier_swap(targets), colour_transfer(targets), as_perturbation(lambda x: 1 - x, "inverted")]
    return [p(photos(device), 3) for p in made]


def cyclegan(device):
    gan = CycleGAN(width=2, blocks=1).to(device)
    day, night = uniform(2, 3, 24, 24), uniform(2, 3, 24, 24, seed=1)
    gan.fit(day, night, epochs=1)
    return Placed(gan.transform(photos(device))), Placed(gan.perturbation()(photos(device), 2))


def strengths(device):
    found = failing_severity(lambda severity: (round(10 * severity), 50))
    return found.severity, severity_for_change("contrast", photos(device), 0.05)


def evaluated(where):
    def call(device):
        model, x, y = image_classifier(device)
        x, y = (x, y) if where == "device" else (x.cpu(), y.cpu())
        return Suite("label_preserving", (2,)).evaluate(model, [(x, y)]).errors

    return call


def composed(device):
    return Compose([("fog_mapping", 2), ("jpeg", 2)])(photos(device))


def rows_perturbed(p):
    return lambda device: p(normal(6, 4).to(device), 3, seed=1, ids=torch.arange(6, device=device))


def texts_perturbed(p):
    codes = to_codes(["Some words, and more of them follow.", "A second text!"])
    return lambda device: p(codes.to(device), 4, seed=1, ids=torch.arange(2, device=device))


def series_perturbed(p):
    return lambda device: p(normal(4, 20, 3).to(device), 3, seed=1, ids=torch.arange(4, device=device))


def series_in_their_units(device):
    made = series_in_units(uniform(3).to(device), 1 + uniform(3).to(device))
    return [p(normal(4, 20, 3).to(device), 2) for p in made]


def label_maps(n=2, h=12, w=16):
    return torch.randint(0, 3, (n, h, w), generator=seeded())


def labels_moved(device):
    """The nearest neighbour of a place between two pixels may be another one where the arithmetic is another."""
    labels = label_maps().to(device)
    ids = torch.arange(2, device=device)
    moved = [move_labels(get(name), labels, 4, ids=ids, outside=255) for name in ("rotate", "elastic", "contrast")]
    return [Placed(m) for m in moved]


def boxes_moved(device):
    boxes = torch.tensor([[2.0, 3.0, 9.0, 9.0]], device=device)
    found = Detections(boxes, torch.zeros(1, dtype=torch.long, device=device))
    return [
        [each.boxes for each in move_boxes(get(name), [found] * 2, (12, 16), 2)] for name in ("translate", "contrast")
    ]


def segmented(where):
    def call(device):
        torch.manual_seed(0)
        model = torch.nn.Conv2d(3, 3, 3, padding=1).to(device)
        x, y = photos(device if where == "device" else "cpu"), label_maps()
        suite = Suite(["translate", "contrast", "fog_mapping"], (2,))
        report = suite.evaluate(model, [(x, y.to(x.device))], task=Segmentation(3), baseline=model)
        return report.errors, report.mce, report.clean.value

    return call


def helpers(device):
    from deepwright.core.randomness import Streams

    field = diamond_square(Streams(0, torch.arange(2), "field", device=device), 17)
    return field, differentiable_jpeg(photos(device), 30), apply(photos(device)[0], "contrast", 2)


ROADS = [Road.from_angles([0, 0, 25, 0]), Road.from_angles([0, 0, -25, 0])]
LOOKS = Camera((16, 32), rgb=True)


def driven(device):
    """A pixel on the edge of a tile may be another one where the arithmetic is another."""
    sim = RoadSim(2, device=device, camera=LOOKS, lag=0.1)
    pictures = [sim.reset(ROADS, [0, 1])]
    actions = torch.tensor([[0.1, 0.0], [-0.2, 0.0]], device=device)
    for _ in range(3):
        picture, seen = sim.step(actions)
        pictures.append(picture)
    return [Placed(p) for p in pictures], [p.mean() for p in pictures], seen, sim.ahead(5), PurePursuit(sim)()


def pilots(device):
    torch.manual_seed(0)
    return tiny_pilot(3, (24, 32)).eval().to(device)


def campaign(device):
    sim = RoadSim(2, device=device, camera=Camera((24, 32), rgb=True))
    scenarios = [Scenario(ROADS[0], "contrast", 3), Scenario(ROADS[1], "fog_mapping", 2, seed=1), Scenario(ROADS[0])]
    outcomes = evaluate(sim, pilots(device), scenarios, timeout=1.0)
    outcomes += grid_search(sim, pilots(device), ROADS, ["contrast"], (3,), timeout=0.5)
    _, shown, seen = replay(sim, pilots(device), scenarios[0], max_xte=0.5)
    return [(o.xte, o.steering, o.ended) for o in outcomes], shown.mean(), seen.mean()


def watched(device):
    sim = RoadSim(2, device=device, camera=Camera((24, 32), rgb=True))
    network = pilots(device)
    found = evaluate(sim, network, [Scenario(ROADS[0], "contrast", 2.5)], timeout=0.5, watch=darkness)
    clean = evaluate(sim, network, [Scenario(ROADS[1], seed=i) for i in range(4)], timeout=0.5, watch=darkness)
    crossed = driving_threshold(sim, network, ROADS, "pixelate", timeout=0.2)
    return found[0].unusual, forewarned(found, clean, rate=0.25).threshold, crossed.severity


def darkness(pictures):
    return -pictures.mean((1, 2, 3))


def demonstrations(device):
    sim = RoadSim(2, device=device, camera=Camera((24, 32), rgb=True))
    data = collect(sim, PurePursuit(sim), ROADS, timeout=1.0)
    return data.actions, data.pictures.mean()


def imitated(device):
    data = Demonstrations(uniform(8, 3, 24, 32), normal(8, 2) / 10)
    network = pilots(device)
    imitate(network, data, epochs=1)
    errors = offline_errors(network, data, [("contrast", 3)])
    return steering_error(network, data), [(e.error, e.drift) for e in errors]


def mixtures(device, dtype=torch.float32):
    model, x, y = image_classifier(device, dtype)
    seen, unseen = split_families()
    views = CorruptionMix(seen[:4])(x, torch.Generator().manual_seed(0))
    loss = Consistent(Classification(10))(model, views, y).detach()
    plain = CorruptionMix(("contrast",), views=0)(x, torch.Generator().manual_seed(0))
    return views, Placed(loss), plain, [p.name for p in unseen]


def repaired(device):
    """What is driven after training hangs on signs of gradients, so that only roads' beginnings are compared."""
    sim = RoadSim(2, device=device, camera=Camera((24, 32), rgb=True))
    network = pilots(device)
    cells = [Scenario(ROADS[0]), Scenario(ROADS[0], "contrast", 5)]
    driven = evaluate(sim, network, cells, timeout=0.3)
    data = Demonstrations(uniform(8, 3, 24, 32), normal(8, 2) / 10)
    found = repair(sim, network, data, driven, ROADS, epochs=1, lr=1e-6, timeout=0.3)
    return worst_families(driven), found.network, [(o.ended, o.xte.to(device)) for o in (*found.before, *found.after)]


def perturbed_share(device):
    return Perturbing(["decrease_contrast"])(uniform(8, 1, 16, 16).to(device), seeded())


def recorded(device):
    import json
    import tempfile
    from pathlib import Path

    from PIL import Image

    with tempfile.TemporaryDirectory() as folder:
        for i in range(2):
            Image.new("L", (16, 12), 60 * i).save(Path(folder) / f"{i}_cam.png")
            (Path(folder) / f"record_{i}.json").write_text(json.dumps({"user/angle": 0.1 * i, "user/throttle": 0.2}))
        data = read_recording(folder, size=(8, 8))
    return data.pictures, data.actions


ENTRIES = [
    Entry("CorruptionMix, Consistent, split_families", mixtures, tolerance=5e-3, dtypes=(torch.float64,)),
    *(Entry(p.name, perturbed(p), tolerance=5e-3) for p in (*ALL, *DYNAMIC, get("impulse_noise_per_pixel"))),
    *(Entry(f"FaultyCamera, {fault.name}", seen_through(fault)) for fault in FRAME_FAULTS),
    Entry("film", filmed),
    Entry("saliency and Guided", looking("device"), tolerance=5e-3),
    Entry("saliency and Guided, pictures on the CPU", looking("cpu"), returns="cpu", tolerance=5e-3),
    Entry("region_of, unit_range", regions),
    Entry("fourier_swap, colour_transfer, as_perturbation", other_domains, tolerance=5e-3),
    Entry("CycleGAN", cyclegan),
    Entry("failing_severity, severity_for_change", strengths),
    Entry("overlay", overlaid, tolerance=5e-3),
    Entry("RoadSim, PurePursuit", driven, tolerance=5e-3),
    Entry("evaluate, grid_search, replay of driving", campaign, returns="cpu", tolerance=5e-3),
    Entry("collect", demonstrations, returns="cpu", tolerance=5e-3),
    Entry("imitate, offline_errors, steering_error", imitated, returns="cpu", tolerance=5e-3),
    Entry("repair, worst_families", repaired, tolerance=5e-3),
    Entry("Perturbing", perturbed_share),
    Entry("read_recording", recorded, returns="cpu"),
    Entry("driving_threshold, forewarned, evaluate that is watched", watched, returns="cpu", tolerance=5e-3),
    Entry("Suite.evaluate", evaluated("device")),
    Entry("Suite.evaluate, data on the CPU", evaluated("cpu")),
    Entry("Suite.evaluate, Segmentation", segmented("device"), tolerance=5e-3),
    Entry("Suite.evaluate, Segmentation, data on the CPU", segmented("cpu"), tolerance=5e-3),
    Entry("Compose", composed, tolerance=5e-3),
    Entry("move_labels", labels_moved),
    Entry("move_boxes", boxes_moved),
    Entry("diamond_square, differentiable_jpeg, apply", helpers, tolerance=5e-3),
    *(Entry(f"table: {p.name}", rows_perturbed(p)) for p in TABLES),
    *(Entry(f"text: {p.name}", texts_perturbed(p)) for p in TEXTS),
    *(Entry(f"series: {p.name}", series_perturbed(p)) for p in SERIES),
    Entry("series_in_units", series_in_their_units),
]
