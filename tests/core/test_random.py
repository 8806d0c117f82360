"""Random numbers: the known bits, the same bits everywhere, and the right distributions."""

import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from scipy import special

import workbench as wb
import workbench.tensor as T
from workbench.core import philox, samplers
from workbench.core.errors import GradientError
from workbench.core.evaluate import evaluate
from workbench.tensor import random as R

KEY = R.key(20)


def value(variable):
    (array,) = evaluate([variable], {})
    return array


def block(counter, key):
    """Four words of counter and two of key, to four words."""
    c, k = ([int(word, 16) for word in words.split()] for words in (counter, key))
    halves = philox.philox(
        *(np.uint64(w[i] | w[i + 1] << 32) for w, i in ((k, 0), (c, 2), (c, 0)))
    )
    return " ".join(f"{int(h) >> s & 0xFFFFFFFF:08x}" for h in halves for s in (0, 32))


@pytest.mark.parametrize(
    ("counter", "key", "words"),
    [
        ("0 0 0 0", "0 0", "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
        (
            "ffffffff ffffffff ffffffff ffffffff",
            "ffffffff ffffffff",
            "408f276d 41c83b0e a20bc7c6 6d5451fd",
        ),
        (
            "243f6a88 85a308d3 13198a2e 03707344",
            "a4093822 299f31d0",
            "d16cfe09 94fdcceb 5001e420 24126ea1",
        ),
    ],
)
def test_blocks_are_those_of_the_authors(counter, key, words):
    assert block(counter, key) == words


def test_mix_gives_the_published_sequence():
    # The first outputs of SplitMix64 from state 1234567.
    state, step = 1234567, 0x9E3779B97F4A7C15

    made = [philox.mix((state + i * step) % 2**64) for i in range(3)]

    assert made == [6457827717110365317, 3203168211198807973, 9817491932198370423]


# --- the same bits everywhere ------------------------------------------------------------


def same_bits(a, b):
    return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    "make",
    [
        lambda d: R.uniform(KEY, (1000, 1000), dtype=d),
        lambda d: R.normal(KEY, (10**6,), dtype=d),
        lambda d: R.exponential(KEY, (10, 10**5), dtype=d),
        lambda d: R.laplace(KEY, (10**5,), 3.0, 2.0, dtype=d),
        lambda d: R.uniform(KEY, (10**5,), -2.0, 3.0, dtype=d),
        lambda d: R.cauchy(KEY, (10**5,), dtype=d),
    ],
    ids=["uniform", "normal", "exponential", "laplace", "moved", "cauchy"],
)
def test_compiled_draws_have_the_bits_of_numpy(make, dtype):
    draw = make(dtype)

    for mode in ("FAST_RUN", wb.Mode("c", ("fusion", "inplace"), "bare")):
        assert same_bits(wb.function([], draw, mode=mode)(), value(draw))


def test_compiled_whole_numbers_have_the_bits_of_numpy():
    draws = [
        R.integers(KEY, (10**5,), -5, 7),
        R.integers(KEY, (10**5,), 0, 2**63 - 1),
        R.integers(KEY, (10**5,), 0, 2**64 - 1, dtype="uint64", endpoint=True),
        R.integers(KEY, (10**5,), 0, 2**64, dtype="uint64"),
        R.integers(KEY, (10**5,), -128, 127, dtype="int8", endpoint=True),
        R.integers(KEY, (2, 10**5), [[0], [5]], 9, endpoint=True),
        R.random_bits(KEY, (3, 5, 7)),
        R.bernoulli(KEY, (10**5,), 0.3),
        R.split(KEY, 100),
        R.permutation(KEY, 1000),
        R.poisson(KEY, (1000,), 3.5),
        R.categorical(KEY, (1000,), [0.1, 0.2, 0.7]),
    ]

    got = wb.function([], draws)()

    for draw, array in zip(draws, got, strict=True):
        assert same_bits(array, value(draw)), draw


