"""The ops, by subject; each file may use those before it.

``elementwise`` < ``mathematics`` < ``shape`` < ``reduction`` < ``indexing`` < ``creation`` <
``linalg`` < ``nnet``. An op shares a file with its adjoint (slice with the op that puts a
slice back, take with its scatter), which keeps this order free of cycles.

To add an elementwise op: one class, one function, one row in ``tests/op_cases.py``.
"""
