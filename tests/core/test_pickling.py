"""Graphs under pickle and deepcopy."""

import copy
import pickle
import subprocess
import sys

import numpy as np
import pytest

import workbench as wb
import workbench.tensor as T
from workbench.core.evaluate import evaluate
from workbench.core.graph import toposort


def again(value):
    return pickle.loads(pickle.dumps(value))


def value_of(variable, **given):
    leaves = {v.name: v for v in wb.core.graph.graph_inputs([variable])}
    return evaluate([variable], {leaves[n]: a for n, a in given.items()})[0]


def test_an_expression_has_its_value_after_a_round_trip():
    x = T.dvector("x")
    y = again((T.exp(x) + T.constant([1.0, 2.0])).sum())

    assert value_of(y, x=np.array([0.0, 1.0])) == 1 + np.e + 3


def test_what_was_one_is_one_afterwards():
    x = T.dvector("x")
    y = x * 2

    a, b, c = again([x, y, [y.sum(), y]])

    assert b.owner.inputs[0] is a
    assert c[1] is b and c[0].owner.inputs[0] is b


def test_names_tags_attributes_and_lines_are_kept():
    x = T.dvector("x")
    x.tag.note = "leaf"
    y = T.sin(x)
    y.name, y.tag.note, y._kind = "y", "computed", 7

    z = again(y)

    assert (z.name, z.tag.note, z._kind) == ("y", "computed", 7)
    assert z.owner.inputs[0].tag.note == "leaf"
    assert str(z.location) == str(y.location)


def test_compiled_functions_of_eval_are_left_behind():
    x = T.dscalar("x")
    y = x + 1
    y.eval({x: 1.0})

    assert not hasattr(again(y).tag, "eval_functions")
    assert hasattr(y.tag, "eval_functions")


def test_an_operation_with_several_outputs_stays_one():
    x = T.dmatrix("x")
    values, places = T.max_and_argmax(x, axis=1)

    a, b = again((values, places))

    assert a.owner.inputs[0] is b.owner.inputs[0]


def test_a_node_of_a_gradient_still_knows_its_forward_node():
    x = T.dvector("x")
    g = T.grad((T.sin(x) ** 2).sum(), x)

    copied = again(g)

    pairs = zip(toposort([g]), toposort([copied]), strict=True)
    for old, new in pairs:
        assert (old.origin.forward is None) == (new.origin.forward is None)
        if old.origin.forward is not None:
            assert str(old.origin.forward.op) == str(new.origin.forward.op)


def test_a_shared_variable_keeps_value_and_default_update():
    n = wb.shared(3, "n")
    n.default_update = n + 1

    m = again(n)
    m.set_value(5)

    assert m.default_update.owner.inputs[0] is m
    assert (m.get_value(), n.get_value()) == (5, 3)


def test_a_deep_copy_shares_nothing():
    w = wb.shared(np.ones(2), "w")
    x = T.dvector("x")
    y = (x * w).sum()

    z = copy.deepcopy(y)
    (w2,) = (v for v in wb.core.graph.graph_inputs([z]) if isinstance(v, wb.Shared))
    w2.set_value(np.zeros(2))

    assert w.get_value().tolist() == [1, 1]
    assert value_of(z, x=np.ones(2)) == 0


@pytest.mark.parametrize("copied", [again, copy.deepcopy])
def test_a_constant_is_still_read_only(copied):
    assert not copied(T.constant([1.0, 2.0])).data.flags.writeable


@pytest.mark.parametrize("copied", [again, copy.deepcopy])
def test_a_deep_graph_is_copied(copied):
    x = T.dscalar("x")
    y = x
    for _ in range(5000):
        y = y + 1.0

    assert value_of(copied(y), x=np.float64(0)) == 5000


def test_a_graph_is_read_by_a_fresh_process(tmp_path):
    x = T.dvector("x")
    g = T.grad(T.nnet.softmax(x)[0], x)
    path = tmp_path / "graph.pickle"
    path.write_bytes(pickle.dumps((x, g)))

    code = (
        "import pickle, sys, workbench\n"
        f"x, g = pickle.load(open({str(path)!r}, 'rb'))\n"
        "print(g.eval({x: [0.0, 1.0]}).tolist())"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)

    assert run.stdout.strip() == str(g.eval({x: [0.0, 1.0]}).tolist()), run.stderr
