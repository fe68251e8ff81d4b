"""Early exits: exactness at both ends, survivors-only batches, counted costs, thresholds that keep their promise."""

import numpy as np
import pytest
import torch
from networks import trained_like
from torch import nn

from deepwright.compress import (
    GAP8,
    BlankSkipLoss,
    CalibrationError,
    CutError,
    ExitHead,
    ExitPolicy,
    Segments,
    TemporalGate,
    attach_exits,
    calibrate_exits,
    certify,
    cost,
    expected_cost,
    export_exits,
    head_logits,
    path_macs,
    samples_needed,
)
from deepwright.compress.exits.goals import Levels
from deepwright.compress.exits.policy import through, upper_bound
from deepwright.compress.files import run, session
from deepwright.core.errors import InputError
from deepwright.data import make_scenes
from deepwright.nets import cifar_resnet, mlp, small_ssd

CUTS = ("features.stage0", "features.stage1", "features.stage2")


@pytest.fixture(scope="module")
def scenes():
    return make_scenes(60, seed=5)


@pytest.fixture
def adaptive(scenes):
    torch.manual_seed(0)
    detector = trained_like(small_ssd())
    with torch.no_grad():
        for head in detector.heads:
            head.bias += 3.0  # an untrained detector that finds something
    return trained_like(attach_exits(detector, CUTS, scenes.images[:2]))


def same(a, b, tolerance=0.0):
    return all(
        len(p) == len(q) and (p.boxes - q.boxes).abs().max() <= tolerance and torch.equal(p.labels, q.labels)
        for p, q in zip(a, b)
        if len(p) or len(q)
    )


def test_never_leaving_is_the_static_detector(adaptive, scenes):
    static = adaptive.model.detect(scenes.images[:1])
    whole = adaptive(scenes.images[:1], thresholds=[torch.inf] * 3)
    assert len(static[0]) > 0
    assert same(whole, static)
    assert torch.equal(whole[0].scores, static[0].scores)  # bit for bit


def test_leaving_at_once_runs_the_first_piece_only(adaptive, scenes):
    ran = []
    for k, piece in enumerate(adaptive.pieces()):
        piece.register_forward_hook(lambda *_, k=k: ran.append(k))
    out, left = adaptive(scenes.images[:8], thresholds=[-torch.inf] * 3, return_exit=True)
    assert ran == [0]
    assert all(len(d) == 0 for d in out)
    assert left.tolist() == [0] * 8


def test_batches_equal_single_frames(adaptive, scenes):
    logits = head_logits(adaptive, [scenes.images])
    ordered = [(-logits[c][:, 0]).sort().values for c in CUTS]
    thresholds = [float((o[41] + o[42]) / 2) for o in ordered]  # between two frames: rounding decides nothing
    out, left = adaptive(scenes.images, thresholds=thresholds, return_exit=True)
    assert len(set(left.tolist())) == 4  # some leave at every cut, some never
    for i in range(0, 60, 7):
        alone, where = adaptive(scenes.images[i : i + 1], thresholds=thresholds, return_exit=True)
        assert int(where) == int(left[i])
        assert same(alone, out[i : i + 1], 1e-3)
    everyone, none = (
        adaptive(scenes.images[:5], thresholds=[torch.inf] * 3),
        adaptive(scenes.images[:5], thresholds=[-torch.inf] * 3),
    )
    assert len(everyone) == len(none) == 5


