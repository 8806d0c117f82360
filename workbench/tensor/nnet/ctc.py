"""Connectionist temporal classification: ``T.nnet.ctc.ctc``."""

from workbench.core.ctc import ctc

__all__ = ["ctc"]
