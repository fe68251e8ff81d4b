"""No word is swallowed: what a function, a class or a method of a face doesn't know, it refuses by name."""

import importlib
import inspect
import pkgutil
from pathlib import Path

import pytest
import torch
from torch import nn

import deepwright
from deepwright.adversarial import AdvPatch, DPatch, RobustDPatch
from deepwright.adversarial.sharpening import Blur, GaussianNoise, GuidedSharpen, LaplacianSharpen, LastIterate, Unsharp
from deepwright.compress import CRITERIA, Layer, ShrinkGraph, TargetProfile, export, importance, plan, quantize, shrink
from deepwright.core.errors import InputError
from deepwright.core.fit import fit_drawn
from deepwright.core.tasks import CandidateDetection
from deepwright.corruptions import ALL as PERTURBATIONS
from deepwright.corruptions import TABLES, Compose, Guided, Suite, apply, get
from deepwright.data import stream_scenes
from deepwright.ood import ALL as DETECTORS

SOURCE = Path(deepwright.__file__).parent
PACKAGES = sorted(m.name for m in pkgutil.walk_packages([str(SOURCE)], "deepwright.") if m.ispkg)
WORD = {"no_such_option": 1}
# Those that hand words on: what they hand them to refuses them (below, and in the contracts of attacks and checks).
FORWARDERS = {
    "adversarial: SequenceFGSM",
    "adversarial: SequenceSearch",
    "risk: ContainmentViolation",
    "risk: InvalidContactRate",
    "risk: OrdinalScores",
    "risk: UnimodalPixelRate",
    "corruptions: Guided.__call__",
    "corruptions: apply",
    "pathfinding: greedy",  # those of beam
    "pathfinding: solve",  # those of the search that it names
    "data: stream_scenes",
    "compress: MaskedOriginal.__call__",  # the network's own keyword inputs
    "nets: HuggingFace.asked",  # those too
    "interpret: StimulusSet.rows",  # names of factors
    "interpret: StimulusSet.where",  # those too
    "interpret: make_stimuli",  # those of the experiment's generator
    "interpret: measure_experiment",  # those too
    "studies: cross",  # the axes of a grid
    "studies: curve",  # what a figure's series reads
    "ood: Detector.remember",  # names of what was learnt
    "adversarial: AdaptivePGD",
    "adversarial: AdvPatch",
    "adversarial: DPatch",
    "adversarial: RobustDPatch",
    "adversarial: APGD",
    "adversarial: APGDT",
    "adversarial: AttackSuite.__call__",
    "adversarial: AttackSuite.stands",
    "adversarial: BIM",
    "adversarial: Blur",
    "adversarial: Boundary",
    "adversarial: CarliniWagner",
    "adversarial: ClassRemoval",
    "adversarial: CosPGD",
    "adversarial: DAG",
    "adversarial: DeepFool",
    "adversarial: DensePGD",
    "adversarial: FABT",
    "adversarial: Fabricate",
    "adversarial: GaussianNoise",
    "adversarial: GuidedSharpen",
    "adversarial: HopSkipJump",
    "adversarial: LaplacianSharpen",
    "adversarial: LastIterate",
    "adversarial: MIFGSM",
    "adversarial: NIFGSM",
    "adversarial: Mislabel",
    "adversarial: Noise",
    "adversarial: PGD",
    "adversarial: SegPGD",
    "adversarial: Spatial",
    "adversarial: Spatial.__call__",
    "adversarial: Square",
    "adversarial: TargetScene",
    "adversarial: UniversalPerturbation",
    "adversarial: Unsharp",
    "adversarial: VMIFGSM",
    "adversarial: Vanish",
    "adversarial: WorstImages.__call__",
    "adversarial: from_art",
    "adversarial: from_foolbox",
    "adversarial: robust_accuracy",
    "core: fit_drawn",
    "core: identity",  # parts by the names that a refusal shall use
    "labels: Strategy.having",
    "labels: named",
    "checks: audit",
    "checks: subject_from_loaders",
}


def swallows(call):
    """Whether a signature has room for any word (torch's and typing's own `__init__` refuse what they don't know)."""
    if inspect.isclass(call) and not str(getattr(call.__init__, "__module__", "")).startswith("deepwright"):
        return False
    try:
        signature = inspect.signature(call)
    except (ValueError, TypeError):  # built-in classes
        return False
    return any(p.kind is p.VAR_KEYWORD for p in signature.parameters.values())


def offered():
    """(room, name, thing) of everything that a face offers, and the methods of its classes."""
    for package in PACKAGES:
        for name in getattr(importlib.import_module(package), "__all__", []):
            thing = getattr(importlib.import_module(package), name)
            if not (inspect.isfunction(thing) or inspect.isclass(thing)) or not str(
                getattr(thing, "__module__", "")
            ).startswith("deepwright"):
                continue
            room = thing.__module__.split(".")[1]
            yield f"{room}: {name}", thing
            for method, value in vars(thing).items() if inspect.isclass(thing) else ():
                function = getattr(value, "__func__", value)
                if inspect.isfunction(function) and (method == "__call__" or not method.startswith("_")):
                    yield f"{room}: {name}.{method}", function


def test_no_face_swallows_words():
    found = {name for name, thing in offered() if swallows(thing)}
    assert found - FORWARDERS == set()


