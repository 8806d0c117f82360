"""Workbench beside its peers, in one run: ``python -m benchmarks``.

What is measured
----------------
calls
    Seconds of one call of a compiled function that has run before: call overhead, a
    chain of elementwise operations at three sizes, softmax, a training step.
starts
    In a new process, seconds from the first line of the graph to the first result: the
    *first* program ever, in an empty cache folder; another program *cold* in that folder,
    then *warm*, when the folder holds it. Beside them the most memory the process held.
imports
    Seconds of ``import`` in a new process, the library's own NumPy included.

How
---
Each peer runs in a process of its own, on one thread and pinned to one core, with
arrays of its own kind (a JAX array for JAX) that stay where they are. Before a peer is
timed its result is compared with NumPy's: a peer that computes something else gets no
time.

Samples are interleaved: every peer gives one in turn, and the peer that begins moves on
from round to round, so that other work on the machine meets all of them alike. A sample
is the mean of as many calls as fill 10 ms; the first round warms up and is dropped. The
table shows medians, and for Workbench the half distance between the quartiles;
``--by minimum`` shows minima instead, which a busy machine disturbs less.

A ratio is Workbench's time over that of the *fastest* peer of that row, so below 1 is
faster than all of them. ``must`` and ``aim`` are what a release holds and what
hand-written C reaches: ratios, or seconds where a unit stands beside them.

Read next: :mod:`benchmarks.workloads` for what is computed, :mod:`benchmarks.peers` for
how each library is asked, :mod:`benchmarks.harness` for the clock.
"""