def test_an_element_does_not_depend_on_the_rest_of_its_array():
    whole = value(R.normal(KEY, (1000,)))

    for start, stop in ((0, 10), (500, 501), (990, 1000)):
        piece = wb.function([], R.normal(KEY, (1000,))[start:stop])()
        assert same_bits(piece, whole[start:stop])
    assert same_bits(value(R.normal(KEY, (10, 100))).ravel(), whole)
    assert same_bits(value(R.normal(KEY, (5,))), whole[:5])


def test_a_rejected_element_does_not_disturb_its_neighbours():
    places = np.arange(1000, dtype="uint64")
    key, counter = np.uint64(7), np.uint64(0)
    whole = samplers.gamma(key, counter, places, np.array(1.0), False)

    piece = samplers.gamma(key, counter, places[300:310], np.array(1.0), False)

    assert same_bits(piece, whole[300:310])


def test_a_draw_fuses_with_what_reads_it():
    total = (R.normal(KEY, (100, 100)) ** 2).sum()

    f = wb.function([], total)

    assert len(f.compilation.kernels) == 1
    np.testing.assert_allclose(f(), (value(R.normal(KEY, (100, 100))) ** 2).sum())


def test_a_draw_of_many_short_rows_is_one_loop():
    x = R.RandomStreams(1).uniform((25000, 4)) * 2

    f = wb.function([], x, no_default_updates=True)

    assert f.source.count("for (int64_t i") == 1


def test_seeds_give_the_same_numbers_in_another_process():
    program = (
        "import workbench as wb; from workbench.tensor import random as R; s = R.RandomStreams(5);"
        "f = wb.function([], [s.uniform((3,)), s.normal((2,)), s.poisson((2,), 4.0)], mode='FAST_COMPILE');"
        "f(); print([a.tolist() for a in f()])"
    )
    s = R.RandomStreams(5)
    draws = [s.uniform((3,)), s.normal((2,)), s.poisson((2,), 4.0)]
    f = wb.function([], draws, mode="FAST_COMPILE")
    f()

    other = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )

    assert other.stdout.strip() == str([a.tolist() for a in f()])


def test_numbers_stay_what_they_were():
    # A change here changes every result that anybody reproduces from a seed.
    s = R.RandomStreams(1)

    got = [value(s.uniform((2,))), value(s.normal((2,), dtype="float32"))]

    assert [a.tolist() for a in got] == EXPECTED


EXPECTED = [
    [0.454313507054559, 0.6525830009282448],
    [0.4470492899417877, -1.4875638484954834],
]


# --- streams -----------------------------------------------------------------------------


def test_each_call_gives_new_numbers():
    x = R.RandomStreams(3).uniform((100,))
    f = wb.function([], [x, x * 2])

    first, second = f(), f()

    assert not (first[0] == second[0]).any()
    np.testing.assert_array_equal(first[1], 2 * first[0])


def test_the_state_counts_calls():
    x = R.RandomStreams(3).uniform((4,))
    f = wb.function([], x)
    before = x.rng.get_value()

    f(), f()

    np.testing.assert_array_equal(x.rng.get_value() - before, [0, 2])
    assert x.update[0] is x.rng and x.rng.default_update is x.update[1]


def test_threads_share_a_stream_without_loss_or_repetition():
    x = R.RandomStreams(3).gen(R.random_bits, (3,))
    f = wb.function([], x)
    alone = {f().tobytes() for _ in range(400)}
    x.rng.set_value(x.rng.get_value() * np.array([1, 0], "uint64"))

    with ThreadPoolExecutor(8) as pool:
        together = {a.tobytes() for a in pool.map(lambda _: f(), range(400))}

    assert together == alone and len(alone) == 400


def test_without_default_updates_each_call_gives_the_same():
    x = R.RandomStreams(3).normal((4,))
    f = wb.function([], x, no_default_updates=True)
    g = wb.function([], x, no_default_updates=[x.rng])

    assert same_bits(f(), f()) and same_bits(g(), f())


