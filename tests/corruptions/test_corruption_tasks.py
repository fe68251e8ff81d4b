"""Errors of every kind of task under perturbations, against closed forms on flat grey pictures."""

import pytest
import torch
from torch import nn

from deepwright.core.boxes import Detections
from deepwright.core.errors import InputError
from deepwright.core.tasks import Binary, Classification, Detection, MultiLabel, Regression, Segmentation
from deepwright.corruptions import ALL, Suite, get, move_boxes, move_labels

# decrease_brightness multiplies by 0.9, 0.75, 0.6, 0.4 and 0.2: a grey of 0.5 becomes these.
GREYS = (0.45, 0.375, 0.3, 0.2, 0.1)
X = torch.full((4, 3, 16, 16), 0.5)
BOX = torch.tensor([[2.0, 2.0, 9.0, 9.0]])


class Looks(nn.Module):
    """What a function of the pictures gives."""

    def __init__(self, answer):
        super().__init__()
        self.answer = answer

    def forward(self, x):
        return self.answer(x)


def brighter(x, *thresholds):
    """(N, thresholds) logits of the mean brightness above each threshold."""
    return torch.stack([x.mean((1, 2, 3)) - t for t in thresholds], 1)


def found(x):
    """One object where a picture is bright enough, nothing in others."""
    sure = x.mean((1, 2, 3)) > 0.35
    return [Detections(BOX[:k], torch.zeros(k).long(), torch.full((k,), 0.9)) for k in sure.long().tolist()]


def measured(task, answer, y, which=("decrease_brightness",), x=X, **options):
    batches = [(x[:3], y[:3]), (x[3:], y[3:])]
    return Suite(list(which)).evaluate(Looks(answer), batches, task=task, **options)


ONES = torch.ones(4, dtype=torch.int64)
CASES = {
    "classification": (Classification(2), lambda x: torch.cat([-brighter(x, 0.35), brighter(x, 0.35)], 1), ONES, 0.35),
    "binary": (Binary(), lambda x: brighter(x, 0.35), ONES, 0.35),
    "regression": (Regression(tolerance=0.15), lambda x: x.mean((1, 2, 3)), torch.full((4,), 0.5), 0.35),
    "segmentation": (
        Segmentation(2),
        lambda x: x.mean(1, keepdim=True) - 0.35,
        torch.ones(4, 16, 16, dtype=torch.int64),
        0.35,
    ),
    "detection": (Detection(1), found, [Detections(BOX, torch.zeros(1).long())] * 4, 0.35),
}


@pytest.mark.parametrize("name", CASES)
def test_a_sample_is_wrong_from_where_its_grey_passes_the_threshold(name):
    task, answer, y, threshold = CASES[name]
    report = measured(task, answer, y)
    assert report.errors == {"decrease_brightness": [float(grey < threshold) for grey in GREYS]}
    assert report.clean.value == 0


def test_the_default_is_the_largest_of_the_outputs():
    task, answer, y, _ = CASES["classification"]
    assert measured(None, answer, y) == measured(task, answer, y)


def half_gone(x):
    return brighter(x, 0.35, 0.15)


def test_the_error_of_several_labels_is_their_share():
    report = measured(MultiLabel(2), half_gone, torch.ones(4, 2))
    assert report.errors["decrease_brightness"] == [0.0, 0.0, 0.5, 0.5, 1.0]


def test_by_right_one_wrong_label_is_an_error():
    report = measured(MultiLabel(2), half_gone, torch.ones(4, 2), measure="right")
    assert report.errors["decrease_brightness"] == [0.0, 0.0, 1.0, 1.0, 1.0]


def test_a_share_before_any_perturbation_has_its_own_value():
    """Two of four samples lack one of their two labels: an error of 1/4, which is no whole number of samples."""
    report = measured(MultiLabel(2), half_gone, torch.tensor([[1, 1], [1, 1], [0, 1], [0, 1]]))
    assert report.clean.value == 0.25
    assert report.clean.low < 0.25 < report.clean.high


def overflows(x):
    return torch.where(x.mean((1, 2, 3))[:, None] > 0.35, torch.tensor([0.0, 1.0]), torch.nan)


def test_a_network_that_overflows_on_a_perturbed_picture_is_wrong_on_it():
    assert measured(None, overflows, 0 * ONES).errors["decrease_brightness"] == [1.0] * 5
    assert measured(None, overflows, ONES).errors["decrease_brightness"] == [0.0, 0.0, 1.0, 1.0, 1.0]


