"""Functions under pickle and deepcopy: compiled anew, with the values they had."""

import copy
import pickle
import subprocess
import sys

import numpy as np
import pytest

import workbench as wb
import workbench.tensor as T


@pytest.fixture(params=["FAST_RUN", "FAST_COMPILE", "None", "DEBUG"])
def mode(request):
    return request.param


@pytest.fixture(params=[copy.deepcopy, lambda f: pickle.loads(pickle.dumps(f))])
def copied(request):
    return request.param


def model(mode):
    x = T.dmatrix("x")
    w = wb.shared(np.arange(3.0), "w")
    n = T.lscalar("n")
    loss = (T.dot(x, w) ** 2).mean()
    return wb.function(
        [x, wb.In(n, value=1, update=n + 1)],
        {"loss": loss, "n": n},
        updates={w: w - 0.1 * wb.grad(loss, w)},
        mode=mode,
        name="train",
    )


def test_a_copied_function_goes_on_from_the_state_it_had(mode, copied):
    f = model(mode)
    x = np.ones((2, 3))
    f(x)

    g = copied(f)

    assert g.name == "train" and g.mode == f.mode
    a, b = f(x), g(x)
    assert a == b and a["n"] == 2
    assert f["w"].tolist() == g["w"].tolist()
    g(x)
    assert f["n"] == 3 and g["n"] == 4
    assert f["w"].tolist() != g["w"].tolist()


def test_functions_copied_together_share_what_they_shared(copied):
    w = wb.shared(0.0, "w")
    step = wb.function([], [], updates=[(w, w + 1)])
    read = wb.function([], w)

    other_step, other_read = copied([step, read])
    other_step()

    assert other_read() == 1 and read() == 0


def test_a_fresh_process_runs_a_saved_function_without_a_compiler(tmp_path):
    f = model("FAST_RUN")
    path = tmp_path / "function.pickle"
    path.write_bytes(pickle.dumps(f))
    x = np.ones((2, 3))

    code = (
        "import pickle, sys, warnings, numpy as np\n"
        "warnings.simplefilter('ignore')\n"
        "import workbench as wb\n"
        "wb.config.cc = '/no/such/compiler'\n"
        f"f = pickle.load(open({str(path)!r}, 'rb'))\n"
        "print(float(f(np.ones((2, 3)))['loss']), f.compilation.backend)"
    )
    env = {"WORKBENCH_CONFIG": "/dev/null", "HOME": str(tmp_path), "PATH": ""}
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=env
    )

    assert run.stdout.split() == [str(float(f(x)["loss"])), "numpy"], run.stderr