def test_updates_can_be_handed_over():
    s = R.RandomStreams(3)
    x = s.uniform((4,))
    f = wb.function([], x, updates=s.updates(), no_default_updates=True)

    assert not (f() == f()).any()


def test_streams_of_one_seed_have_different_keys():
    s = R.RandomStreams(3)
    draws = [s.uniform((2,)) for _ in range(200)]

    keys = {d.rng.get_value()[0] for d in draws}
    keys |= {d.rng.get_value()[0] for d in [R.RandomStreams(4).uniform((2,))]}

    assert len(keys) == 201


def test_seed_starts_every_stream_anew():
    s = R.RandomStreams(3)
    f = wb.function([], [s.uniform((4,)), s.normal((4,))], mode="FAST_COMPILE")
    first = f()

    s.seed()
    again = f()
    s.seed(9)
    other = f()

    assert all(map(same_bits, first, again))
    t = R.RandomStreams(9)
    g = wb.function([], [t.uniform((4,)), t.normal((4,))], mode="FAST_COMPILE")
    assert all(map(same_bits, other, g()))


def test_an_error_in_a_call_leaves_the_state():
    i = T.iscalar("i")
    x = R.RandomStreams(3).uniform((4,))
    for mode in ("FAST_RUN", "FAST_COMPILE"):
        f = wb.function([i], x[i], mode=mode)
        before = x.rng.get_value()

        with pytest.raises(IndexError):
            f(9)

        np.testing.assert_array_equal(x.rng.get_value(), before)
        f(1)
        np.testing.assert_array_equal(x.rng.get_value() - before, [0, 1])


def test_a_mask_is_the_same_in_the_cost_and_in_its_gradient():
    x = T.vector("x")
    y = R.dropout(x, 0.5, R.RandomStreams(3))
    f = wb.function([x], [y, T.grad(y.sum(), x)])

    y, g = f(np.ones(1000))

    np.testing.assert_array_equal(y, g)
    assert set(np.unique(y)) == {0.0, 2.0} and 400 < (y == 0).sum() < 600


def test_seeds_of_the_tradition_are_taken():
    six = R.MRG_RandomStreams(seed=[1, 2, 3, 4, 5, 6])
    assert value(six.uniform((2,), nstreams=3)).shape == (2,)
    assert not same_bits(R.key(2**64 + 1), R.key(1))
    assert value(R.RandomStreams(None).uniform((2,))).shape == (2,)
    for bad in (-1, 1.5, "a", True):
        with pytest.raises(ValueError):
            R.RandomStreams(bad)


def test_keys_that_are_split_are_new():
    keys = value(R.split(KEY, 5))

    assert keys.shape == (5, 2) and keys.dtype == "uint64"
    assert len({*keys[:, 0], KEY[0]}) == 6
    draws = [value(R.uniform(k, (100,))) for k in keys]
    assert abs(np.corrcoef(draws) - np.eye(5)).max() < 0.4


STREAMED = {
    "categorical": ((), (2, 3)),
    "choice": ((5,), (2, 3)),
    "dirichlet": ((), (2, 3, 2)),
    "integers": ((0, 1000), (2, 3)),
    "multinomial": ((), (2, 3, 2)),
    "multinomial_wo_replacement": ((2, [[0.5, 0.2, 0.3]]), (1, 2)),
    "multivariate_normal": ((), (2, 3, 1)),
    "permutation": ((4,), (2, 3, 4)),
    "random_integers": ((0, 1000), (2, 3)),
    **{
        name: ((), (2, 3))
        for name in (
            "bernoulli", "beta", "binomial", "cauchy", "chisquare", "exponential", "f", "gamma", "geometric",
            "gumbel", "hypergeometric", "laplace", "logistic", "lognormal", "logseries", "negative_binomial",
            "noncentral_chisquare", "normal", "pareto", "poisson", "power", "rayleigh", "standard_t", "triangular",
            "truncated_normal", "uniform", "vonmises", "wald", "weibull", "zipf",
        )
    },
}  # fmt: skip


