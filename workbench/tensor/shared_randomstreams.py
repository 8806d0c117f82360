"""The tradition's place of :class:`~workbench.core.streams.RandomStreams`; ``T.random`` has all."""

from workbench.core.streams import RandomStreams

__all__ = ["RandomStreams"]
