"""What a computation means; needs nothing but NumPy.

A :class:`~workbench.core.graph.Variable` stands for a value, an
:class:`~workbench.core.graph.Apply` for an operation on values, an
:class:`~workbench.core.op.Op` for what an operation means. An op says everything about
itself in one place: its type rule, its reference in NumPy, its derivative, its scalar text.

In the order in which the files build on each other::

    errors, types, source       what can be said of a value; which line of the user's made it
    graph, op                   variables and operations, and the walks over them
    ops/                        the language
    operators, gradient,        methods of variables; derivatives; a graph run in NumPy, which
    evaluate, printing          is what every back end must match; a graph as text

Two decisions run through all of it. *Nothing is edited in place*: graphs are values, and a
rewrite makes new nodes. *Where a node came from is kept by whoever makes nodes*, never by
each rule's care: see :mod:`workbench.core.source`.
"""
