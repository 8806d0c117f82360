"""Random numbers that are new at every call: streams with a state.

``srng = RandomStreams(seed)``; each ``srng.uniform(size=(3,))`` is a variable with a stream
of its own, whose key is derived from the seed and the number of the draw. The key and a
counter of calls live in a shared variable; its ``default_update`` counts on, so a compiled
function gives new numbers at every call, and the same ones in every process that asks in the
same order. Two uses of one variable in one function are one draw.

The functions beneath take a key and have no state: :mod:`workbench.core.ops.distributions`.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Any

import numpy as np

from workbench.core import philox
from workbench.core.graph import Shared, Variable, as_variable, shared
from workbench.core.ops import choices, counts, distributions
from workbench.core.ops.draws import seed_word
from workbench.core.ops.indexing import take_along_axis
from workbench.core.ops.shape import sizes_of
from workbench.core.types import Array


class RandomStreams:
    """Random variables, each with a stream of its own.

    Every variable has attributes ``rng``, the shared state of its stream, and ``update``,
    the pair of that state and its next value; the latter is the state's default update.

    Parameters
    ----------
    seed
        A whole number, or several; None for one that differs each time.

    Notes
    -----
    All methods take ``size`` (an int, a tuple that may hold variables, an integer vector;
    None for the shape of the parameters), ``ndim`` (needed where the size is a vector of
    unknown length), ``dtype``, and ``nstreams``, which has no effect.

    Examples
    --------
    >>> from workbench import function
    >>> srng = RandomStreams(1)
    >>> draw = function([], srng.uniform(size=(2,)), mode="FAST_COMPILE")
    >>> first, second = draw(), draw()
    >>> bool((first == second).any())
    False
    """

    def __init__(self, seed: Any = None) -> None:
        self.state_updates: list[tuple[Shared, Variable]] = []
        self.default_instance_seed = secrets.randbits(64) if seed is None else seed
        self._base = 0
        self.set_rstate(self.default_instance_seed)

    # --- streams and seeds ---------------------------------------------------------------

    def seed(self, seed: Any = None) -> None:
        """Start every stream anew from `seed`, or from the one given at first."""
        self.set_rstate(self.default_instance_seed if seed is None else seed)
        for number, (state, _) in enumerate(self.state_updates):
            state.set_value(self._state(number), borrow=True)

    def set_rstate(self, seed: Any) -> None:
        """Take another seed for the streams still to be made; the others go on."""
        self._base = philox.mix(seed_word(seed))

    def updates(self) -> list[tuple[Shared, Variable]]:
        """The states of all streams with their next values, as ``function`` takes them."""
        return list(self.state_updates)

    def _state(self, number: int) -> Array:
        """The first state of stream `number`: keys of one seed all differ."""
        word = (self._base + number * 0x9E3779B97F4A7C15) % 2**64
        return np.array([philox.mix(word), 0], "uint64")

    def next_key(self) -> Shared:
        """The state of a new stream, which is a key that changes with every call."""
        state = shared(self._state(len(self.state_updates)), borrow=True, shape=(2,))
        state.name = f"rng{len(self.state_updates)}"
        state.tag.is_rng = True
        state.default_update = distributions.advance(state)
        self.state_updates.append((state, state.default_update))
        return state

    def gen(self, draw: Callable[..., Variable], *args: Any, **kwargs: Any) -> Variable:
        """``draw(key, *args, **kwargs)`` with the key of a new stream."""
        state = self.next_key()
        made: Any = draw(state, *args, **kwargs)
        made.rng = made.rstate = state
        made.update = (state, state.default_update)
        return made  # type: ignore[no-any-return]

    # --- continuous ----------------------------------------------------------------------

    def uniform(
        self,
        size: Any = None,
        low: Any = 0.0,
        high: Any = 1.0,
        ndim: int | None = None,
        dtype: str | None = None,
        nstreams: int | None = None,
    ) -> Variable:
        """Evenly in [low, high)."""
        return self.gen(distributions.uniform, size, low, high, dtype, ndim)

    def normal(
        self,
        size: Any = None,
        avg: Any = 0.0,
        std: Any = 1.0,
        ndim: int | None = None,
        dtype: str | None = None,
        nstreams: int | None = None,
        loc: Any = None,
        scale: Any = None,
    ) -> Variable:
        """Normal with mean `avg` (or `loc`) and standard deviation `std` (or `scale`)."""
        avg, std = avg if loc is None else loc, std if scale is None else scale
        return self.gen(distributions.normal, size, avg, std, dtype, ndim)

    def truncated_normal(
        self,
        size: Any = None,
        avg: Any = 0.0,
        std: Any = 1.0,
        ndim: int | None = None,
        dtype: str | None = None,
        nstreams: int | None = None,
        lower: float = -2.0,
        upper: float = 2.0,
    ) -> Variable:
        """Normal, but only between `lower` and `upper` standard deviations from the mean."""
        return self.gen(
            distributions.truncated_normal, size, avg, std, lower, upper, dtype, ndim
        )

    # --- whole numbers -------------------------------------------------------------------

    def integers(
        self,
        size: Any = None,
        low: Any = 0,
        high: Any = None,
        ndim: int | None = None,
        dtype: str = "int64",
        nstreams: int | None = None,
        endpoint: bool = False,
    ) -> Variable:
        """Whole numbers in [low, high), or in [0, low) without `high`."""
        return self.gen(counts.integers, size, low, high, dtype, endpoint, ndim)

    def random_integers(
        self,
        size: Any = None,
        low: Any = 0,
        high: Any = 1,
        ndim: int | None = None,
        dtype: str = "int64",
        nstreams: int | None = None,
    ) -> Variable:
        """Whole numbers from `low` to `high`, which is one of them."""
        return self.gen(counts.integers, size, low, high, dtype, True, ndim)

    def binomial(
        self,
        size: Any = None,
        n: Any = 1,
        p: Any = 0.5,
        ndim: int | None = None,
        dtype: str = "int64",
        nstreams: int | None = None,
        prob: Any = None,
    ) -> Variable:
        """Successes among `n` trials, each with probability `p` (or `prob`)."""
        p = p if prob is None else prob
        return self.gen(counts.binomial, size, n, p, dtype, ndim)

    # --- choices -------------------------------------------------------------------------

    def multinomial(
        self,
        size: Any = None,
        n: Any = 1,
        pvals: Any = (0.5, 0.5),
        ndim: int | None = None,
        dtype: str = "int64",
        nstreams: int | None = None,
    ) -> Variable:
        """How often each category comes up in `n` trials, along a last axis; `dtype` "auto" is that of `pvals`."""
        dtype = as_variable(pvals).dtype if dtype == "auto" else dtype
        return self.gen(choices.multinomial, size, n, pvals, dtype, ndim)

    def choice(
        self,
        size: Any = (),
        a: Any = None,
        replace: bool = True,
        p: Any = None,
        ndim: int | None = None,
        dtype: str = "int64",
        nstreams: int | None = None,
    ) -> Variable:
        """Things out of `a` (whole numbers below it, or its entries), with probabilities `p`.

        With `p` [rows, k] and no `a`, `size` categories are chosen for each row: [rows, size].
        """
        if a is None and p is not None:
            p = as_variable(p)
            if p.ndim == 2:
                return self.gen(choices.choose_in_rows, p, size, dtype, replace)
            a = sizes_of(p)[0]
        a = 2 if a is None else a
        return self.gen(choices.choice, size, a, replace, p, dtype, ndim)

    def multinomial_wo_replacement(
        self,
        size: Any = None,
        n: Any = 1,
        pvals: Any = None,
        replace: bool = False,
        ndim: int | None = None,
        dtype: str = "int64",
        nstreams: int | None = None,
    ) -> Variable:
        """`n` different categories for each row of `pvals` [rows, k]: [rows, n]."""
        if pvals is None:
            raise TypeError("multinomial_wo_replacement needs pvals.")
        return self.gen(choices.choose_in_rows, pvals, n, dtype, replace)

    def permutation(
        self,
        size: Any = None,
        n: Any = 1,
        ndim: int | None = None,
        dtype: str = "int64",
        nstreams: int | None = None,
    ) -> Variable:
        """The numbers below `n` in random order, once for each place of `size`."""
        size = () if size is None else size
        return self.gen(choices.permutations, size, n, dtype, ndim)

    def shuffle_row_elements(self, input: Any) -> Variable:
        """`input` with each row shuffled; attribute ``permutation`` is the order taken."""
        x = as_variable(input)
        *front, length = sizes_of(x)
        order = self.permutation(size=front, n=length)
        made: Any = take_along_axis(x, order, -1)
        made.permutation = order
        return made  # type: ignore[no-any-return]


def _method(draw: Callable[..., Variable]) -> Callable[..., Variable]:
    """A method of streams from a function of a key: size first, then its parameters."""

    def method(
        self: RandomStreams,
        size: Any = None,
        *parameters: Any,
        nstreams: int | None = None,
        **named: Any,
    ) -> Variable:
        return self.gen(draw, size, *parameters, **named)

    method.__name__ = draw.__name__
    method.__qualname__ = f"RandomStreams.{draw.__name__}"
    method.__doc__ = draw.__doc__
    return method


FURTHER = (
    distributions.beta,
    distributions.cauchy,
    distributions.chisquare,
    distributions.dirichlet,
    distributions.exponential,
    distributions.f,
    distributions.gamma,
    distributions.gumbel,
    distributions.laplace,
    distributions.logistic,
    distributions.lognormal,
    distributions.multivariate_normal,
    distributions.noncentral_chisquare,
    distributions.pareto,
    distributions.power,
    distributions.rayleigh,
    distributions.standard_t,
    distributions.triangular,
    distributions.truncated_normal,
    distributions.vonmises,
    distributions.wald,
    distributions.weibull,
    counts.bernoulli,
    counts.geometric,
    counts.hypergeometric,
    counts.logseries,
    counts.negative_binomial,
    counts.poisson,
    counts.zipf,
    choices.categorical,
)
"""Distributions that streams offer as they are, a size in place of the key."""

for _draw in FURTHER:
    if not hasattr(RandomStreams, _draw.__name__):
        setattr(RandomStreams, _draw.__name__, _method(_draw))


class MRG_RandomStreams(RandomStreams):
    """The tradition's other name; its seed is 12345 unless another is given.

    The generator is Philox here as well, so the numbers are not those of MRG31k3p.
    """

    def __init__(self, seed: Any = 12345, use_cuda: Any = None) -> None:
        super().__init__(seed)
