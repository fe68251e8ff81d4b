"""`torch.export` programs of anybody: read only where nothing in the file can run.

torch rebuilds a program by evaluating expressions, looking up names, generating Python from names, importing classes
and unpickling. So nothing of a file reaches torch as it is: every field is checked by a list of what may stand there,
and an archive that holds only what was checked is made of it, which torch then reads.
"""

from deepwright.nets.programs.archive import read_program
from deepwright.nets.programs.refusal import RefusedProgram

__all__ = ["RefusedProgram", "read_program"]