def test_expected_cost_is_the_counted_one(adaptive, scenes):
    """E[C] over frames equals what the counter says each frame's way costs."""
    segments = adaptive.segments
    assert segments.macs == cost(adaptive.model, scenes.images[:1]).macs
    paths = path_macs(adaptive)
    pieces = [cost(p, x).macs for p, x in zip(adaptive.pieces()[:3], _inputs(adaptive, scenes.images[:1]))]
    heads = [cost(h, x).macs for h, x in zip(adaptive.heads, _inputs(adaptive, scenes.images[:1])[1:])]
    for k in range(3):
        assert paths[k] == sum(pieces[: k + 1]) + sum(heads[: k + 1])
    assert paths[3] == segments.macs + sum(heads)
    left = torch.tensor([0, 0, 1, 3])
    found = expected_cost(adaptive, left, GAP8)
    assert found.macs == pytest.approx((2 * paths[0] + paths[1] + paths[3]) / 4)
    assert found.worth
    assert found.seconds[0] < found.seconds[1]
    assert str(found).startswith("at most")  # nobody said whether those who left were right to
    nobody = expected_cost(adaptive, torch.full((5,), 3))
    assert not nobody.worth
    assert "do not pay" in str(nobody)
    missed = expected_cost(adaptive, left, harmful=torch.tensor([True] * 4))
    assert missed.macs == paths[3]  # a miss is no saving
    assert missed.misses == 0.75
    assert str(missed).startswith("exits do not pay here, 75.0% left in harm")
    assert max(heads) < 0.03 * segments.macs


def _inputs(adaptive, x):
    found = [x]
    with torch.no_grad():
        for piece in adaptive.pieces()[:3]:
            found.append(piece(found[-1]))
    return found


def test_frozen_heads_leave_the_detector_as_it_was(scenes):
    torch.manual_seed(0)
    adaptive = attach_exits(small_ssd().eval(), CUTS, scenes.images[:2])
    with torch.no_grad():
        for head in adaptive.model.heads:
            head.bias += 3.0
    before = adaptive.model.detect(scenes.images[:4])
    for p in adaptive.model.parameters():
        p.requires_grad_(False)
    optimizer = torch.optim.Adam(adaptive.heads.parameters(), 0.02)
    adaptive.train()
    adaptive.model.eval()
    occupied = scenes.occupied[:32].float()
    values = []
    for _ in range(40):
        _, exits = adaptive(scenes.images[:32])
        value = BlankSkipLoss()(0.0, exits, occupied)
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        values.append(float(value.detach()))
    adaptive.eval()
    assert values[-1] < 0.7 * values[0]
    after = adaptive(scenes.images[:4], thresholds=[torch.inf] * 3)
    assert same(after, before)
    undefined = BlankSkipLoss()(0.0, exits, torch.full((32,), -1.0))
    assert float(undefined) == 0.0  # frames with only boxes that don't count


def test_no_silent_threshold(adaptive, scenes, tmp_path):
    with pytest.raises(InputError, match="calibrate_exits"):
        adaptive(scenes.images[:2])
    many = make_scenes(400, seed=9)
    policy = calibrate_exits(adaptive, many.images.split(100), many.occupied, max_false_skip=0.1)
    assert len(adaptive(scenes.images[:3])) == 3
    assert sum(policy.bounds) == policy.bound <= 0.1  # of all cuts together
    assert policy.relevant == int(many.occupied.sum())
    assert policy.largest == float(many.images.abs().max())
    back = ExitPolicy.load(policy.save(tmp_path / "policy.json"), adaptive.fingerprint())
    assert back == policy
    with torch.no_grad():
        adaptive.heads[0].last.bias += 1
    with pytest.raises(InputError, match="other weights"):
        ExitPolicy.load(tmp_path / "policy.json", adaptive.fingerprint())
    with pytest.raises(InputError, match="other weights"):
        adaptive(scenes.images[:2])  # its own policy isn't its own any more
    with pytest.raises(InputError, match="other weights"):
        adaptive.policy = back
    for text in ("", "[]", '{"cuts": ["a"]}', '{"thresholds": ["x"], "bounds": [0]}'):
        (tmp_path / "policy.json").write_text(text)
        with pytest.raises(InputError, match=r"written by ExitPolicy\.save"):
            ExitPolicy.load(tmp_path / "policy.json")
    with pytest.raises(InputError, match="cannot read"):
        ExitPolicy.load(tmp_path / "none.json")


