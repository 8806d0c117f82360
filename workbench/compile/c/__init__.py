"""The C back end.

``abi.h`` is the contract of a program with its host, ``prelude.h`` what every program builds
on. :mod:`~workbench.compile.c.emit` writes the program, with
:mod:`~workbench.compile.c.statements` (the loop language),
:mod:`~workbench.compile.c.settle` (sizes, checks, memory) and
:mod:`~workbench.compile.c.kernels` (library calls);
:mod:`~workbench.compile.c.toolchain` compiles and loads it,
:mod:`~workbench.compile.c.runner` calls it.

A program holds no Python and no names of the user's, so it can be kept, compared and given
away as it is.
"""
