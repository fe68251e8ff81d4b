"""What a feature costs in bits, and from how many samples on it pays: simplicity bias as compression.

A feature is learnt when its description cost plus N times the loss that it leaves is the smallest. `loss_curve`
measures both: the area above the last loss is the cost, the last loss on the original data the slope. Begin with
`SwitchStudy` on views in which one feature alone tells the label, or with `table_vs_shortcut`, where every length is
known.

Source: "A Compression Perspective on Simplicity Bias", arXiv 2603.25839.
"""

from deepwright.interpret.prequential.baselines import (
    by_accuracy,
    by_coin,
    by_crossing,
    by_separability,
    by_training_speed,
)
from deepwright.interpret.prequential.closed_forms import (
    TableVsShortcut,
    prequential_switch,
    shortcut_bits,
    table_bits,
    table_vs_shortcut,
    two_part_switch,
)
from deepwright.interpret.prequential.coding import CodeLength, doubling_blocks, online_code_length
from deepwright.interpret.prequential.curves import LossCurve, ModelCost, NegativeAreaWarning, log_sizes
from deepwright.interpret.prequential.forecasts import (
    Feature,
    ObservedSwitch,
    SwitchForecast,
    forecast_switch,
    observed_switch,
)
from deepwright.interpret.prequential.joint import BayesPredictor, tabulated
from deepwright.interpret.prequential.learners import (
    KTEstimator,
    Learner,
    SklearnLearner,
    TableLearner,
    TorchLearner,
    UniformLearner,
)
from deepwright.interpret.prequential.lines import (
    CompressionLine,
    Crossing,
    Envelope,
    intermediate_lines,
    memorising,
)
from deepwright.interpret.prequential.measuring import loss_curve
from deepwright.interpret.prequential.reliance import Reliance, ReliancePlan, permutation_reliance, reliance_plan
from deepwright.interpret.prequential.stacking import FitConfig
from deepwright.interpret.prequential.stacks import Stack, train_stack
from deepwright.interpret.prequential.switches import SwitchReport, SwitchStudy
from deepwright.interpret.prequential.views import (
    ColumnAttributes,
    Exchangeable,
    View,
    isolated_columns,
    shuffle_columns,
)

__all__ = [
    "BayesPredictor",
    "CodeLength",
    "ColumnAttributes",
    "CompressionLine",
    "Crossing",
    "Envelope",
    "Exchangeable",
    "Feature",
    "FitConfig",
    "KTEstimator",
    "Learner",
    "LossCurve",
    "ModelCost",
    "NegativeAreaWarning",
    "ObservedSwitch",
    "Reliance",
    "ReliancePlan",
    "SklearnLearner",
    "Stack",
    "SwitchForecast",
    "SwitchReport",
    "SwitchStudy",
    "TableLearner",
    "TableVsShortcut",
    "TorchLearner",
    "UniformLearner",
    "View",
    "by_accuracy",
    "by_coin",
    "by_crossing",
    "by_separability",
    "by_training_speed",
    "doubling_blocks",
    "forecast_switch",
    "intermediate_lines",
    "isolated_columns",
    "log_sizes",
    "loss_curve",
    "memorising",
    "observed_switch",
    "online_code_length",
    "permutation_reliance",
    "prequential_switch",
    "reliance_plan",
    "shortcut_bits",
    "shuffle_columns",
    "table_bits",
    "table_vs_shortcut",
    "tabulated",
    "train_stack",
    "two_part_switch",
]