def test_the_guarantee_holds_and_the_naive_rule_does_not():
    """1,000 calibrations on a known population: the true rate exceeds alpha in at most delta + 3 sigma of them."""
    rng = np.random.default_rng(0)
    alpha, delta, n, runs = 0.05, 0.05, 300, 1000
    broken, naive = 0, 0
    for _ in range(runs):
        full = rng.normal(0, 1, n)  # readiness of frames with an object; true P(score >= t) = 1 - Phi(t)
        empty = rng.normal(2, 1, n)
        scores = torch.tensor(np.concatenate([full, empty]))
        relevant = torch.tensor([True] * n + [False] * n)
        threshold, _, bound = certify(scores, relevant, relevant, max_harm=alpha, confidence=1 - delta)
        assert bound <= alpha
        truth = 0.5 * torch.erfc(torch.tensor(threshold) / 2**0.5)
        broken += bool(truth > alpha)
        naive += bool(0.5 * torch.erfc(torch.tensor(np.quantile(full, 1 - alpha)) / 2**0.5) > alpha)
    limit = delta + 3 * (delta * (1 - delta) / runs) ** 0.5
    assert broken / runs <= limit
    assert naive / runs > 0.3


def test_bounds_and_refusals():
    assert samples_needed(0.01, 0.05) == 299
    assert samples_needed(0.05, 0.05) == 59
    assert upper_bound(0, 59, 0.05) <= 0.05 < upper_bound(0, 58, 0.05)
    assert upper_bound(7, 7, 0.05) == 1.0
    scores, kinds = torch.randn(40), torch.arange(40) < 20
    with pytest.raises(CalibrationError, match="at least 59"):
        certify(scores, kinds, kinds, max_harm=0.05)
    with pytest.raises(CalibrationError, match="both kinds"):
        certify(scores, torch.ones(40, dtype=torch.bool), torch.ones(40, dtype=torch.bool), max_harm=0.5)
    # a grid fixed in advance: the sequence stops at the first that fails
    n = 400
    scores = torch.linspace(0, 1, 2 * n)
    relevant = torch.arange(2 * n) % 2 == 0
    threshold, events, bound = certify(scores, relevant, relevant, max_harm=0.05, grid=torch.linspace(0.9, 1.0, 11))
    assert bound <= 0.05
    assert upper_bound(int((scores[relevant] >= threshold - 0.01).sum()), n, 0.05) > 0.05
    assert events == int((scores[relevant] >= threshold).sum())


def test_films_are_looked_at_again():
    gate = TemporalGate(quiet=2, refresh=5)
    leaves = through(gate, torch.ones(30, dtype=torch.bool))
    assert not leaves[:2].any()
    runs = [len(r) for r in "".join("x" if v else "." for v in leaves.tolist()).split(".") if r]
    assert max(runs) == 4  # at most four frames in a row are skipped: an object is seen within five
    mixed = through(gate, torch.tensor([1, 1, 1, 0, 1, 1, 1], dtype=torch.bool))
    assert mixed.tolist() == [False, False, True, False, False, False, True]


def test_classifiers_leave_with_their_logits():
    torch.manual_seed(0)
    model = trained_like(cifar_resnet(8, channels=1))
    x = torch.rand(12, 1, 16, 16)
    adaptive = trained_like(attach_exits(model, ["layer1", "layer2"], x[:2], exit_output="logits", outputs=10))
    with torch.no_grad():
        assert torch.equal(adaptive(x, thresholds=[2.0, 2.0]), model(x))
        _, exits = adaptive.exit_logits(x)
        cut = float(exits["layer1"].softmax(1).amax(1).median())
        out, left = adaptive(x, thresholds=[cut, 2.0], return_exit=True)
    assert 0 < int((left == 0).sum()) < 12
    assert torch.allclose(out[left == 0], exits["layer1"][left == 0], atol=1e-5)
    assert torch.allclose(out[left == 2], model(x)[left == 2], atol=1e-5)
    vector = attach_exits(mlp(6, 3, (16, 16)), ["1"], torch.rand(2, 6), exit_output="logits", outputs=3).eval()
    assert vector(torch.rand(4, 6), thresholds=[0.0]).shape == (4, 3)


