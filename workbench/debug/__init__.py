"""Finding out what went wrong, and where.

`verify` is mode DEBUG: the compiled program is run kernel by kernel, and every value it
stores is compared with what NumPy makes of the same operations.
"""

from workbench.debug.verify import CheckedProgram

__all__ = ["CheckedProgram"]
