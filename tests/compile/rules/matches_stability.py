"""Graphs that the rules of stable forms match: more of `matches`."""
