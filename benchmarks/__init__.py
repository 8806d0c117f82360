"""Workbench beside its peers, in one run: ``python -m benchmarks``.

What is measured
----------------
calls
    Seconds of one call of a compiled function that has run before: call overhead,
    elementwise chains, softmax and layer norm with their gradients, training steps,
    reductions, gathers and scatters, loops; once with one thread and once with two.
starts
    In a new process, seconds from the first line of the graph to the first result: the
    *first* program ever, in an empty cache folder; another program *cold* in that folder,
    then *warm*, when the folder holds it. Graphs of many operations come with their
    gradients. Beside them the most memory the process held, and how much it grew, after
    its imports, by the gradient of a long loop.
imports
    Seconds of ``import`` in a new process, the library's own NumPy included.

How
---
Each peer runs in a process of its own, with as many threads as all others, on as many
cores, with arrays of its own kind (a JAX array for JAX) that stay where they are. Before
a peer is timed its results, parameters after a step included, are compared with NumPy's:
a peer that computes something else gets no time. A peer that needs more than 120 seconds
to compile gets none either, and one whose process ends is started again for the next row.

Samples are interleaved: every peer gives one in turn while the processes of all others
stand still, and the peer that begins moves on from round to round, so that other work on
the machine meets all of them alike. A sample is the mean of as many calls as fill 10 ms,
after one that is not counted; the first round warms up and is dropped. The table shows
medians, and for Workbench and the fastest peer half the distance between the quartiles;
``--by minimum`` shows minima instead, which a busy machine disturbs less, and with one
thread ``--clock cpu`` counts the time that a process had a processor and leaves out the
time it waited for one.

A ratio is Workbench's time over that of the *fastest* peer of that row, so below 1 is
faster than all of them. ``must`` and ``aim`` are what a release holds and what
hand-written C reaches: ratios, or seconds where a unit stands beside them. ``limit`` is
what the machine needs for the memory traffic, the values of exp and tanh, and the matrix
products of a row, measured in the same rounds.

Read next: :mod:`benchmarks.workloads` for what is computed, :mod:`benchmarks.peers` for
how each library is asked, :mod:`benchmarks.harness` for the clock.
"""
