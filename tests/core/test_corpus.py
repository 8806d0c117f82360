"""Every function that bears a NumPy or SciPy name agrees with it, or is listed with a reason."""

import numpy as np
import pytest
import scipy.linalg

import workbench.tensor as T
from tests.corpus.all_calls import CALLS
from tests.corpus.calls import difference, expected, found
from tests.corpus.differences import DIFFERENCES

NAMES = sorted({call.name for call in CALLS})


@pytest.mark.parametrize("name", NAMES)
def test_function_agrees_with_the_one_whose_name_it_bears(name):
    wrong = []
    for call in (c for c in CALLS if c.name == name):
        theirs = expected(call)
        for known in (False, True):
            ours = found(call, known)
            text = difference(call, theirs, ours)
            if text and not any(d.covers(call, text) for d in DIFFERENCES):
                wrong.append(
                    f"{call}, sizes {'' if known else 'not '}known\n"
                    f"  {text}\n  theirs: {theirs}\n  ours:   {ours}"
                )

    assert not wrong, f"{len(wrong)} calls differ:\n" + "\n".join(wrong[:8])


@pytest.mark.parametrize(
    ("prefix", "ours", "theirs"),
    [("", T, [np]), ("linalg.", T.linalg, [np.linalg, scipy.linalg])],
)
def test_every_function_that_bears_a_name_of_numpy_is_called(prefix, ours, theirs):
    missing = [
        name
        for name in dir(ours)
        if callable(getattr(ours, name))
        and not name.startswith("_")
        and any(is_function(getattr(module, name, None)) for module in theirs)
        and prefix + name not in NAMES
    ]

    assert not missing


def is_function(value):
    return callable(value) and not isinstance(value, type)


def test_the_corpus_is_as_large_as_promised():
    assert len(CALLS) >= 5000


@pytest.mark.parametrize("entry", DIFFERENCES, ids=lambda d: f"{d.names}: {d.what}")
def test_every_listed_difference_is_one(entry):
    about = [call for call in CALLS if entry.is_about(call)]

    assert any(
        entry.covers(call, difference(call, expected(call), found(call, known)))
        for call in about
        for known in (False, True)
    )
