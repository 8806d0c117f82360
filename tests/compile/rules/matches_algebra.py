"""Graphs that the rules of algebra, powers, choices and reductions match: more of `matches`."""
