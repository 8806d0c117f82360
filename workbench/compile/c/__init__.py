"""The C back end.

``abi.h`` is the contract of a program with its host, ``prelude.h`` what every program builds
on; other headers are included where something of them is used
(:mod:`~workbench.compile.c.headers`). :mod:`~workbench.compile.c.emit` writes the program, with
:mod:`~workbench.compile.c.statements` (the loop language, with ``lanes.h``),
:mod:`~workbench.compile.c.rows` (their last blocks),
:mod:`~workbench.compile.c.folding` (what needs no name),
:mod:`~workbench.compile.c.settle` (sizes, checks, memory) and
:mod:`~workbench.compile.c.kernels` (library calls);
:mod:`~workbench.compile.c.toolchain` compiles and loads it, in parts
(:mod:`~workbench.compile.c.pieces`, :mod:`~workbench.compile.c.modules`) where it is long;
:mod:`~workbench.compile.c.runner` calls it, by way of ``runner.c``: ``pool.h`` shares long loops
among threads, ``turns.h`` and ``long.h`` say when other Python threads run.

A program holds no Python and no names of the user's, so it can be kept, compared and given
away as it is.
"""
