"""A sample of the calls of :mod:`tests.corpus`, compiled: what C gives is NumPy's, too.

Without half floats, which a kernel keeps in single precision from one operation to the next.
"""

import random

import numpy as np
import pytest

import workbench as wb
from tests.corpus.all_calls import CALLS
from tests.corpus.calls import difference, expected, found
from tests.corpus.differences import DIFFERENCES
from tests.corpus.structural_differences import parts

NAMES = sorted({call.name for call in CALLS})
STRICT = wb.get_mode("FAST_RUN").excluding("finite_math")
SAMPLE = 3


def compiled(outputs, inputs):
    function = wb.function(list(inputs), outputs, mode=STRICT, on_unused_input="ignore")
    return function(*inputs.values())


def has_halves(call):
    given = [*call.args, *call.keywords.values()]
    nested = [part for value in given for part in parts(value)]
    return any(isinstance(v, np.ndarray) and v.dtype == "float16" for v in nested)


@pytest.mark.nightly
@pytest.mark.parametrize("name", NAMES)
def test_compiled_function_agrees_with_numpy(name):
    calls = [call for call in CALLS if call.name == name and not has_halves(call)]
    random.Random(name).shuffle(calls)
    wrong = []
    tried = 0
    for call in calls:
        theirs = expected(call)
        if theirs.error is not None or tried == SAMPLE:
            continue
        tried += 1
        ours = found(call, known=tried % 2 == 0, run=compiled)
        text = difference(call, theirs, ours)
        if text and not any(d.covers(call, text) for d in DIFFERENCES):
            wrong.append(f"{call}\n  {text}\n  theirs: {theirs}\n  ours:   {ours}")

    assert tried
    assert not wrong, "\n".join(wrong)