def test_every_distribution_has_a_method_of_streams():
    without = {"split", "advance", "key", "random_bits", "dropout", "permuted"}
    without |= {"permutations", "student_t", "RandomStreams", "MRG_RandomStreams"}

    methods = {name for name in vars(R.RandomStreams) if not name.startswith("_")}

    assert set(R.__all__) - without == set(STREAMED) & set(R.__all__)
    assert set(STREAMED) <= methods


@pytest.mark.parametrize("name", STREAMED)
def test_every_method_of_streams_gives_new_numbers_in_the_shape(name):
    parameters, shape = STREAMED[name]
    x = getattr(R.RandomStreams(2), name)((2, 3), *parameters, nstreams=2)
    f = wb.function([], x, mode="FAST_COMPILE")

    draws = [f() for _ in range(20)]

    assert draws[0].shape == shape
    assert np.ptp(draws, axis=0).any()
    assert x.rng.get_value()[1] == 20


def test_directional_derivatives_pass_through_the_scale():
    scale = T.scalar("scale")
    x = R.normal(KEY, (5,), 1.0, scale)

    moved = T.Rop(x, scale, T.constant(2.0))

    got = wb.function([scale], moved)(3.0)
    np.testing.assert_allclose(got, 2 * value(R.normal(KEY, (5,))))


# --- shapes, dtypes, errors --------------------------------------------------------------


@pytest.mark.parametrize("mode", ["FAST_RUN", "FAST_COMPILE"])
def test_a_size_may_be_symbolic(mode):
    n, x, v = T.iscalar("n"), T.matrix("x"), T.lvector("v")
    s = R.RandomStreams(1)
    outputs = [
        s.uniform((n, 3)), s.normal(x.shape), s.uniform(size=v, ndim=2), s.poisson((n,), 3.0),
        s.permutation(n=n), s.binomial((n, 2), 5, 0.5),
    ]  # fmt: skip

    got = wb.function([n, x, v], outputs, mode=mode)(2, np.ones((3, 4)), [5, 6])

    shapes = [a.shape for a in got]
    assert shapes == [(2, 3), (3, 4), (5, 6), (2,), (2,), (2, 2)]


@pytest.mark.parametrize("mode", ["FAST_RUN", "FAST_COMPILE"])
def test_sizes_may_be_zero_or_left_out(mode):
    draws = [
        R.uniform(KEY, (0,)), R.normal(KEY, (3, 0)), R.uniform(KEY, ()), R.gamma(KEY, (0, 2), 2.0),
        R.integers(KEY, 3, 0, 9), R.permutation(KEY, 0), R.categorical(KEY, (0,)), R.multinomial(KEY, (0,), 3),
    ]  # fmt: skip

    got = wb.function([], draws, mode=mode)()

    shapes = [a.shape for a in got]
    assert shapes == [(0,), (3, 0), (), (0, 2), (3,), (0,), (0,), (0, 2)]
    assert got[2] == value(R.uniform(KEY, (1,)))[0]


def test_a_negative_size_is_an_error():
    n = T.iscalar("n")
    with pytest.raises(ValueError):
        R.uniform(KEY, (-1,))
    for mode in ("FAST_RUN", "FAST_COMPILE"):
        with pytest.raises(ValueError):
            wb.function([n], R.uniform(KEY, (n,)), mode=mode)(-1)


