"""Shared variables under the path of the Theano tradition: ``T.sharedvar.SharedVariable``."""

from workbench.core.graph import Shared, shared

SharedVariable = TensorSharedVariable = ScalarSharedVariable = Shared

__all__ = ["ScalarSharedVariable", "SharedVariable", "TensorSharedVariable", "shared"]
