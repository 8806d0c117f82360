"""Values written where they are used: which are, and that the numbers stay what they were."""

import subprocess

import numpy as np
import pytest

import workbench as wb
import workbench.tensor as T
from tests.fuzz import random_graph, together
from tests.op_cases import CASES
from workbench.compile.c import folding
from workbench.compile.c.folding import fold, is_closed, without_parentheses
from workbench.compile.c.headers import HEADERS, includes
from workbench.compile.c.toolchain import find_compiler
from workbench.compile.loops import Block, Check, Index, Let, Load, Loop, Store
from workbench.compile.scalars import C_TYPES, scalar_text
from workbench.core.graph import toposort
from workbench.core.op import Elementwise

needs_compiler = pytest.mark.skipif(find_compiler() is None, reason="no C compiler")
x, y = T.dvector("x"), T.dvector("y")
NAMES = {x: "x0", y: "x1"}
I0 = Index("i0", frozenset({"i0"}))
NEGATED = T.exp(x).owner


def load(target, buffer=x):
    return Load(target, "float64", buffer, I0)


def let(target, text):
    return Let(target, "float64", text, NEGATED)


def store(text, buffer=y):
    return Store(buffer, I0, text)


def texts(statements):
    return [s.text if hasattr(s, "text") else s for s in statements]


def folded(*statements):
    return texts(fold(statements, NAMES.__getitem__))


# What is folded


def test_a_chain_becomes_one_expression():
    chain = [load("v1"), let("v2", "(v1 + 1.0)"), let("v3", "exp(v2)")]

    assert folded(*chain, store("v3")) == ["exp(x0[i0] + 1.0)"]


def test_the_nodes_of_what_is_folded_are_kept():
    (stored,) = fold([let("v1", "exp(2.0)"), store("v1")], NAMES.__getitem__)

    assert stored.inner == (NEGATED,)


def test_a_value_with_two_uses_keeps_its_name():
    value = let("v1", "exp(2.0)")

    assert folded(value, store("(v1 * v1)")) == ["exp(2.0)", "(v1 * v1)"]


def test_a_value_that_nothing_uses_is_left_out():
    assert folded(load("v1"), let("v2", "exp(v1)"), store("0.0")) == ["0.0"]


def test_a_long_expression_is_not_made_longer():
    long = "(" + " + ".join(["1.0"] * 12) + ")"

    assert folded(let("v1", long), store(f"(v1 * {long})")) == [long, f"(v1 * {long})"]


def test_operands_stay_operands():
    pair = [let("v1", "1.0 + 2.0"), store("(v1 * 3.0)")]

    assert folded(*pair) == ["((1.0 + 2.0) * 3.0)"]


# What is not


def test_nothing_is_read_after_it_is_overwritten():
    made = fold([load("v1"), store("0.0", x), store("v1")], NAMES.__getitem__)

    assert isinstance(made[0], Load) and texts(made)[1:] == ["0.0", "v1"]


def test_nothing_moves_into_a_loop():
    loop = Loop("i1", Index("n0"), Block([store("v1")]))

    assert folded(let("v1", "exp(2.0)"), loop) == ["exp(2.0)", loop]


def test_nothing_moves_past_a_check():
    check = Check("n0 < 1", "WB_VALUE", None, 0, "n0", "1")

    made = folded(let("v1", "exp(2.0)"), check, store("v1"))

    assert made == ["exp(2.0)", check, "v1"]


def test_nothing_is_computed_on_a_condition():
    choice = store("(v1 > v2 ? v1 : v3)")

    assert len(folded(load("v1"), load("v2"), load("v3", y), choice)) == 4


@wb.elementwise(c="0.5 * {x}", grad=lambda v: [0.5])
def halved(v):
    return v / 2


def test_a_users_text_may_have_another_type_and_keeps_its_names():
    theirs = Let("v2", "float64", "0.5 * v1", halved(x).owner)

    made = folded(let("v1", "exp(2.0)"), theirs, store("(v2 + 1.0)"))

    assert made == ["exp(2.0)", "0.5 * v1", "(v2 + 1.0)"]


def test_integers_keep_their_names():
    short = Let("v1", "int8", "(v0 + v0)", (T.bvector("b") + 1).owner)

    assert folded(short, store("(v1 / 2.0)")) == ["(v0 + v0)", "(v1 / 2.0)"]


# Texts


@pytest.mark.parametrize(
    "text",
    [
        "v1",
        "1.5f",
        "(a + b)",
        "exp(a)",
        "m0[i0 * n1 + 2]",
        "(float)n1",
        "(double)m0[3]",
    ],
)
def test_one_operand(text):
    assert is_closed(text)


@pytest.mark.parametrize(
    "text", ["a + b", "(a) + (b)", "-a", "a ? b : c", "(float)a + 2", "f(a)[2] * 1"]
)
def test_not_one_operand(text):
    assert not is_closed(text)


def test_only_parentheses_around_everything_are_dropped():
    assert without_parentheses("(a + b)") == "a + b"
    assert without_parentheses("(a) + (b)") == "(a) + (b)"


# Numbers


@needs_compiler
@pytest.mark.parametrize("dtype", ["float32", "float64", "complex64", "complex128"])
def test_our_operations_on_floats_have_the_type_of_their_result(dtype, tmp_path):
    """So no value is rounded by being given a name."""
    nodes = {}
    for case in CASES:
        if dtype in case.dtypes:
            arrays = case.inputs(np.random.default_rng(0), dtype, case.shapes[0])
            variables = case.variables(arrays)
            for node in toposort([case.build(*variables)]):
                types = tuple(v.dtype for v in (*node.inputs, *node.outputs))
                nodes[node.op, types] = node
    lines = []
    for node in nodes.values():
        if isinstance(node.op, Elementwise) and node.outputs[0].dtype == dtype:
            operands = [f"v{k}" for k in range(len(node.inputs))]
            text = scalar_text(node, operands)
            if text:
                given = zip(node.inputs, operands, strict=True)
                parameters = ", ".join(f"{C_TYPES[v.dtype]} {n}" for v, n in given)
                same = f"__builtin_types_compatible_p(__typeof__({text}), {C_TYPES[dtype]})"
                lines.append(
                    f"void f{len(lines)}({parameters}) {{ "
                    f'_Static_assert({same}, "{node.op.name}"); }}'
                )
    program = tmp_path / "types.c"
    text = "\n".join(lines)
    program.write_text("\n".join(["#define WB_WORTH 1", *includes(text), text]))

    compiler = find_compiler().path
    command = [compiler, "-fsyntax-only", f"-I{HEADERS}", str(program)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)

    assert len(lines) > (27 if dtype.startswith("complex") else 47)
    assert done.returncode == 0, done.stderr


@needs_compiler
@pytest.mark.parametrize("first", [90_000, 90_040])
def test_no_bit_depends_on_what_is_folded(first, monkeypatch):
    graph = together([random_graph(seed) for seed in range(first, first + 40)])
    results = []
    for width in (folding.WIDTH, 0):
        monkeypatch.setattr(folding, "WIDTH", width)
        f = wb.function(graph.inputs, graph.outputs, on_unused_input="ignore")
        assert f.compilation.backend == "c"
        results.append((f.source, f(*graph.values)))

    (short, folded_values), (long, values) = results
    assert short.count("\n") < long.count("\n")
    for a, b in zip(folded_values, values, strict=True):
        assert np.asarray(a).tobytes() == np.asarray(b).tobytes()
