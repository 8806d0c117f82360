"""``trust_input``: checks that a caller says are not needed."""

import pickle

import numpy as np
import pytest

import workbench as wb
import workbench.tensor as T

MODES = ["FAST_RUN", "FAST_COMPILE", "None"]


class Counted(wb.TensorType):
    """A type that counts how many values it has seen."""

    seen = 0

    def filter(self, value, allow_downcast=False):
        Counted.seen += 1
        return super().filter(value, allow_downcast)


@pytest.mark.parametrize("mode", MODES)
def test_trusted_arrays_are_not_shown_to_their_type(mode):
    x = Counted("float64", (None,))("x")
    f = wb.function([x], x + 1, mode=mode, trust_input=True)
    value = np.zeros(2)

    before = Counted.seen
    np.testing.assert_array_equal(f(value), [1, 1])
    assert Counted.seen == before

    f.trust_input = False
    np.testing.assert_array_equal(f(value), [1, 1])
    assert Counted.seen > before


@pytest.mark.parametrize("mode", MODES)
def test_what_is_not_as_promised_is_converted_or_refused_still(mode):
    x, y = T.vectors("x", "y")
    f = wb.function([x, y], x + y, mode=mode)
    f.trust_input = True

    np.testing.assert_array_equal(f([1, 2], y=np.ones(2)), [2, 3])
    with pytest.raises((TypeError, ValueError)):
        f(np.ones(2))
    with pytest.raises((TypeError, ValueError)):
        f(np.ones(2), "text")


def test_a_compiled_program_never_takes_memory_of_another_type():
    x = wb.TensorType("float64", (4,))("x")
    f = wb.function([x], x.sum(), trust_input=True)

    assert f(np.ones(4, "float32")) == 4
    with pytest.raises(ValueError, match="4"):
        f(np.ones(3))


def test_copies_pickles_and_subsets_are_trusted_as_well():
    x = T.vector("x")
    f = wb.function([x], [x + 1, x * 2], trust_input=True)
    plain = wb.function([x], [x + 1, x * 2])

    assert f.trust_input and not plain.trust_input
    assert f.copy().trust_input and not plain.copy().trust_input
    assert pickle.loads(pickle.dumps(f)).trust_input
    np.testing.assert_array_equal(f(np.ones(2), output_subset=[1])[0], [2, 2])
    f.trust_input = False
    assert not f.copy().trust_input
