"""Networks of tables as source text for devices, held against the network: C99 for microcontrollers, Verilog for FPGAs.

Begin with `BinaryWNN.export_c` and `BinaryWNN.export_verilog`.
"""

from deepwright.weightless.export.c import write_c
from deepwright.weightless.export.learning import write_learning
from deepwright.weightless.export.plain import ExportMismatch, Plain
from deepwright.weightless.export.verilog import write_verilog

__all__ = ["ExportMismatch", "Plain", "write_c", "write_learning", "write_verilog"]
