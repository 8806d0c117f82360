"""Graphs that the rules of shapes, indexing, joins, checks, linear algebra and BLAS match: more of `matches`."""
