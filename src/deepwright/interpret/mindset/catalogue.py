"""Every experiment, with its conditions, its measure, and what people do."""

from __future__ import annotations

from deepwright.core.errors import unknown_name
from deepwright.interpret.mindset.experiment import DECODING, SIMILARITY, Contrast, Experiment, Human
from deepwright.interpret.mindset.stimuli.arcs import jastrow
from deepwright.interpret.mindset.stimuli.dots import emergent
from deepwright.interpret.mindset.stimuli.figures import (
    WEBER_CELLS,
    crowding,
    embedded,
    same_different,
    thatcher_face,
    weber,
)
from deepwright.interpret.mindset.stimuli.gratings import tilt
from deepwright.interpret.mindset.stimuli.greys import (
    CHECKER_CELLS,
    LIGHTNESS_CELLS,
    checkerboard,
    grey_shapes,
    lightness,
)
from deepwright.interpret.mindset.stimuli.lengths import ebbinghaus, muller_lyer, ponzo
from deepwright.interpret.mindset.stimuli.lines import nap_mp_lines
from deepwright.interpret.mindset.stimuli.parts import amodal, decomposition

_ILLUSIONS, _MIDDLE, _OBJECTS = "illusions", "middle level", "objects"

EXPERIMENTS: tuple[Experiment, ...] = (
    Experiment(
        "muller_lyer_illusion",
        _ILLUSIONS,
        ("scrambled", "inward", "outward"),
        muller_lyer,
        DECODING,
        Human("a shaft looks longer between fins that point outward than between fins that point inward"),
        Contrast({"Type": "outward"}, {"Type": "inward"}),
        target="ShaftLength",
        train={"Type": "scrambled"},
    ),
    Experiment(
        "ponzo_illusion",
        _ILLUSIONS,
        ("scrambled_lines", "ponzo_same_length", "ponzo_diff_length"),
        ponzo,
        DECODING,
        Human("of two equal bars the one nearer to where the rails meet looks longer"),
        Contrast(
            {"Type": "ponzo_same_length", "UpperColour": "red"}, {"Type": "ponzo_same_length", "UpperColour": "blue"}
        ),
        target="LengthDifference",
        train={"Type": "scrambled_lines"},
    ),
    Experiment(
        "ebbinghaus_illusion",
        _ILLUSIONS,
        ("scrambled_circles", "big_flankers", "small_flankers"),
        ebbinghaus,
        DECODING,
        Human("a disc looks smaller among large discs than among small ones"),
        Contrast({"Type": "small_flankers"}, {"Type": "big_flankers"}),
        target="TargetSize",
        train={"Type": "scrambled_circles"},
    ),
    Experiment(
        "jastrow_illusion",
        _ILLUSIONS,
        ("random", "random_same_size", "illusory", "aligned"),
        jastrow,
        DECODING,
        Human("of two equal bent bars, one over the other, the lower one looks larger"),
        Contrast({"Type": "illusory", "Top": "blue"}, {"Type": "illusory", "Top": "red"}),
        target="SizeDifference",
        train={"Type": ("random", "random_same_size")},
    ),
    Experiment(
        "tilt_illusion",
        _ILLUSIONS,
        ("only_center", "only_context", "center_context"),
        tilt,
        DECODING,
        Human(
            "an upright grating looks turned away from a context that is turned by up to 50 degrees, most at 15 to 20, "
            "and weakly towards one turned by 75 to 80",
            {
                "repulsion at a context of (degrees)": (0.0, 50.0),
                "largest at (degrees)": (15.0, 20.0),
                "weak attraction near (degrees)": (75.0, 80.0),
            },
        ),
        Contrast({"Type": "center_context"}, sign="Repulsion"),
        target="CentreOrientation",
        task="circular",
        train={"Type": "only_center"},
    ),
    Experiment(
        "lightness_contrast_illusion",
        _ILLUSIONS,
        ("square",),
        lightness,
        DECODING,
        Human("a grey square looks lighter before a dark background than before a light one"),
        Contrast({"Type": "square", "Surround": "dark"}, {"Type": "square", "Surround": "light"}),
        target="TargetGrey",
        train={"Type": "shapes"},
        train_on="grayscale_shapes",
        cells=LIGHTNESS_CELLS,
    ),
    Experiment(
        "adelson_checkerboard_illusion",
        _ILLUSIONS,
        ("board",),
        checkerboard,
        DECODING,
        Human("a light cell in the shadow looks lighter than a dark cell in the light that sends as much"),
        Contrast({"Type": "board", "Cell": "shadowed light"}, {"Type": "board", "Cell": "lit dark"}),
        target="TargetGrey",
        train={"Type": "shapes"},
        train_on="grayscale_shapes",
        cells=CHECKER_CELLS,
    ),
    Experiment(
        "grayscale_shapes",
        _ILLUSIONS,
        ("shapes",),
        grey_shapes,
        DECODING,
        Human("none: what the read-out of the two before learns from"),
        target="TargetGrey",
        train={"Type": "shapes"},
    ),
    Experiment(
        "thatcher_illusion_face",
        _ILLUSIONS,
        ("normal_upright", "thatcherised_upright", "normal_inverted", "thatcherised_inverted"),
        thatcher_face,
        SIMILARITY,
        Human("eyes and mouth turned upside down are seen far better in an upright face than in one upside down"),
        Contrast(
            ({"Type": "normal_upright"}, {"Type": "thatcherised_upright"}),
            ({"Type": "normal_inverted"}, {"Type": "thatcherised_inverted"}),
        ),
    ),
    Experiment(
        "weber_law",
        _MIDDLE,
        ("line",),
        weber,
        DECODING,
        Human("the just noticeable difference of two lengths grows in proportion to the length"),
        target="LineLength",
        train={"Type": "line"},
        cells=WEBER_CELLS,
    ),
    Experiment(
        "un_crowding",
        _MIDDLE,
        ("outside", "inside"),
        crowding,
        DECODING,
        Human("one flanker hides the offset of two bars, and many alike flankers show it again"),
        target="Direction",
        task="classification",
        train={"Type": "outside"},
    ),
    Experiment(
        "emergent_features",
        _MIDDLE,
        ("single", "proximity", "orientation", "linearity"),
        emergent,
        SIMILARITY,
        Human("two dots' places are told apart more easily when the same further dots join both pictures"),
        Contrast(
            ({"Type": "orientation", "Side": "a"}, {"Type": "orientation", "Side": "b"}),
            ({"Type": "single", "Side": "a"}, {"Type": "single", "Side": "b"}),
        ),
    ),
    Experiment(
        "amodal_completion",
        _MIDDLE,
        ("occlusion", "no_occlusion", "notched"),
        amodal,
        SIMILARITY,
        Human("a shape that is partly hidden looks like the whole shape, not like one with that part cut away"),
        Contrast(({"Type": "no_occlusion"}, {"Type": "notched"}), ({"Type": "no_occlusion"}, {"Type": "occlusion"})),
    ),
    Experiment(
        "decomposition",
        _MIDDLE,
        ("no_split", "natural", "unnatural"),
        decomposition,
        SIMILARITY,
        Human("two touching parts look more alike when moved apart at their joint than when one of them is cut"),
        Contrast(({"Type": "no_split"}, {"Type": "unnatural"}), ({"Type": "no_split"}, {"Type": "natural"})),
    ),
    Experiment(
        "NAP_vs_MP_2D_lines",
        _MIDDLE,
        ("reference", "NAP", "MP"),
        nap_mp_lines,
        SIMILARITY,
        Human("a change that makes lines parallel, collinear or meeting is seen more than an equal metric change"),
        Contrast(({"Type": "reference"}, {"Type": "NAP"}), ({"Type": "reference"}, {"Type": "MP"})),
    ),
    Experiment(
        "embedded_figures",
        _OBJECTS,
        ("plain", "embedded"),
        embedded,
        DECODING,
        Human("a figure is found among the lines that extend its sides, with more effort"),
        target="Figure",
        task="classification",
        train={"Type": "plain"},
    ),
    Experiment(
        "same_different_task",
        _OBJECTS,
        ("same", "different"),
        same_different,
        DECODING,
        Human("who tells same from different in one style of drawing tells it in every other"),
        target="Label",
        task="classification",
        train={"Type": ("same", "different")},
    ),
)


def list_experiments(family: str | None = None) -> list[Experiment]:
    """Every experiment, or those of a family.

    Args:
        family: "illusions", "middle level" or "objects"; None for all.

    Raises:
        InputError: another family.
    """
    families = list(dict.fromkeys(e.family for e in EXPERIMENTS))
    if family is not None and family not in families:
        raise unknown_name("family of experiments", family, families)
    return [e for e in EXPERIMENTS if family in (None, e.family)]


def experiment_named(name: str) -> Experiment:
    """An experiment by name.

    Args:
        name: of the experiment.

    Raises:
        InputError: a name that isn't there; near ones are told.
    """
    for experiment in EXPERIMENTS:
        if experiment.name == name:
            return experiment
    raise unknown_name("experiment", name, [e.name for e in EXPERIMENTS])
