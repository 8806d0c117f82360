"""From a graph to a fast function.

Every arrow is a function from one value to the next, and every value is kept in a
:class:`~workbench.compile.record.Compilation` and prints as text::

    Graph ──rewrite──▶ Graph + [Step] ──schedule──▶ [Unit] ──lower──▶ [Lowered]
      ──plan_memory──▶ Plan ──emit──▶ Program ──build──▶ Module ──make_runner──▶ Function

- :mod:`~workbench.compile.rule`, :mod:`~workbench.compile.context`,
  :mod:`~workbench.compile.rewrite` and ``rules/``: equal, better graphs;
  :mod:`~workbench.compile.refusals`: why not.
- :mod:`~workbench.compile.branches`: what only a branch needs, which is run or not.
- :mod:`~workbench.compile.schedule`: which operations share a kernel, and why, by what each
  reads (:mod:`~workbench.compile.tracing`).
- :mod:`~workbench.compile.lower` and :mod:`~workbench.compile.loops`: kernels as loops;
  :mod:`~workbench.compile.ranges`: which of them threads may share.
- :mod:`~workbench.compile.memory`: which values share memory, what is done in place, what is
  committed last.
- ``c/``: loops as C, the compiler, the cache, the call.
- :mod:`~workbench.compile.pipeline`, :mod:`~workbench.compile.modes`,
  :mod:`~workbench.compile.function`: the stages in order, choices of them, and what users call;
  :mod:`~workbench.compile.background` and :mod:`~workbench.compile.progress`: for who waits;
  :mod:`~workbench.compile.remembered`: programs found by their graphs, all stages left out.

Sizes are symbolic throughout: one compiled program serves arrays of any size. What else was
tried: planning one arena with offsets needs every size before the first kernel, and sizes
may depend on computed values; slots that only grow cost a comparison a call and need no
such rule. A program was one C file at first: then one processor compiles while
the others wait, and an edit compiles everything anew. A compiler for each kernel is worse,
because each takes 30 ms before it has read the first line of ours; so the kernels that are not
found are put into as many files as there are processors.
"""
