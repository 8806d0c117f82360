"""The C people read: golden texts, lines and their nodes, and that names stay out of the code."""

import re

import numpy as np

import workbench as wb
import workbench.tensor as T
from workbench.compile.c.statements import Line, shown

x, y = T.fmatrix("x"), T.lvector("y")
W, b = (
    wb.shared(np.zeros((784, 10), "float32"), "W"),
    wb.shared(np.zeros(10, "float32"), "b"),
)
p = T.nnet.softmax(T.dot(x, W) + b)
loss = -T.log(p)[T.arange(y.shape[0]), y].mean()
gW, gb = wb.grad(loss, [W, b])
updates = [(W, W - 0.13 * gW), (b, b - 0.13 * gb)]


def test_source_of_logistic_regression(golden):
    train = wb.function([x, y], loss, updates=updates)

    masked = re.sub(r"headers [0-9a-f]+", "headers …", train.source)
    golden(
        "logistic_regression.c", re.sub(r"test_emit\.py:\d+", "test_emit.py:…", masked)
    )


def test_every_line_that_computes_knows_the_users_line():
    train = wb.function([x, y], loss, updates=updates)

    computing = [
        line
        for line in train.program.text.lines
        if re.search(r"\bexpf|logf|wb_matmul", line.code)
    ]

    assert len(computing) == 4
    assert all("test_emit.py:" in line.place for line in computing)


def test_the_users_line_is_shown_where_it_changes():
    lines = [
        Line("static int k0(wb_call *c) {"),
        Line("  v1 = x;", "one", (), "cell 1"),
        Line("  v2 = x;", "two", (), "cell 1"),
        Line("  v3 = x;"),
        Line("  v4 = x;", "four", (), "cell 2"),
        Line("  v5 = x;", "five", (), "cell 1"),
        Line("}"),
        Line("  v6 = x;", "six", (), "cell 1"),
    ]

    notes = [line.partition("  // ")[2] for line in shown(lines).splitlines()]

    assert notes == [
        *("", "one | cell 1", "two", "", "four | cell 2", "five | cell 1", ""),
        "six | cell 1",  # a function is read on its own
    ]


def test_every_optimised_operation_has_a_line_or_is_inline():
    train = wb.function([x, y], loss, updates=updates)
    lines = train.compilation.source.node_lines
    text = train.source.splitlines()

    for node, number in lines.items():
        assert (
            str(node.op).split("{")[0].split("[")[0] in text[number - 1]
            or "//" in text[number - 1]
        )
    named = {n.op.name for n in lines}
    assert {"dot", "gemm", "logsoftmax", "sub"} <= named


def test_kernels_know_their_lines():
    train = wb.function([x, y], loss, updates=updates)
    text = train.source.splitlines()

    for kernel in train.compilation.kernels:
        first, last = kernel.lines
        assert (
            re.match(rf"static (WB_ALONE )?int {kernel.name}", text[first - 1])
            or "settle" in text[first - 1]
        )
        assert text[last - 1].endswith("}")


def test_moving_the_cell_does_not_change_what_is_compiled():
    def build():
        v = T.vector("v")
        return wb.function([v], T.exp(v) * 2)

    first = build()
    exec("\n\n\n", {})
    second = build()

    assert first.program.text.code == second.program.text.code


def test_renaming_variables_does_not_change_what_is_compiled():
    def code(name):
        v = T.vector(name)
        w = wb.shared(np.zeros(3), name=name)
        return wb.function([v], (v * w).sum(), updates=[(w, w + v)]).program.text.code

    assert (
        code("x")
        == code("*/ } #include <stdio.h> \\\n //")
        == code("é\0\u202e")
        == code("int")
    )


def test_hostile_line_cannot_leave_its_comment():
    v = T.vector("a\n#error broken\\")

    shown = wb.function([v], v + 1).source

    assert not any(line.lstrip().startswith("#error") for line in shown.splitlines())
