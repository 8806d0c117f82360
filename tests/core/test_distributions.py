"""Random numbers have the distributions they should, and are made of exact parts.

Seeds are fixed: a test that passes does so always. Bounds are such that a right generator
would fail one of them about once in 10,000 seeds.
"""

import math

import numpy as np
import pytest
from scipy import stats

from workbench.core import philox, samplers
from workbench.core.evaluate import evaluate
from workbench.tensor import random as R

KEY = R.key(20)
N = 20_000


def value(variable):
    (array,) = evaluate([variable], {})
    return array


CONTINUOUS = {
    "uniform": (R.uniform, (-1.0, 3.0), stats.uniform(-1, 4)),
    "normal": (R.normal, (1.0, 2.0), stats.norm(1, 2)),
    "truncated": (R.truncated_normal, (1.0, 2.0), stats.truncnorm(-2, 2, 1, 2)),
    "truncated-right": (
        lambda *a, **k: R.truncated_normal(*a, lower=3.0, upper=9.0, **k),
        (),
        stats.truncnorm(3, 9),
    ),
    "truncated-one-side": (
        lambda *a, **k: R.truncated_normal(*a, lower=-1.0, upper=np.inf, **k),
        (),
        stats.truncnorm(-1, np.inf),
    ),
    "exponential": (R.exponential, (2.0,), stats.expon(scale=2)),
    "laplace": (R.laplace, (1.0, 2.0), stats.laplace(1, 2)),
    "gumbel": (R.gumbel, (1.0, 2.0), stats.gumbel_r(1, 2)),
    "logistic": (R.logistic, (1.0, 2.0), stats.logistic(1, 2)),
    "cauchy": (R.cauchy, (1.0, 2.0), stats.cauchy(1, 2)),
    "lognormal": (R.lognormal, (0.5, 0.7), stats.lognorm(0.7, scale=np.exp(0.5))),
    "weibull": (R.weibull, (1.7,), stats.weibull_min(1.7)),
    "pareto": (R.pareto, (2.5,), stats.lomax(2.5)),
    "power": (R.power, (2.5,), stats.powerlaw(2.5)),
    "rayleigh": (R.rayleigh, (2.0,), stats.rayleigh(scale=2)),
    "triangular": (R.triangular, (-1.0, 0.5, 3.0), stats.triang(0.375, -1, 4)),
    "wald": (R.wald, (2.0, 3.0), stats.invgauss(2 / 3, scale=3)),
    "gamma": (R.gamma, (3.3, 2.0), stats.gamma(3.3, scale=2)),
    "gamma-small": (R.gamma, (0.2,), stats.gamma(0.2)),
    "beta": (R.beta, (0.5, 2.5), stats.beta(0.5, 2.5)),
    "chisquare": (R.chisquare, (3.0,), stats.chi2(3)),
    "noncentral": (R.noncentral_chisquare, (3.0, 2.5), stats.ncx2(3, 2.5)),
    "f": (R.f, (4.0, 7.0), stats.f(4, 7)),
    "student": (R.standard_t, (3.5,), stats.t(3.5)),
    "vonmises": (R.vonmises, (0.0, 1.5), stats.vonmises(1.5)),
    "vonmises-sharp": (R.vonmises, (0.0, 300.0), stats.vonmises(300.0)),
}

