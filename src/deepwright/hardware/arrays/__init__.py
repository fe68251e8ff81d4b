"""Systolic arrays for products of matrices: cycles, energy, bytes and area, of slabs that fuse and of their rivals.

Begin with `compare(gemms_from_module(network, x))`: what your network costs on a 128 x 128 array, on slabs, on pods.

Example:
    >>> from deepwright.hardware import SISA, TPU_V4, GEMM, simulate
    >>> chat = [GEMM(16, 896, 4864)]  # 16 tokens through a layer of Qwen2
    >>> simulate(chat, TPU_V4).cycles, simulate(chat, SISA).cycles
    (43700, 5190)
"""

from deepwright.hardware.arrays.advice import Step, filling, narrower
from deepwright.hardware.arrays.array import SISA, TPU_V4, AreaModel, ReshapingArray, SystolicArray
from deepwright.hardware.arrays.baselines import ARRAYS, PODS_16X16, PODS_16X128, redas_like
from deepwright.hardware.arrays.batches import at_batch
from deepwright.hardware.arrays.comparing import Comparison, Sweep, compare, sweep
from deepwright.hardware.arrays.conditions import HBM, POLICIES, Conditions
from deepwright.hardware.arrays.energy import EnergyModel
from deepwright.hardware.arrays.exploring import Exploration, explore
from deepwright.hardware.arrays.extract import gemms_from_module
from deepwright.hardware.arrays.functional import functional_gemm
from deepwright.hardware.arrays.gemm import GEMM, Workload
from deepwright.hardware.arrays.models import MODELS, TOKENS, LanguageModel, llm_gemms
from deepwright.hardware.arrays.report import Report, Row
from deepwright.hardware.arrays.requests import Serving, serving
from deepwright.hardware.arrays.simulating import simulate
from deepwright.hardware.arrays.topology import read_topology, write_topology

__all__ = [
    "ARRAYS",
    "GEMM",
    "HBM",
    "MODELS",
    "PODS_16X16",
    "PODS_16X128",
    "POLICIES",
    "SISA",
    "TOKENS",
    "TPU_V4",
    "AreaModel",
    "Comparison",
    "Conditions",
    "EnergyModel",
    "Exploration",
    "LanguageModel",
    "Report",
    "ReshapingArray",
    "Row",
    "Serving",
    "Step",
    "Sweep",
    "SystolicArray",
    "Workload",
    "at_batch",
    "compare",
    "explore",
    "filling",
    "functional_gemm",
    "gemms_from_module",
    "llm_gemms",
    "narrower",
    "read_topology",
    "redas_like",
    "serving",
    "simulate",
    "sweep",
    "write_topology",
]