def test_a_network_that_overflows_on_clean_pictures_is_refused():
    with pytest.raises(InputError, match="NaN"):
        measured(None, overflows, ONES, x=X / 2)


@pytest.mark.parametrize(
    ("task", "answer", "y", "message"),
    [
        (None, lambda x: brighter(x, 0.35), ONES, "task=Binary"),
        (None, half_gone, ONES.float() / 2, "regression"),
        (None, half_gone, 5 * ONES, r"0\.\.1"),
        (Regression(), lambda x: x.mean((1, 2, 3)), torch.rand(4), "tolerance"),
        (Binary(), half_gone, 3 * ONES, "0 and 1"),
        (Classification(2), lambda x: torch.rand(len(x), 3), ONES, "one column a class"),
    ],
)
def test_what_is_not_the_tasks_is_refused(task, answer, y, message):
    with pytest.raises(InputError, match=message):
        measured(task, answer, y)


@pytest.mark.parametrize("options", [{"task": Classification(2)}, {"measure": "right"}])
def test_a_function_of_the_user_stands_alone(options):
    with pytest.raises(InputError, match="wrong"):
        Suite().evaluate(Looks(half_gone), [(X, ONES)], lambda out, y: y, **options)


def test_an_unknown_measure_is_refused():
    with pytest.raises(InputError, match="measure"):
        measured(None, half_gone, ONES, measure="rihgt")


# ---------------------------------------------------------------- where things are

MOVING = [p for p in ALL if p.moves_pixels]
NOT_LABEL_PRESERVING = {p.name for p in ALL if not p.label_preserving}


