"""Calls of functions that bear a NumPy or SciPy name, compared with NumPy and SciPy.

:mod:`tests.corpus.calls` says what a call is and when two outcomes agree; the files beside it
make calls, one for each part of the language; :mod:`tests.corpus.differences` lists what
differs on purpose, each with its reason. :mod:`tests.core.test_corpus` runs them all.
"""
