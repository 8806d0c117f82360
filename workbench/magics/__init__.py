"""Magics: what a notebook adds to the functions, and nothing that a script lacks.

Each magic parses its line, calls one public function and shows the result
(:mod:`workbench.magics.lines`). ``%%symgraph`` is more: its body runs exactly as an
ordinary cell does, and after it one panel shows what the cell built
(:mod:`workbench.magics.symgraph`).

Its body is not run by the magic. A magic that runs a cell shifts line numbers, swallows
or doubles errors, and cannot ``await``; all three were tried. Instead an input
transformer blanks the first line, so that IPython runs the rest in place, and two
hooks, before and after the cell, do the watching. The magic of the same name is there
for help and completion, and for use below another cell magic.
"""
