"""From a graph to a fast function.

Every arrow is a function from one value to the next, and every value is kept in a
:class:`~workbench.compile.record.Compilation` and prints as text::

    Graph ──rewrite──▶ Graph + [Step] ──schedule──▶ [Unit] ──lower──▶ [Lowered]
      ──plan_memory──▶ Plan ──emit──▶ Program ──build──▶ Module ──make_runner──▶ Function

- :mod:`~workbench.compile.rewrite` and ``rules/``: equal, better graphs.
- :mod:`~workbench.compile.schedule`: which operations share a kernel, and why.
- :mod:`~workbench.compile.lower` and :mod:`~workbench.compile.loops`: kernels as loops.
- :mod:`~workbench.compile.memory`: which values share memory, what is done in place, what is
  committed last.
- ``c/``: loops as C, the compiler, the cache, the call.
- :mod:`~workbench.compile.pipeline`, :mod:`~workbench.compile.modes`,
  :mod:`~workbench.compile.function`: the stages in order, choices of them, and what users call.

Sizes are symbolic throughout: one compiled program serves arrays of any size. What else was
tried: planning one arena with offsets needs every size before the first kernel, and sizes
may depend on computed values; slots that only grow cost a comparison a call and need no
such rule.
"""