def test_where_a_network_can_be_cut():
    model = trained_like(cifar_resnet(8, channels=1))
    segments = Segments(model, torch.rand(2, 1, 16, 16))
    names = {c.name for c in segments.cuts()}
    assert {"layer1.0.relu", "layer2.0.relu"} <= names
    assert "layer1.0.conv1" not in names
    shares = segments.table().column("MACs before")
    assert shares == sorted(shares)
    with pytest.raises(CutError, match=r"2 tensors cross it: relu.*conv2d_1"):
        attach_exits(model, ["layer1.0.conv1"], torch.rand(2, 1, 16, 16), exit_output="logits", outputs=10)
    with pytest.raises(CutError, match="a module of the network"):
        segments.position("nothing")
    with pytest.raises(InputError, match="order"):
        attach_exits(model, ["layer2", "layer1"], torch.rand(2, 1, 16, 16), exit_output="logits", outputs=10)
    with pytest.raises(InputError, match="empty"):
        attach_exits(model, ["layer1"], torch.rand(2, 1, 16, 16))
    with pytest.raises(InputError, match="pool"):
        ExitHead(4, pool="median")


def test_pieces_share_the_parameters():
    model = trained_like(cifar_resnet(8, channels=1))
    x = torch.rand(3, 1, 16, 16)
    adaptive = attach_exits(model, ["layer1"], x, exit_output="logits", outputs=10).eval()
    before = adaptive(x, thresholds=[2.0])
    with torch.no_grad():
        model.fc.bias += 1.0
    assert torch.allclose(adaptive(x, thresholds=[2.0]), before + 1.0, atol=1e-6)
    assert isinstance(adaptive.pieces()[0], nn.Module)


@pytest.mark.usefixtures("unchecked")  # the checker keeps a stack, which torch.cond refuses
@pytest.mark.parametrize("layout", ["split", "single"])
@pytest.mark.slow
def test_files_take_the_same_decisions(layout, scenes, tmp_path):
    pytest.importorskip("onnxruntime")
    torch.manual_seed(0)
    adaptive = attach_exits(small_ssd().eval(), CUTS[1:2], scenes.images[:2]).eval()
    logits = head_logits(adaptive, [scenes.images])[CUTS[1]][:, 0]
    ordered = (-logits).sort().values
    threshold = float((ordered[29] + ordered[30]) / 2)  # half of the frames leave: both branches are run
    written = export_exits(adaptive, tmp_path, layout=layout, threshold=threshold, check=scenes.images)
    assert all(p.requires_grad for p in adaptive.parameters())  # it can be trained on afterwards
    assert written.agreement == 1.0
    assert set(written.paths) == ({"front", "rest"} if layout == "split" else {"single"})
    assert all(p.exists() for p in written.paths.values())


@pytest.mark.slow
def test_int8_files_decide_nearly_alike(scenes, tmp_path):
    torch.manual_seed(0)
    adaptive = attach_exits(small_ssd().eval(), CUTS[1:2], scenes.images[:2]).eval()
    ordered = (-head_logits(adaptive, [scenes.images])[CUTS[1]][:, 0]).sort().values
    threshold = float((ordered[5] + ordered[6]) / 2)
    calibration = [make_scenes(150, seed=2).images]
    written = export_exits(
        adaptive, tmp_path, threshold=threshold, quant="int8", calibration=calibration, check=scenes.images
    )
    assert written.agreement >= 0.9
    plain = export_exits(adaptive, tmp_path / "float", threshold=threshold, check=scenes.images)
    size = sum(p.stat().st_size for p in written.paths.values())
    assert size < 0.6 * sum(p.stat().st_size for p in plain.paths.values())


