"""Networks of tables as source text for devices: C99 for microcontrollers, Verilog for FPGAs, each held against the network.

Begin with `BinaryWNN.export_c` and `BinaryWNN.export_verilog`.
"""

from deepwright.weightless.export.c import write_c
from deepwright.weightless.export.learning import write_learning
from deepwright.weightless.export.plain import ExportMismatch, Plain

__all__ = ["ExportMismatch", "Plain", "write_c", "write_learning"]
