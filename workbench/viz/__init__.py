"""Everything that people see: text, pictures, and the inspector.

Every view is plain data first. :mod:`~workbench.viz.target` brings what is asked for
into one form; :mod:`~workbench.viz.facts` says all about it in dictionaries and lists,
with keys that stay the same from run to run (:mod:`~workbench.viz.keys`). From the
facts follows a :mod:`~workbench.viz.scene` of boxes and lines, with places from our own
:mod:`~workbench.viz.layout`; from the scene a :mod:`~workbench.viz.picture`, Graphviz's
:mod:`~workbench.viz.dot`, the static figure of :mod:`~workbench.viz.html`, and what the
:mod:`~workbench.viz.widgets` send to the page. :mod:`~workbench.viz.text` needs none of
them. :func:`~workbench.viz.show.show` joins all into a panel.

Facts and places are computed in Python, once, rather than in the page: so a stored
notebook shows and searches its graphs without a kernel, and tests look at data instead
of pixels. The layout is ours since none at hand draws gradients of 5,000 operations in
a second.
"""