def test_what_cannot_be_exported(adaptive, scenes, tmp_path):
    with pytest.raises(InputError, match="one exit"):
        export_exits(adaptive, tmp_path, threshold=0.0)
    one = attach_exits(small_ssd().eval(), CUTS[:1], scenes.images[:2])
    with pytest.raises(InputError, match="calibrate_exits"):
        export_exits(one, tmp_path)
    with pytest.raises(InputError, match="layout"):
        export_exits(one, tmp_path, layout="double", threshold=0.0)


@pytest.mark.slow
def test_other_goals_than_a_share_of_harm(adaptive):
    """Each goal is met on the calibration data, by the safest or boldest level of those tried."""
    many = make_scenes(200, seed=9)
    args = (adaptive.eval(), many.images.split(100), many.occupied)
    paths = path_macs(adaptive)
    fast = calibrate_exits(*args, target_speedup=1.3)
    _, left = adaptive(many.images, return_exit=True)
    assert expected_cost(adaptive, left, harmful=many.occupied).speedup >= 1.3
    assert fast.harmful == tuple(int((many.occupied & (left == k)).sum()) for k in range(3))
    assert fast.bounds[0] > fast.harmful[0] / fast.relevant
    with pytest.raises(CalibrationError, match="at most"):
        calibrate_exits(*args, target_speedup=1.01 * paths[-1] / paths[0])
    careful = calibrate_exits(*args, utility=(1e6, 1.0))
    assert sum(careful.harmful) == 0
    reckless = calibrate_exits(*args, utility=(0.0, 1.0))
    assert set(reckless.thresholds) == {-torch.inf}

    def kept(left):  # objects that are still seen
        return float((many.occupied & (left == 3)).sum() / many.occupied.sum())

    policy = calibrate_exits(*args, max_map_drop=0.25, metric=kept)
    assert 0 < sum(policy.harmful) <= 0.25 * policy.relevant
    assert policy.goal == "max_map_drop"
    with pytest.raises(InputError, match="one goal"):
        calibrate_exits(*args, utility=(1, 1), target_speedup=2)
    with pytest.raises(InputError, match="one goal"):
        calibrate_exits(*args, max_map_drop=0.1)


def test_the_bound_of_a_picked_level_holds():
    """P(true share above the bound) <= delta though the level was picked by its speed on the same data."""
    draw = torch.Generator().manual_seed(0)
    broken, runs, n = 0, 300, 60
    for _ in range(runs):
        ready = torch.rand(2 * n, 1, generator=draw, dtype=torch.float64)
        relevant = torch.arange(2 * n) < n
        levels = Levels(ready, relevant, relevant[:, None], (1, 10))
        thresholds = levels.thresholds(levels.for_speedup(1.3))
        events = levels.harms(levels.left(thresholds))
        broken += (1 - max(thresholds[0], 0.0)) > levels.bounds(events, 0.9)[0]
    assert broken <= 0.1 * runs


def test_frames_that_are_all_full_have_no_speed_up(adaptive):
    """Whoever leaves then leaves in harm, and saves nothing."""
    full = make_scenes(80, empty=0.0, seed=3)
    with pytest.raises(CalibrationError, match="exits do not pay"):
        calibrate_exits(adaptive.eval(), [full.images], full.occupied, target_speedup=1.2)


def test_a_speed_up_is_not_bought_with_harm(adaptive):
    """Of readiness that tells nothing, no level is faster once those who leave in harm are counted to the end."""
    ready = torch.arange(100, dtype=torch.double)[:, None]
    relevant = torch.arange(100) < 90
    harmful = relevant[:, None]
    with pytest.raises(CalibrationError, match="save nothing"):
        Levels(ready.flip(0), relevant, harmful, (1, 10)).for_speedup(1.2)
    assert Levels(ready, relevant, harmful, (1, 10)).for_speedup(1.09) == 0  # ten of a hundred leave, none in harm


