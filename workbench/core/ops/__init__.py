"""The ops, by subject; each file may use those before it, in the order that ``tests/test_layout.py`` holds.

An op shares a file with its adjoint (slice with the op that puts a slice back, take with its
scatter), which keeps the order free of cycles. Where to look:

===================  =====================================================================
elements             ``ufunc`` (dtypes, casts) < ``elementwise`` < ``mathematics``, ``rounding``,
                     ``integers``, ``complexes``, ``floats``, ``logic``; special functions in ``erf``,
                     ``gamma``, ``beta``, ``bessel``, ``special``
shapes               ``shape`` < ``rearrange``, ``stacking``, ``padding``, ``grids``, ``diagonals``
axes                 ``reduction`` < ``moments``, ``nanfunctions``; ``running``, ``differences``,
                     ``sorting``, ``counting``, ``quantiles``, ``statistics``
places               ``slicing``, ``gathering``, ``joining``, ``masks`` < ``subscript`` < ``places``,
                     ``indexing``
linear algebra       ``linalg`` < ``products`` < ``einsum``, ``matrices``, ``solving``, ``factored``,
                     ``decompositions``, ``matrix_functions``, ``equations``, ``least_squares``
random numbers       ``random`` < ``draws``, ``distributions``, ``choices``, ``counts``
networks             ``nnet``, ``hierarchical``, ``normalization``, ``neighbours``; ``windows`` < ``pooling`` <
                     ``pools``
the rest             ``creation``, ``barriers`` (of gradients), ``checks``, ``control`` (what is
                     computed or not), ``blocks`` and ``blockwise`` (ops made of graphs)
===================  =====================================================================

To add an elementwise op: one class, one function, one row in ``tests/cases/``.
"""
