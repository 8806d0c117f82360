"""Rows of the table of ops, a file for each part of the language; :mod:`tests.op_cases` joins them."""