def test_parameters_broadcast_to_the_size():
    loc = T.vector("loc")
    low = np.array([[0.0], [10.0]])
    draws = [
        R.normal(KEY, (3, 2), loc), R.normal(KEY, None, loc, 2.0), R.uniform(KEY, (2, 4), low, low + 1),
        R.gamma(KEY, None, low + 1, np.ones(3)), R.binomial(KEY, (2, 4), np.array([[1], [50]]), 0.5),
    ]  # fmt: skip

    got = wb.function([loc], draws)([5.0, 500.0])

    assert [a.shape for a in got] == [(3, 2), (2,), (2, 4), (2, 3), (2, 4)]
    assert (got[0][:, 1] > 400).all() and (got[0][:, 0] < 100).all()
    assert (got[2][1] >= 10).all() and (got[2][0] < 1).all()
    np.testing.assert_array_equal(got[0], value(R.normal(KEY, (3, 2), [5.0, 500.0])))


def test_dtypes_are_those_asked_for():
    x32 = np.ones(2, "float32")

    assert R.uniform(KEY, (2,)).dtype == wb.config.floatX
    assert R.normal(KEY, (2,), x32, dtype="float32").dtype == "float32"
    assert R.uniform(KEY, (2,), dtype="float16").dtype == "float16"
    assert R.binomial(KEY, (2,), dtype="float32").dtype == "float32"
    assert R.poisson(KEY, (2,), 3.0, dtype="int32").dtype == "int32"
    assert R.choice(KEY, (2,), x32).dtype == "float32"
    assert float(value(R.uniform(KEY, (10**5,), dtype="float16")).max()) < 1
    with wb.config.change(floatX="float32"):
        assert R.normal(KEY, (2,)).dtype == "float32"
        assert R.normal(KEY, (2,), np.ones(2)).dtype == "float64"
    with pytest.raises(TypeError):
        R.uniform(KEY, (2,), dtype="int32")
    with pytest.raises(TypeError):
        R.integers(KEY, (2,), 0, 3, dtype="float32")


@pytest.mark.parametrize(
    "make",
    [
        lambda: R.bernoulli(KEY, (2,), 1.5),
        lambda: R.binomial(KEY, (2,), 4, -0.1),
        lambda: R.binomial(KEY, (2,), -4, 0.1),
        lambda: R.normal(KEY, (2,), 0, -1),
        lambda: R.exponential(KEY, (2,), -1.0),
        lambda: R.gamma(KEY, (2,), -1.0),
        lambda: R.beta(KEY, (2,), 0.0, 1.0),
        lambda: R.poisson(KEY, (2,), [1.0, -1.0]),
        lambda: R.geometric(KEY, (2,), 0.0),
        lambda: R.integers(KEY, (2,), 3, 3),
        lambda: R.integers(KEY, (2,), 0, 300, dtype="int8"),
        lambda: R.zipf(KEY, (2,), 1.0),
        lambda: R.categorical(KEY, (2,), [-0.5, 1.5]),
        lambda: R.choice(KEY, (3,), 2, replace=False),
        lambda: R.choice(KEY, (3,), 2, p=[0.1, 0.2, 0.7]),
        lambda: R.normal(KEY, (2,), np.zeros(3)),
        lambda: R.normal(KEY, (1,), np.zeros(3)),
        lambda: R.normal(KEY, (2,), np.zeros((3, 2))),
        lambda: R.normal(KEY, (2,), ndim=2),
        lambda: R.dropout(np.ones(3), 1.0, key=KEY),
        lambda: R.dropout(np.ones(3)),
        lambda: R.truncated_normal(KEY, (2,), lower=2, upper=1),
        lambda: R.uniform(np.zeros(3, "uint64"), (2,)),
    ],
)
def test_a_parameter_that_is_no_parameter_is_an_error(make):
    with pytest.raises(ValueError):
        make()


def test_a_key_is_uint64():
    with pytest.raises(TypeError, match="T.random.key"):
        R.uniform(7, (2,))


@pytest.mark.parametrize("mode", ["FAST_RUN", "FAST_COMPILE"])
def test_a_bad_parameter_is_an_error_of_the_call(mode):
    x = T.vector("x")
    for draw in (
        R.poisson(KEY, None, x),
        R.gamma(KEY, None, x),
        R.binomial(KEY, (2,), 50, x),
        R.categorical(KEY, (2,), x),
    ):
        f = wb.function([x], draw, mode=mode)

        with pytest.raises(ValueError):
            f([0.5, -1.0])
        with pytest.raises(ValueError):
            f([0.5, np.nan])


