"""A symbolic compiler for array mathematics that lives in a notebook.

Expressions are written with NumPy's vocabulary (:mod:`workbench.tensor`), differentiated,
rewritten into a stable and fast form, compiled as one C program and called like a function.
Every stage can be looked at, from a line of the cell to the code it became.

>>> import numpy as np
>>> import workbench as wb
>>> import workbench.tensor as T
>>> x = T.vector("x")
>>> f = wb.function([x], wb.grad((x ** 3).sum(), x))
>>> f(np.array([1.0, 2.0]))
array([ 3., 12.])
"""

from importlib import import_module as _import_module
from typing import Any

from workbench import datasets, debug, tensor
from workbench.compile.arguments import In, Out
from workbench.compile.callable import Function
from workbench.compile.function import function
from workbench.compile.modes import (
    Mode,
    get_default_mode,
    get_mode,
    predefined_modes,
    register_mode,
)
from workbench.compile.refusals import refused
from workbench.compile.rewrite import identity, node_rule
from workbench.compile.rewriting import rewrite_graph
from workbench.compile.rules import add_rule, remove_rule
from workbench.config import config
from workbench.core.batching import vectorize, vectorize_graph
from workbench.core.checkpoint_memory import checkpoint_memory
from workbench.core.checkpoints import scan_checkpoints
from workbench.core.derivatives import (
    Lop,
    Rop,
    hessian,
    hessian_vector_product,
    jacobian,
    jvp,
    vjp,
)
from workbench.core.errors import (
    ArgumentError,
    AxisError,
    CompileError,
    CompilerWarning,
    ConditionError,
    DisconnectedInputError,
    DTypeError,
    GradientError,
    MissingInputError,
    NanError,
    OutOfMemoryError,
    OutOfRangeError,
    ShapeError,
    UnusedInputError,
    UpdateTypeError,
    VerificationError,
    WorkbenchError,
    ZeroStepError,
)
from workbench.core.extending import as_op, elementwise
from workbench.core.gradient import grad, subgraph_grad
from workbench.core.graph import (
    Constant,
    Shared,
    Variable,
    ancestors,
    graph_inputs,
    shared,
    toposort,
)
from workbench.core.loop_forms import foldl, foldr, map, reduce, while_loop
from workbench.core.loop_steps import until
from workbench.core.op import Elementwise, Op, Opaque
from workbench.core.ops.blocks import OpFromGraph
from workbench.core.ops.control import ifelse
from workbench.core.printing import pp
from workbench.core.replacing import (
    clone,
    clone_replace,
    equal_computations,
    graph_replace,
    is_same_graph,
)
from workbench.core.saving import UntrustedFileError, dump, load
from workbench.core.scanning import scan
from workbench.core.types import TensorType
from workbench.core.updates import OrderedUpdates
from workbench.core.walks import (
    applys_between,
    explicit_graph_inputs,
    io_toposort,
    orphans_between,
    truncated_graph_inputs,
    vars_between,
)
from workbench.debug.check_op import check_op
from workbench.debug.check_rule import check_rule
from workbench.debug.doctor import doctor
from workbench.debug.gradients import verify_grad
from workbench.debug.memory import memory
from workbench.tensor import gradient
from workbench.viz.dot import pydotprint
from workbench.viz.show import show
from workbench.viz.text import debugprint

__version__ = "0.1.0"


def load_ipython_extension(shell: Any) -> None:
    """Register the magics: what ``%load_ext workbench`` calls."""
    _import_module("workbench.magics.extension").load_ipython_extension(shell)


def unload_ipython_extension(shell: Any) -> None:
    """Take the magics away again."""
    _import_module("workbench.magics.extension").unload_ipython_extension(shell)