@pytest.mark.parametrize("perturbation", [*PERTURBATIONS, *TABLES], ids=lambda p: p.name)
def test_perturbations(perturbation):
    x = torch.rand(2, 3) if perturbation in TABLES else torch.rand(2, 3, 16, 16)
    with pytest.raises(TypeError, match="no_such_option"):
        perturbation(x, 1, **WORD)


def test_a_guided_perturbation():
    with pytest.raises(TypeError, match="no_such_option"):
        Guided(get("contrast"), lambda x: x.mean(1))(torch.rand(2, 3, 16, 16), 1, **WORD)


@pytest.mark.parametrize("cls", [Blur, GaussianNoise, GuidedSharpen, LaplacianSharpen, Unsharp])
def test_sharpening(cls):
    with pytest.raises(TypeError, match="no_such_option"):
        cls(**WORD)


def test_an_attack_that_keeps_its_last_iterate():
    with pytest.raises(TypeError, match="no_such_option"):
        LastIterate(0.1, **WORD)


@pytest.mark.parametrize("cls", [AdvPatch, DPatch, RobustDPatch])
def test_patches_on_detectors(cls):
    with pytest.raises(InputError, match="no_such_option"):
        cls(CandidateDetection(1), **WORD)


@pytest.mark.parametrize("perturbation", [p for p in PERTURBATIONS if not p.has_literal], ids=lambda p: p.name)
def test_a_literal_form_that_is_not_there(perturbation):
    with pytest.raises(InputError, match="literal"):
        perturbation(torch.rand(2, 3, 16, 16), 1, literal=True)


def test_a_literal_form_that_is_there_is_another():
    x = torch.rand(2, 3, 16, 16)
    scrambled = get("phase_scrambling")
    assert not torch.equal(scrambled(x, 3, literal=True), scrambled(x, 3))


@pytest.mark.parametrize("options", [{"reference_height": 0}, {"ids": torch.arange(3)}, {"backend": "cv2"}])
def test_values_that_a_perturbation_cannot_take(options):
    with pytest.raises(InputError, match=next(iter(options))):
        get("contrast")(torch.rand(2, 3, 16, 16), 1, **options)


def test_chains_of_perturbations():
    with pytest.raises(TypeError, match="no_such_option"):
        Compose([("contrast", 1)], **WORD)
    with pytest.raises(InputError, match="steps"):
        Compose([("contrast", 7)])
    with pytest.raises(InputError, match="no_such_one"):
        Compose([("no_such_one", 1)])


@pytest.mark.parametrize("cls", DETECTORS, ids=lambda c: c.__name__)
def test_detectors(cls):
    with pytest.raises(TypeError, match="no_such_option"):
        cls(**WORD)


@pytest.fixture(scope="module")
def graph():
    torch.manual_seed(0)
    return ShrinkGraph.from_module(nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 3)), torch.rand(2, 4))


DATA = [(torch.zeros(2, 4), torch.zeros(2, dtype=torch.long))]
# What a criterion looks at; it refuses the others.
WORDS = {
    "data": (DATA, ("taylor", "hessian_diag")),
    "loss": (nn.functional.cross_entropy, ("taylor", "hessian_diag")),
    "reduction": ("mean", tuple(c for c in CRITERIA if c != "random")),
    "generator": (torch.Generator(), ("random",)),
}
UNUSED = [(c, w) for c in CRITERIA for w, (_, users) in WORDS.items() if c not in users]
UNUSED += [(lambda name, axis, weight: weight.sum(1 - axis), w) for w in ("data", "loss", "generator")]


@pytest.mark.parametrize(("criterion", "word"), UNUSED, ids=lambda v: v if isinstance(v, str) else "a function")
def test_criteria_refuse_what_they_do_not_look_at(criterion, word, graph):
    with pytest.raises(InputError, match=f"^{word}.*no use for it"):
        importance(graph, criterion, **{word: WORDS[word][0]})


@pytest.mark.parametrize(
    "call",
    [
        lambda graph: importance(graph, "l2", **WORD),
        lambda graph: plan(graph, {}, ratio=0.5, **WORD),
        lambda graph: shrink(graph.model, None, **WORD),
        lambda graph: ShrinkGraph.from_module(graph.model, torch.rand(2, 4), **WORD),
        lambda graph: quantize(graph.model, (torch.rand(2, 4),), [], **WORD),
        lambda graph: export(graph.model, torch.rand(2, 4), "network.onnx", **WORD),
        lambda graph: TargetProfile.from_measurements("t", 1e8, [], **WORD),
        lambda graph: apply(torch.rand(1, 3, 16, 16), "contrast", 1, **WORD),
        lambda graph: Suite("blur").evaluate(graph.model, DATA, **WORD),
        lambda graph: stream_scenes(3, **WORD),
        lambda graph: fit_drawn(graph.model, 1, **WORD),
    ],
    ids=[
        "importance",
        "plan",
        "shrink",
        "from_module",
        "quantize",
        "export",
        "from_measurements",
        "apply",
        "evaluate",
        "stream_scenes",
        "fit_drawn",
    ],
)
@pytest.mark.usefixtures("unchecked")
def test_calls(call, graph):
    with pytest.raises(TypeError, match="no_such_option"):
        call(graph)


def test_a_profile_from_measurements_takes_the_other_attributes():
    rows = [Layer("a", "linear", 1000, 10, 10, 100, 20)]
    found = TargetProfile.from_measurements("t", 1e8, [(rows, 1e-5)], power_w=2.0, element_bytes=4)
    assert (found.power_w, found.element_bytes) == (2.0, 4)
