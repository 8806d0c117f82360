"""The same model gives the same program in every process: else the cache would not hold it."""

import subprocess
import sys

import pytest

MODEL = """
import hashlib, random
junk = [object() for _ in range({junk})]  # variables get other addresses
import numpy as np
import workbench as wb, workbench.tensor as T
from workbench.compile.pipeline import make_c_program, optimise
from workbench.compile.record import Graph
x, y = T.fmatrix("x"), T.lvector("y")
params = [wb.shared(np.zeros(s, "float32"), n) for n, s in
          [("W1", (20, 9)), ("b1", 9), ("W2", (9, 7)), ("b2", 7), ("W3", (7, 5)), ("b3", 5)]]
W1, b1, W2, b2, W3, b3 = params
h = T.tanh(T.dot(x, W1) + b1)
h = T.nnet.sigmoid(T.dot(h, W2) + b2)
p = T.nnet.softmax(T.dot(h, W3) + b3)
cost = -T.log(p)[T.arange(y.shape[0]), y].mean() + 0.01 * sum((w ** 2).sum() for w in params)
grads = wb.grad(cost, params)
graph = Graph((x, y), (cost,), tuple((w, w - 0.1 * g) for w, g in zip(params, grads)))
after, _ = optimise(graph, wb.get_mode("FAST_RUN"))
print([repr(node) for node in after.nodes()])
print(make_c_program(after).text.code)
"""


@pytest.mark.parametrize("junk", [0, 12_345])
def test_a_model_gives_the_same_program_in_every_process(junk):
    texts = {
        subprocess.run(
            [sys.executable, "-c", MODEL.format(junk=count)],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for count in (junk, junk + 777)
    }

    assert len(texts) == 1