# --- gradients ---------------------------------------------------------------------------


def test_gradients_pass_through_location_and_scale():
    loc, scale = T.scalar("loc"), T.scalar("scale")
    z = value(R.normal(KEY, (50,)))

    cost = (R.normal(KEY, (50,), loc, scale) ** 2).sum()
    g = wb.function([loc, scale], T.grad(cost, [loc, scale]))(2.0, 3.0)

    np.testing.assert_allclose(g[0], (2 * (2 + 3 * z)).sum(), rtol=1e-12)
    np.testing.assert_allclose(g[1], (2 * (2 + 3 * z) * z).sum(), rtol=1e-12)


def test_gradients_pass_through_the_scale_of_gamma():
    scale = T.scalar("scale")
    cost = R.gamma(KEY, (50,), 2.0, scale).sum()

    g = wb.function([scale], T.grad(cost, scale))(3.0)

    np.testing.assert_allclose(g, value(R.gamma(KEY, (50,), 2.0)).sum())


@pytest.mark.parametrize("a", [0.3, 1.0, 4.5, 300.0])
def test_the_gradient_by_the_shape_of_gamma_keeps_the_level(a):
    shape = T.scalar("shape")
    draw = R.gamma(KEY, (200,), shape)
    cost = draw.sum()

    z, g = wb.function([shape], [draw, T.jacobian(draw, shape)])(a)

    level, h = special.gammainc(a, z), 1e-4 * a
    usual = (level > 1e-3) & (level < 0.999)
    moved = [special.gammaincinv(a + s, level) for s in (h, -h)]
    expected = (moved[0] - moved[1]) / (2 * h)
    np.testing.assert_allclose(g[usual], expected[usual], 1e-6)
    assert np.isfinite(g).all()
    total = wb.function([shape], T.grad(cost, shape))(a)
    np.testing.assert_allclose(total, g.sum())


def test_gradients_stay_finite_where_gamma_variables_underflow():
    a = T.vector("a")
    cost = (R.dirichlet(KEY, (100,), a) ** 2).sum()

    g = wb.function([a], T.grad(cost, a))(np.full(3, 2e-3))

    assert np.isfinite(g).all()


def test_means_of_gamma_have_the_gradient_of_the_mean():
    a, b = T.scalar("a"), T.scalar("b")
    mean = R.beta(KEY, (20_000,), a, b).mean()

    g = wb.function([a, b], T.grad(mean, [a, b]))(2.0, 3.0)

    np.testing.assert_allclose(g, [3 / 25, -2 / 25], atol=2e-3)


def test_a_concentration_without_gradient_says_so():
    kappa = T.scalar("kappa")

    with pytest.raises(GradientError, match="attempt"):
        T.grad(R.vonmises(KEY, (5,), 0.0, kappa).sum(), kappa)


def test_gradients_pass_through_mean_and_covariance():
    mean = T.vector("mean")
    cost = (R.multivariate_normal(KEY, (4,), mean, np.eye(2)) ** 2).sum()

    g = wb.function([mean], T.grad(cost, mean))([1.0, 2.0])

    z = value(R.normal(KEY, (4, 2)))
    np.testing.assert_allclose(g, (2 * (z + np.array([1.0, 2.0]))).sum(0))


@pytest.mark.nightly
def test_compiled_draws_are_no_slower_than_numpy():
    def seconds(draw):
        draw()
        times = []
        for _ in range(20):
            start = time.process_time()
            draw()
            times.append(time.process_time() - start)
        return min(times)

    generator = np.random.Generator(np.random.Philox(1))
    ours = wb.function([], R.RandomStreams(1).uniform((10**6,), dtype="float32"))

    assert seconds(ours) <= seconds(lambda: generator.random(10**6, "float32"))