def blocks(seed=0, n=3, size=48):
    """Label maps of large flat blocks."""
    small = torch.randint(0, 3, (n, 4, 4), generator=torch.Generator().manual_seed(seed))
    return small.repeat_interleave(size // 4, 1).repeat_interleave(size // 4, 2)


def painted(labels):
    """Pictures in which the grey of a pixel is its label: 0.25, 0.5 or 0.75; black is none."""
    return ((labels + 1) / 4)[:, None].expand(-1, 3, -1, -1).float()


def read_off(x):
    """Logits whose largest is the class with the nearest grey."""
    return -(x.mean(1, keepdim=True) - torch.tensor([0.25, 0.5, 0.75]).view(1, 3, 1, 1)).abs()


@pytest.mark.parametrize("p", MOVING, ids=lambda p: p.name)
def test_labels_move_with_the_pixels(p):
    """The labels of moved pictures are those that can be read off them, but beside edges, where greys mix."""
    labels = blocks(size=96)
    for severity in range(1, 6):
        moved = move_labels(p, labels, severity, seed=3, outside=255)
        out = p(painted(labels), severity, seed=3)
        inside = moved != 255
        assert float((read_off(out).argmax(1) == moved)[inside].double().mean()) > 0.9
        assert float((out.amax(1) < 0.2)[~inside].double().mean()) > 0.9 or bool(inside.all())


def test_a_half_turn_moves_labels_exactly():
    labels = blocks()
    assert torch.equal(move_labels(get("rotate"), labels, 5, outside=255), labels.flip((1, 2)))


def test_a_shift_moves_labels_exactly():
    """10 and -10 pixels of a 240-line picture: to the right and up; what comes into view has no label."""
    labels = blocks(size=240)
    moved = move_labels(get("translate"), labels, 1, outside=255)
    assert torch.equal(moved[:, :-10, 10:], labels[:, 10:, :-10])
    assert bool((moved[:, -10:] == 255).all())
    assert bool((moved[:, :, :10] == 255).all())


def test_each_sample_has_its_own_displacements():
    labels = blocks(n=1).expand(2, -1, -1)
    elastic = get("elastic")
    together = move_labels(elastic, labels, 5, ids=torch.tensor([4, 9]), outside=255)
    alone = move_labels(elastic, labels[:1], 5, ids=torch.tensor([9]), outside=255)
    assert torch.equal(together[1:], alone)
    assert not torch.equal(together[0], together[1])


@pytest.mark.parametrize("name", ["gaussian_noise", "zoom_blur", "fog_mapping"])
def test_labels_stay_where_pixels_stay(name):
    labels = blocks()
    assert torch.equal(move_labels(get(name), labels, 4, outside=255), labels)


# Where a spot is doesn't tell whether things move.
UNTOLD_BY_A_SPOT = {
    "elastic": "displaces every pixel by itself: the spot is torn, and its centre stays",
    "phase_scrambling": "spreads the spot over the whole picture",
    "sample_pairing": "lays an enlarged crop over the picture, in which things stay",
}


@pytest.mark.parametrize("p", [p for p in ALL if p.name not in UNTOLD_BY_A_SPOT], ids=lambda p: p.name)
def test_what_is_said_to_move_pixels_is_what_moves_a_spot(p):
    """The spot is the difference from a picture without it, under the same noise; a blur smears it where it is."""
    blank = torch.ones(8, 3, 48, 48)
    x = blank.clone()
    for i in range(8):
        x[i, :, 10 + 7 * (i % 4) :, 10 + 9 * (i // 2) :][:, :4, :4] = 0
    before, after = _centres(blank - x), _centres(p(blank, 3) - p(x, 3))
    far = (after - before).norm(dim=1)
    assert bool((far[far.isfinite()] > 2).any()) == p.moves_pixels  # NaN: the spot is covered


def _centres(spots):
    spots, places = spots.abs().mean(1), torch.arange(48.0)
    mass = spots.sum((1, 2))
    return torch.stack([(spots.sum(2) * places).sum(1) / mass, (spots.sum(1) * places).sum(1) / mass], 1)


@pytest.mark.parametrize("name", ["translate", "rotate", "scale"])
def test_segmentation_follows_what_moves(name):
    """A network that reads labels off the pictures has no error but where greys mix; labels that stay give many."""
    labels, suite = blocks(), Suite([name])
    model, batches = Looks(read_off), [(painted(labels), labels)]
    along = suite.evaluate(model, batches, task=Segmentation(3))
    stays = suite.evaluate(model, batches, task=Segmentation(3), keep_targets=True)
    assert along.clean.value == 0
    assert max(along.errors[name]) < 0.1
    assert max(stays.errors[name]) > 0.3


@pytest.mark.parametrize("severity", [1, 4])
@pytest.mark.parametrize("name", ["translate", "scale", "shear", "rotate", "reflection"])
def test_boxes_follow_what_moves(name, severity):
    """The box around a white block is where the white pixels are afterwards."""
    x, box = torch.zeros(6, 3, 40, 48), torch.tensor([[14.0, 12.0, 30.0, 24.0]])
    x[:, :, 12:24, 14:30] = 1
    boxes = [Detections(box, torch.tensor([2]))] * 6
    p = get(name)
    moved = move_boxes(p, boxes, (40, 48), severity, 3)
    for picture, found in zip(p(x, severity, 3), moved):
        seen = (picture.mean(0) > 0.5).nonzero()
        low, high = seen.amin(0), seen.amax(0) + 1
        around = torch.tensor([low[1], low[0], high[1], high[0]]).float()
        assert found.labels.tolist() == [2]
        assert float((found.boxes[0] - around).abs().max()) <= 1


def test_a_box_that_left_the_picture_is_gone():
    corner = [Detections(torch.tensor([[0.0, 0.0, 3.0, 3.0], [20.0, 16.0, 28.0, 24.0]]), torch.tensor([0, 1]))] * 20
    moved = move_boxes(get("scale"), corner, (40, 48), 5, 0)  # some are drawn larger: the corner leaves
    assert {len(each) for each in moved} <= {1, 2}
    assert all(1 in each.labels.tolist() for each in moved)


def test_the_headline_is_the_tasks_metric_over_all_samples():
    task, answer, y, _ = CASES["regression"]
    report = measured(task, answer, y, headline=True)
    assert report.headline == "mae"
    assert report.clean_headline == pytest.approx(0)
    assert report.headlines["decrease_brightness"] == pytest.approx([0.5 - grey for grey in GREYS], abs=1e-6)
    assert report.mean_headline() == pytest.approx(sum(0.5 - grey for grey in GREYS) / 5, abs=1e-6)


@pytest.mark.parametrize(
    ("task", "answer", "y", "left_out"),
    [
        (Segmentation(2, ignore_index=None), *CASES["segmentation"][1:3], {p.name for p in MOVING}),
        (Detection(1), *CASES["detection"][1:3], set()),
        (Regression(tolerance=0.15), *CASES["regression"][1:3], NOT_LABEL_PRESERVING),
        (Binary(), *CASES["binary"][1:3], set()),
    ],
    ids=lambda v: getattr(v, "kind", ""),
)
def test_what_cannot_move_along_is_left_out_and_told(task, answer, y, left_out):
    report = measured(task, answer, y, which=[p.name for p in (*MOVING, get("fog_mapping"))])
    assert set(report.skipped) == left_out
    assert "fog_mapping" in report.errors
    assert all("moves pixels" in reason for reason in report.skipped.values())


def test_labels_of_another_size_leave_out_what_moves():
    task, answer, y, _ = CASES["segmentation"]
    report = measured(task, lambda x: answer(x)[..., ::2, ::2], y[:, ::2, ::2], which=["rotate", "fog_mapping"])
    assert "8 x 8" in report.skipped["rotate"]


def test_keep_targets_leaves_nothing_out():
    task, answer, y, _ = CASES["detection"]
    assert not measured(task, answer, y, which=[p.name for p in MOVING], keep_targets=True).skipped


def test_nothing_left_to_measure_is_refused():
    task, answer, y, _ = CASES["regression"]
    with pytest.raises(InputError, match="moves pixels"):
        measured(task, answer, y, which=["rotate"])


def test_pictures_of_a_network_in_half_precision():
    model = nn.Sequential(nn.Flatten(), nn.Linear(768, 2)).half()
    assert Suite(["contrast"], (1,)).evaluate(model, [(X, ONES)]).n == 4


@pytest.mark.parametrize(
    "wrong",
    [
        lambda out, y: torch.zeros(len(y) + 1),
        lambda out, y: torch.full((len(y),), float("nan")),
        lambda out, y: torch.tensor(0.5),
        lambda out, y: [0.0] * len(y),
        lambda out, y: torch.full((len(y),), 5.0),
        lambda out, y: torch.zeros(len(y), 1),
    ],
    ids=["one more", "nan", "scalar", "list", "above 1", "column"],
)
def test_what_a_function_of_ones_own_says_is_checked(wrong):
    net = nn.Sequential(nn.Flatten(), nn.Linear(3 * 64, 2))
    with pytest.raises(InputError, match=r"wrong\(outputs, targets\)"):
        Suite(["contrast"], severities=(1,)).evaluate(net, [(torch.rand(4, 3, 8, 8), torch.zeros(4))], wrong)


def test_probabilities_are_found_whatever_the_size_of_a_batch():
    net = nn.Sequential(nn.Flatten(), nn.Linear(3 * 64, 1), nn.Sigmoid())
    x, y = torch.rand(24, 3, 8, 8), torch.arange(24) % 2
    with pytest.raises(InputError, match="probabilities"):
        Suite(["contrast"], severities=(1,)).evaluate(net, list(zip(x.split(4), y.split(4))), task=Binary())


def test_bytes_are_measured_as_their_pixels():
    net = nn.Sequential(nn.Flatten(), nn.Linear(3 * 64, 2))
    x, y = torch.randint(256, (6, 3, 8, 8)).byte(), torch.arange(6) % 2
    suite = Suite(["contrast"], severities=(1,))
    assert suite.evaluate(net, [(x, y)]).clean == suite.evaluate(net, [(x.float() / 255, y)]).clean


@pytest.mark.parametrize("task", ["classes", Binary], ids=["a word", "a class"])
@pytest.mark.usefixtures("unchecked")
def test_what_is_no_task_is_refused(task):
    net = nn.Sequential(nn.Flatten(), nn.Linear(3 * 64, 2))
    with pytest.raises(InputError, match=r"a task of core\.tasks"):
        Suite(["contrast"], severities=(1,)).evaluate(net, [(torch.rand(4, 3, 8, 8), torch.zeros(4))], task=task)


def test_targets_of_ones_own_may_be_a_dictionary():
    """Its length says nothing of the number of samples."""
    net = nn.Sequential(nn.Flatten(), nn.Linear(3 * 64, 2))
    batches = [(torch.rand(4, 3, 8, 8), {"labels": torch.tensor([0, 1, 0, 1])})]
    report = Suite(["contrast"], severities=(1,)).evaluate(net, batches, lambda out, y: out.argmax(1) != y["labels"])
    assert report.n == 4