DISCRETE = {
    "integers": (R.integers, (-3, 9), stats.randint(-3, 9)),
    "bernoulli": (R.bernoulli, (0.3,), stats.bernoulli(0.3)),
    "geometric": (R.geometric, (0.3,), stats.geom(0.3)),
    "logseries": (R.logseries, (0.7,), stats.logser(0.7)),
    "poisson-small": (R.poisson, (2.5,), stats.poisson(2.5)),
    "poisson": (R.poisson, (30.0,), stats.poisson(30)),
    "poisson-large": (R.poisson, (2000.0,), stats.poisson(2000)),
    "binomial-small": (R.binomial, (7, 0.4), stats.binom(7, 0.4)),
    "binomial": (R.binomial, (100, 0.3), stats.binom(100, 0.3)),
    "binomial-turned": (R.binomial, (1000, 0.95), stats.binom(1000, 0.95)),
    "negative-binomial": (R.negative_binomial, (3.5, 0.4), stats.nbinom(3.5, 0.4)),
    "hypergeometric": (R.hypergeometric, (15, 25, 12), stats.hypergeom(40, 15, 12)),
    "hypergeometric-all": (R.hypergeometric, (15, 3, 16), stats.hypergeom(18, 15, 16)),
    "zipf": (R.zipf, (2.5,), stats.zipf(2.5)),
    "categorical": (
        lambda key, shape, p: R.categorical(key, shape, p),
        ([0.1, 0.4, 0.5],),
        stats.rv_discrete(values=([0, 1, 2], [0.1, 0.4, 0.5])),
    ),
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", CONTINUOUS)
def test_a_continuous_distribution_is_the_right_one(name, dtype):
    draw, parameters, expected = CONTINUOUS[name]

    x = value(draw(KEY, (N,), *parameters, dtype=dtype)).astype("float64")

    assert stats.kstest(x, expected.cdf).pvalue > 1e-4
    # Neighbours, and halves far apart, do not go together; ranks, for heavy tails.
    ranks = stats.rankdata(x)
    assert abs(np.corrcoef(ranks[:-1], ranks[1:])[0, 1]) < 4.5 / np.sqrt(N)
    assert abs(np.corrcoef(ranks[: N // 2], ranks[N // 2 :])[0, 1]) < 6.4 / np.sqrt(N)


@pytest.mark.parametrize("name", DISCRETE)
def test_a_discrete_distribution_is_the_right_one(name):
    draw, parameters, expected = DISCRETE[name]

    x = value(draw(KEY, (N,), *parameters))

    edges = np.unique(expected.ppf(np.linspace(0, 1, 31)[1:-1])).astype(int)
    cdf = np.array([0, *expected.cdf(edges), 1])
    shares = np.diff(cdf)
    counts = np.histogram(x, [-np.inf, *(edges + 0.5), np.inf])[0]
    full = shares > 1e-9
    assert not counts[~full].any()
    assert stats.chisquare(counts[full], N * shares[full] / shares[full].sum()).pvalue > 1e-4  # fmt: skip


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_standard_numbers_have_their_moments(dtype):
    n = 10**6
    u = value(R.uniform(KEY, (n,), dtype=dtype)).astype("float64")
    z = value(R.normal(KEY, (n,), dtype=dtype)).astype("float64")
    e = value(R.exponential(KEY, (n,), dtype=dtype)).astype("float64")

    # Each moment within 4.5 of its standard deviations.
    for x, power, mean in (
        *((u, k, 1 / (k + 1)) for k in range(1, 5)),
        *((z, k, (0, 1, 0, 3, 0, 15)[k - 1]) for k in range(1, 7)),
        *((e, k, (1, 2, 6)[k - 1]) for k in range(1, 4)),
    ):
        sample = x**power
        assert abs(sample.mean() - mean) < 4.5 * sample.std() / np.sqrt(n)
    assert 0 <= u.min() and u.max() < 1 and e.min() >= 0


def test_bits_are_balanced_and_independent():
    words = value(R.random_bits(KEY, (10**5,)))
    table = np.unpackbits(words.view("uint8").reshape(-1, 8), axis=1).astype("float64")

    assert abs(table.mean(0) - 0.5).max() < 4.5 * 0.5 / np.sqrt(len(table))
    mutual = np.corrcoef(table.T) - np.eye(64)
    assert abs(mutual).max() < 5 / np.sqrt(len(table))


def test_a_multinomial_counts_its_trials():
    p = np.array([[0.2, 0.3, 0.5], [0.0, 0.9, 0.1]])
    counts = value(R.multinomial(KEY, (4000, 2), 20, p))
    one = value(R.multinomial(KEY, (4000, 2), 1, p))

    assert (counts.sum(-1) == 20).all() and (one.sum(-1) == 1).all()
    assert not counts[:, 1, 0].any() and not one[:, 1, 0].any()
    np.testing.assert_allclose(counts.mean(0), 20 * p, atol=4.5 * 2.3 / np.sqrt(4000))
    np.testing.assert_allclose(one.mean(0), p, atol=4.5 * 0.5 / np.sqrt(4000))
    covariance = np.cov(counts[:, 0, 0], counts[:, 0, 1])
    np.testing.assert_allclose(covariance, [[3.2, -1.2], [-1.2, 4.2]], atol=0.4)


def test_a_dirichlet_sums_to_one():
    alpha = np.array([0.5, 2.0, 3.5])

    x = value(R.dirichlet(KEY, (N,), alpha))
    tiny = value(R.dirichlet(KEY, (100,), np.full(3, 1e-3)))

    np.testing.assert_allclose(x.sum(-1), 1)
    for k, a in enumerate(alpha):
        assert stats.kstest(x[:, k], stats.beta(a, 6 - a).cdf).pvalue > 1e-4
    assert np.isfinite(tiny).all()


def test_vectors_have_their_covariance():
    cov = np.array([[2.0, 0.6], [0.6, 1.0]])

    x = value(R.multivariate_normal(KEY, (N,), [1.0, -1.0], cov))

    np.testing.assert_allclose(x.mean(0), [1, -1], atol=0.05)
    np.testing.assert_allclose(np.cov(x.T), cov, atol=0.1)


def test_choices_are_as_likely_as_they_should_be():
    p = np.array([0.1, 0.2, 0.3, 0.4])
    s = R.RandomStreams(2)
    pairs = value(s.multinomial_wo_replacement(pvals=np.tile(p, (N, 1)), n=2))
    with_p = value(R.choice(KEY, (N,), np.array([5.0, 6.0, 7.0, 8.0]), p=p))

    assert (pairs[:, 0] != pairs[:, 1]).all()
    for i in range(4):
        for j in set(range(4)) - {i}:
            share = p[i] * p[j] / (1 - p[i])
            found = (pairs == [i, j]).all(1).mean()
            assert abs(found - share) < 4.5 * np.sqrt(share / N)
    np.testing.assert_allclose(np.bincount(with_p.astype(int) - 5) / N, p, atol=0.02)


def test_permutations_are_permutations():
    s = R.RandomStreams(2)
    order = value(s.permutation(size=(3000,), n=4))
    x = np.arange(12.0).reshape(3, 4)

    np.testing.assert_array_equal(np.sort(order), np.tile(np.arange(4), (3000, 1)))
    _, counts = np.unique(order, axis=0, return_counts=True)
    assert len(counts) == 24 and stats.chisquare(counts).pvalue > 1e-4
    rows = s.shuffle_row_elements(x)
    shuffled, taken = evaluate([rows, rows.permutation], {})
    np.testing.assert_array_equal(shuffled, np.take_along_axis(x, taken, -1))
    np.testing.assert_array_equal(np.sort(value(R.permuted(KEY, x, 0)), 0), x)
    np.testing.assert_array_equal(np.sort(value(R.permutation(KEY, x, 1)), 1), x)


def test_choice_without_replacement_takes_each_once():
    chosen = value(R.choice(KEY, (2, 5), 10, replace=False))
    rows = value(R.RandomStreams(1).choice(2, p=np.full((3, 4), 0.25), replace=False))

    assert sorted(chosen.ravel()) == list(range(10))
    assert rows.shape == (3, 2) and (rows[:, 0] != rows[:, 1]).all()


# --- what the conversions are made of ----------------------------------------------------


def test_the_points_of_the_normal_distribution_are_exact():
    v = 10.0 ** np.random.default_rng(0).uniform(-19, np.log10(0.5), 10**4)

    np.testing.assert_allclose(philox.upper_point(v), -stats.norm.ppf(v), 4e-15)
    small = v[v > 2.4e-10].astype("float32")
    expected = -stats.norm.ppf(small.astype("float64"))
    np.testing.assert_allclose(philox.upper_point(small), expected, 2e-6, 2e-7)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_logarithm_is_within_4_ulp(dtype):
    v = 10.0 ** np.random.default_rng(0).uniform(-9, 0, 10**5).astype(dtype)

    expected = np.log(v.astype("longdouble"))
    np.testing.assert_allclose(philox.logarithm(v), expected, 4 * np.finfo(dtype).eps)


def test_below_is_the_exact_quotient():
    words = np.random.default_rng(1).integers(0, 2**64, (2, 50), dtype="uint64")
    for size in (0, 1, 7, 2**32 + 5, 2**63 + 9, 2**64 - 1):
        got = philox.below(*words, np.uint64(size))

        exact = [((int(x) << 64) + int(y)) * size >> 128 for x, y in words.T]
        assert got.tolist() == exact


def test_log_factorial_is_exact_across_its_table():
    k = np.array([0, 1, 2, 62, 63, 64, 65, 1000, 10**6, 10**12], float)

    expected = [math.lgamma(x + 1) for x in k]
    np.testing.assert_allclose(samplers.log_factorial(k), expected, 1e-14, 1e-13)
