"""``x[key]`` against NumPy for hundreds of random keys: read, set, added to, and derived."""

import numpy as np
import pytest

import workbench.tensor as T
from tests.gradients import verify_grad
from tests.keys import SHAPES, draw, input_of, part_shape, placed, symbolic
from workbench.core.evaluate import evaluate

KEYS = 60


def draws(seed):
    rng = np.random.default_rng(seed)
    for shape in SHAPES:
        for _ in range(KEYS):
            yield rng, shape, draw(rng, shape)


@pytest.mark.parametrize("static", [False, True])
def test_random_keys_give_what_numpy_gives(static):
    for rng, shape, key in draws(1):
        array = np.asarray(rng.normal(size=shape))
        x = input_of(array, static)
        made, values = symbolic(rng, key)

        output = x[made]

        got, sizes = evaluate([output, output.shape], {x: array, **values})
        expected = array[key]
        assert got.shape == expected.shape, key
        np.testing.assert_array_equal(got, expected, err_msg=str(key))
        assert output.type.fits(got), key
        assert tuple(sizes) == expected.shape


def test_inferred_sizes_are_the_actual_sizes():
    for rng, shape, key in draws(2):
        array = np.asarray(rng.normal(size=shape))
        x = input_of(array, False)
        made, values = symbolic(rng, key)
        node = x[made].owner
        sizes = [T.shape(v) for v in node.inputs]

        (inferred,) = node.op.infer_shape(
            node,
            [
                [s[i] for i in range(v.ndim)]
                for s, v in zip(sizes, node.inputs, strict=True)
            ],
        )

        known = {x: array, **values}
        got = evaluate(
            [T.constant(s) if isinstance(s, int) else s for s in inferred], known
        )
        assert tuple(map(int, got)) == evaluate([node.output], known)[0].shape, key


@pytest.mark.parametrize("static", [False, True])
@pytest.mark.parametrize("add", [False, True])
def test_parts_are_put_where_numpy_puts_them(static, add):
    for rng, shape, key in draws(3):
        array = np.asarray(rng.normal(size=shape))
        x = input_of(array, static)
        made, values = symbolic(rng, key)
        part = np.asarray(rng.normal(size=part_shape(rng, array[key].shape)))
        y = input_of(part, static)

        output = x[made].inc(y) if add else x[made].set(y)

        (got,) = evaluate([output], {x: array, y: part, **values})
        expected = placed(array, key, part, add)
        np.testing.assert_allclose(got, expected, 1e-14, err_msg=str(key))
        assert output.type == x.type


def test_gradients_flow_through_parts():
    for rng, shape, key in list(draws(4))[::10]:
        array = np.asarray(rng.normal(size=shape))
        part = np.asarray(rng.normal(size=array[key].shape))

        verify_grad(lambda x, key=key: T.sqr(x[key]), [array])
        for put in (T.set_subtensor, T.inc_subtensor):
            verify_grad(
                lambda x, y, key=key, put=put: put(T.sqr(x)[key], T.sqr(y)),
                [array, part],
            )


def test_second_gradients_flow_through_parts():
    for rng, shape, key in list(draws(5))[::24]:
        array = np.asarray(rng.normal(size=shape))
        part = np.asarray(rng.normal(size=array[key].shape))

        verify_grad(
            lambda x, y, key=key: T.set_subtensor(T.sqr(x)[key], y**3),
            [array, part],
            order=2,
        )