def test_frames_that_hold_only_a_crowd_count_for_nothing(adaptive):
    many = make_scenes(200, seed=9)
    kept = torch.arange(200) % 4 > 0
    flags = torch.where(kept, many.occupied.long(), -1)
    marked = calibrate_exits(adaptive.eval(), [many.images], flags, max_false_skip=0.3)
    left_out = calibrate_exits(adaptive, [many.images[kept]], many.occupied[kept], max_false_skip=0.3)
    assert marked.relevant == int(many.occupied[kept].sum())
    assert marked.thresholds == pytest.approx(left_out.thresholds, abs=1e-5)  # batches round otherwise
    with pytest.raises(CalibrationError, match="0 of 0"):
        calibrate_exits(adaptive, [many.images], torch.full((200,), -1))


def test_the_bound_is_of_all_cuts_together():
    """Independent scores at three cuts: P(leave in harm anywhere) exceeds alpha in at most delta of the runs."""
    rng = torch.Generator().manual_seed(0)
    alpha, delta, n, cuts, broken, per_cut = 0.1, 0.2, 300, 3, 0, 0
    for _ in range(200):
        scores = torch.rand(n + 1, cuts, generator=rng, dtype=torch.double)
        relevant = torch.arange(n + 1) < n
        truth = {}
        for parts in (1, cuts):  # each cut at alpha, or all together at alpha
            level = {"max_harm": alpha / parts, "confidence": 1 - delta / cuts}
            found = [certify(scores[:, k], relevant, relevant, **level)[0] for k in range(cuts)]
            truth[parts] = 1 - float(torch.tensor(found).clamp(0, 1).prod())
        broken += truth[cuts] > alpha
        per_cut += truth[1] > alpha
    assert broken <= 0.2 * 200
    assert per_cut == 200  # a bound per cut is none for the whole


def test_a_network_that_gives_nan_finds_nothing_silently_no_more(adaptive, scenes):
    adaptive.eval()
    with torch.no_grad():
        adaptive.model.heads[0].bias[0] = torch.nan
    with pytest.raises(InputError, match="outputs of the whole network"):
        adaptive(scenes.images[:2], thresholds=[torch.inf] * 3)
    with torch.no_grad():
        adaptive.heads[1].last.bias.fill_(torch.nan)
    with pytest.raises(InputError, match=r"features\.stage1"):
        adaptive(scenes.images[:2], thresholds=[torch.inf] * 3)
    with pytest.raises(InputError, match=r"features\.stage1"):
        head_logits(adaptive, [scenes.images[:2]])


@pytest.mark.slow
def test_the_float_networks_threshold_is_not_taken_for_the_int8_files(scenes, tmp_path):
    torch.manual_seed(0)
    adaptive = attach_exits(small_ssd().eval(), CUTS[1:2], scenes.images[:2]).eval()
    many = make_scenes(200, seed=2)
    calibrate_exits(adaptive, [many.images], many.occupied, max_false_skip=0.1)
    options = {"quant": "int8", "calibration": [many.images], "check": scenes.images}
    with pytest.warns(UserWarning, match=r"is the float network's: .* leave it, .* leave the int8 files"):
        export_exits(adaptive, tmp_path, **options)
    written = export_exits(adaptive, tmp_path, relevant=many.occupied, **options)
    assert written.policy.bound <= 0.1
    assert written.threshold == written.policy.thresholds[0] != adaptive.policy.thresholds[0]
    assert ExitPolicy.load(tmp_path / "policy.json") == written.policy
    with pytest.raises(InputError, match="other weights"):
        ExitPolicy.load(tmp_path / "policy.json", adaptive.fingerprint())
    front = session(written.paths["front"].read_bytes())
    leaving = -run(front, (many.images,))[0][:, 0] >= written.threshold
    assert int((leaving & many.occupied.numpy()).sum()) == written.policy.harmful[0]
