"""Names for expressions become those expressions, just before loops are made."""

from __future__ import annotations

from workbench.compile.rewrite import node_rule, tagged
from workbench.core.graph import Constant, Variable
from workbench.core.op import Composite, Elementwise, Reduction
from workbench.core.ops.gathering import Put
from workbench.core.ops.linalg import Dot, Gemm
from workbench.core.ops.slicing import PutSlice
from workbench.core.ops.ufunc import HALF_CASTS, Cast, cast
from workbench.core.ops.windows import Windowed


@node_rule(Composite)
def expand_composite(node):
    """Softmax is a name while the graph is read; its parts fuse with what is around."""
    return node.op.expansion(node)


@node_rule(Elementwise, Reduction, Dot, Gemm, PutSlice, Put, Windowed)
def half_in_single(node):
    """Halves are what memory holds; C computes in single precision and rounds back."""
    dtypes = [v.dtype for v in (*node.inputs, *node.outputs)]
    if "float16" not in dtypes:
        return None
    if isinstance(node.op, Cast):
        return _half_cast(node)
    single = node.op.make_node(*map(_in_single, node.inputs))
    pairs = zip(single.outputs, node.outputs, strict=True)
    return [cast(made, old.dtype) for made, old in pairs]


def _in_single(x: Variable) -> Variable:
    if x.dtype != "float16":
        return x
    return (
        Constant(x.data.astype("float32"))
        if isinstance(x, Constant)
        else cast(x, "float32")
    )


def _half_cast(node):
    """To and from half by way of single precision, where there is no direct way."""
    (x,) = node.inputs
    if (x.dtype, node.op.dtype) in HALF_CASTS or x.dtype == node.op.dtype:
        return None
    return Cast(node.op.dtype)(Cast("float32")(x))


RULES = tagged("lowering", expand_composite, half_in_single)
