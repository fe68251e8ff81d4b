"""One row a system: what README's table, the docs' navigation and `deepwright list systems` are made from.

`docs/generate.py` writes the first two, and a test walks every row: its room's face, its study, its page, its results.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class System:
    """A published system (or a part of the house that several of them stand on).

    Attributes:
        slug: the name of its spec, study, result, page and tests.
        title: what it is, in a few words.
        paper: arXiv number, empty where the system is the house's own.
        room: the package that holds it, below `deepwright`.
        folder: the sub-package, or the module, of that room; empty while the system is to come.
        names: public names of the room's face, the main one first.
        study: the module below `deepwright.studies`, empty where there is none.
        missing: what the spec has and the code has not; empty where the system is whole.
    """

    slug: str
    title: str
    paper: str
    room: str
    folder: str = ""
    names: tuple[str, ...] = ()
    study: str = ""
    missing: str = ""

    @property
    def here(self) -> bool:
        """Whether there is code for it."""
        return bool(self.folder)

    @property
    def state(self) -> str:
        """`here`, `in part`, or `to come`."""
        if not self.here:
            return "to come"
        return "in part" if self.missing else "here"

    @property
    def module(self) -> str:
        """The dotted name of its face."""
        return f"deepwright.{self.room}.{self.folder}" if self.folder else f"deepwright.{self.room}"


SYSTEMS: tuple[System, ...] = (
    System(
        "fragility-index",
        "Fragility Index: tail risk of confident mistakes, as metric, loss, exact linear training, report",
        "2502.13024",
        "risk",
        "fragility",
        ("fragility_index", "FragilityLoss", "FragilityIndex", "FragileLinearClassifier", "fragility_report"),
        "fragility",
    ),
    System(
        "ordinal-segmentation",
        "Segmentation of classes inside one another: losses, heads, measures and repairs that know their order",
        "2603.26736",
        "risk",
        "ordinal",
        (
            *("ClassOrder", "OrdinalSegmentationLoss", "ContactNeighborLoss", "ContactDistanceLoss"),
            *("OrderedNeighborLoss", "QuasiUnimodalLoss", "InvalidContactRate", "decode", "repair_labels"),
        ),
        "ordinal",
        missing="the papers' pictures, which are nobody's to give on",
    ),
    System(
        "adversarial-detection",
        "Attack engine for classes, label maps and objects; detection of attacked inputs by semantic features",
        "2603.28594",
        "adversarial",
        "semantic",
        (
            *("PGD", "APGD", "FABT", "Square", "DeepFool", "CarliniWagner", "MIFGSM", "HopSkipJump", "Boundary"),
            *("SegPGD", "CosPGD", "DAG", "ClassRemoval", "Vanish", "Spatial", "UniversalPerturbation"),
            *("suite", "robust_accuracy", "DenseFeatureDetector", "FeatureSqueezing", "AdaptivePGD", "SequentialAlarm"),
            *("Monitored", "measure_detection"),
        ),
        study="semantic",
    ),
    System(
        "sharpening",
        "Robust before the attack: sharpened images, their rivals and controls; certified radii",
        "2603.25244",
        "adversarial",
        "sharpening",
        ("LaplacianSharpen", "Unsharp", "ContrastStretch", "BiLevel", "FastPreemption", "Smoothed"),
        "sharpening",
    ),
    System(
        "saap",
        "Patches: attenuation that hides objects from detectors at a set energy, and what is pasted over pictures",
        "2604.00887",
        "adversarial",
        "patches",
        ("SAAP", "smallest_shares", "AdversarialPatch", "AdvPatch", "DPatch", "RobustDPatch"),
        "saap",
    ),
    System(
        "perturbation-drive",
        "Image perturbations, films of weather, failure thresholds; driving campaigns",
        "2603.23661",
        "corruptions",
        "static",
        (
            "apply",
            "Suite",
            "Compose",
            "names",
            "overlay",
            "film",
            "FaultyCamera",
            "Guided",
            "CycleGAN",
            "failure_threshold",
            "Road",
            "RoadSim",
            "Scenario",
        ),
        study="driving",
    ),
    System(
        "bbas",
        "Bounding-box anomaly scoring, beside sixteen other detectors",
        "2603.22660",
        "ood",
        "bbas",
        ("BBAS", "OutsideTheBox", "DetectorSuite"),
        "bbas",
    ),
    System(
        "dgp",
        "Foreign graphs on a frozen graph encoder: prompts that weigh edges, their rivals, pre-training without labels",
        "2603.29644",
        "ood",
        "dgp",
        (
            *("DGP", "SSD", "AAGOD", "GOODD", "WeightedGIN", "EdgePrompt", "adapt_encoder"),
            *(
                "pretrain_graphcl",
                "pretrain_simgrace",
                "GraphSuite",
                "FiveStatistics",
                "WeisfeilerLehman",
                "draw_edges",
            ),
        ),
        "dgp",
        missing="GraphDE; runs on several devices",
    ),
    System(
        "roast",
        "Whom to train a detector of attacked windows on, in front of a forecaster of many entities",
        "2603.26093",
        "ood",
        "roast",
        (
            *("Roast", "SeverityMatrix", "EntitySelector", "OutlierExposure", "MADGANDetector"),
            *("WatchedForecaster", "EvasiveSteps", "ExposureLoss", "class_risk"),
        ),
        "roast",
        missing="a study of attackers who know the detector, of the loss of exposure and of classifiers",
    ),
    System(
        "hsfm",
        "Hard-set-guided meta-learning of last layers, beside their simpler rivals; groups and their worst",
        "2603.29313",
        "shift",
        "hsfm",
        (
            *("HSFM", "hypergradient", "edit_report", "DFR", "AFR", "JTT", "GroupDRO", "CVaRDRO", "LastLayerRetrain"),
            *("GroupDROLoss", "JTTSampler", "compare_heads", "replace_head", "extract_features", "group_metrics"),
            *("make_groups", "discover_groups", "fit_together"),
        ),
        "hsfm",
        missing="the paper's photographs and CLIP embeddings, which need downloads",
    ),
    System(
        "model-surgery",
        "Model surgery: coupled units, cut and proved equal to the masked original; ONNX, int8, cost",
        "",
        "compress",
        "surgery",
        ("ShrinkGraph", "importance", "plan", "shrink", "verify", "export", "cost"),
        "surgery",
    ),
    System(
        "evolutionary-pruning",
        "Two-phase evolutionary pruning: fronts of verified smaller networks",
        "2604.01076",
        "compress",
        "search",
        ("EvolutionaryPruner", "ParetoResult"),
        "search",
    ),
    System(
        "early-exit",
        "BlankSkip and certified early exits",
        "2603.28149",
        "compress",
        "exits",
        ("AdaptiveModel", "attach_exits", "calibrate_exits", "BlankSkipLoss"),
        "exits",
    ),
    System(
        "prunefuse",
        "PruneFuse: label with a pruned selector, then fuse it",
        "2603.26138",
        "labels",
        "prunefuse",
        ("PrunedSelector", "fuse", "DistillLoss", "LabelingLoop"),
        "prunefuse",
    ),
    System("sam-pseudo-labels", "Labels for video from a promptable segmenter", "2604.11170", "labels"),
    System("lidar-drivable-area", "Drivable areas and curbs from LiDAR maps", "2409.20171", "labels"),
    System(
        "deepin",
        "Minimal sufficient representations: which variables and directions a network needs, with tests",
        "2603.24041",
        "interpret",
        "deepin",
        (
            *("DeepInRegressor", "DeepInClassifier", "DeepInCox", "DeepInPenalty", "RepresentationLayer"),
            *("test_variables", "test_dimension", "test_representation", "prune_mlp", "group_prox_"),
            *("rotate_representation", "subspace_distance", "deepin_report"),
        ),
        "deepin",
        missing="rho by estimated type-I error, stability paths, the paper's benchmarks",
    ),
    System(
        "simplicity-bias",
        "What a feature costs in bits, and from how many samples on a network uses it: prequential code lengths",
        "2603.25839",
        "interpret",
        "prequential",
        (
            *("SwitchStudy", "loss_curve", "LossCurve", "CompressionLine", "Envelope", "forecast_switch"),
            *("online_code_length", "permutation_reliance", "train_stack", "table_vs_shortcut", "KTEstimator"),
        ),
        "prequential",
        missing="readers of EMNIST, a convolutional network, forecasts from few samples",
    ),
    System(
        "tunnel-effect",
        "What narrow residual networks cannot represent",
        "2603.28591",
        "interpret",
        "tunnel",
        (
            *("audit_embedding", "embedding_certificate", "find_critical_points", "winding_number", "tunnel_path"),
            *("approximation_floor", "find_residual_blocks", "channel_ratios", "lipschitz", "EmbeddingBudget"),
        ),
        "",
        missing="an estimate of the smallest eigenvalue of blocks wider than 512, a digit inside digits in the study",
    ),
    System(
        "mindset-vision",
        "Controlled psychophysics on a vision network: drawn stimuli, probes, verdicts beside people",
        "2404.05290",
        "interpret",
        "mindset",
        ("audit_perception", "make_stimuli", "StimulusSet", "StimulusDecoder", "judge_similarity", "classify_stimuli"),
        study="mindset",
        missing="line drawings and silhouettes with their variants, geons, blocks and relations, Thatcher words, "
        "affine and viewpoint sets; loaders of drawings; residual decoders; TOML files; psychometric curves",
    ),
    System(
        "padic-dnn",
        "Networks whose neurons sit on a tree, and encoders of codes with a hierarchy",
        "2402.00094",
        "nets",
        "padic",
        (
            "Tree",
            "TreeIndex",
            "RadialOperator",
            "HierarchicalOperator",
            "TreeConvolution",
            "PAdicNetwork",
            "TreeEncoder",
            "TreeGaussianProcess",
            "TreeGPRegressor",
            "TreeTargetEncoder",
        ),
        study="padic",
    ),
    System("learned-priors", "Kronecker Laplace with learned priors and PAC-Bayes scaling", "2307.07753", "bayes"),
    System("vgnn", "Variational graph networks for inverse problems on meshes", "2603.29515", "bayes"),
    System(
        "tsetlin-wisard",
        "Weightless networks trained by Tsetlin automata, beside WiSARD and bleaching",
        "2603.24186",
        "weightless",
        "tsetlin",
        (
            "TsetlinWiSARD",
            "TorchTsetlinWiSARD",
            "WiSARD",
            "BleachingWiSARD",
            "BTHOWeN",
            "DWNClassifier",
            "ULEENClassifier",
            "WNNHead",
            "BinaryWNN",
            "Booleanizer",
            "bit_flips",
            "flip_bits",
            "compression",
        ),
        study="weightless",
        missing="recipes of the paper's data sets; streams that drift; files of counts",
    ),
    System(
        "sisa",
        "Cycles, energy and area of scale-in systolic arrays, their rivals, and your own network on them",
        "2603.29913",
        "hardware",
        "arrays",
        ("simulate", "GEMM", "SystolicArray", "SISA", "gemms_from_module", "llm_gemms", "compare", "sweep", "explore"),
        "arrays",
    ),
    System(
        "deepxube",
        "Pathfinding: domains as arrays, learned heuristics, pattern databases, searches with lower bounds",
        "2603.23873",
        "pathfinding",
        "search",
        (
            *("bwas", "bwqs", "beam", "bidirectional", "idastar", "solve", "solve_many", "Trainer", "LearnedHeuristic"),
            *("audit_heuristic", "validate_path", "Domain", "check_domain", "RubiksCube", "NPuzzle", "LightsOut"),
            *("Sokoban", "TableHeuristic", "PatternDatabase", "AdditivePatterns", "LinearConflict", "GoalProgram"),
            *("pursue", "Strips"),
        ),
        study="paths",
        missing="searches over processes; PDDL beyond STRIPS; a second domain in the study",
    ),
    System("smart-contract", "Vulnerable contracts: granular balls under label noise", "2603.27734", "contracts"),
    System(
        "sciml-core",
        "Physics engine: jets, least squares, PDE problems, PDE data, certificates",
        "",
        "physics",
        "solve",
        ("PDEProblem", "LeastSquaresProblem", "fit_problem", "certify", "jet"),
        "solve",
    ),
    System(
        "spline-grid-pinn",
        "Coordinate encoding on linear grids",
        "2603.22700",
        "physics",
        "linear_grids",
        ("CELG", "LinearGridEncoding"),
        "linear_grids",
    ),
    System(
        "two-phase-pinn",
        "Two-phase flow with moving interfaces",
        "2604.00948",
        "physics",
        "two_phase",
        ("TwoPhasePINN", "TwoPhaseProblem", "Slabs"),
        "two_phase",
    ),
    System(
        "kinetic-jko",
        "Kinetic JKO for Vlasov-Fokker-Planck equations",
        "2603.23901",
        "physics",
        "kinetic",
        ("KineticJKO", "KineticFokkerPlanck", "PhaseSpaceParticles"),
        "kinetic",
    ),
    System(
        "unifluids",
        "UniFluids: one flow-matching operator in one to three dimensions",
        "2603.22309",
        "physics",
        "unifluids",
        ("UniFluids", "FNO", "UNet"),
        "unifluids",
        missing="the sizes that need a GPU",
    ),
    System(
        "pretrained-models",
        "Trained networks that install from the package index, and two that ship in the wheel",
        "",
        "nets",
        "zoo",
        ("load", "entry", "pretrained_lite"),
        missing="networks beyond image classification",
    ),
)


def find(slug: str) -> System:
    """The row of a system.

    Args:
        slug: its name, as in `deepwright list systems`.

    Raises:
        InputError: no such system; the closest names are listed.
    """
    from deepwright.core.errors import unknown_name

    for system in SYSTEMS:
        if system.slug == slug:
            return system
    raise unknown_name("system", slug, [s.slug for s in SYSTEMS])
