"""Names that programs of the Theano tradition use, and what they mean here.

An optimizer is a set of tags; a linker is a back end; a tag or rule with an obvious
equivalent is known by its old name, too. Case does not matter.

Read next: :mod:`workbench.compile.modes`.
"""

from __future__ import annotations

STABLE = frozenset({"canonical", "stability"})
"""The stages that keep numbers stable."""

ALL = STABLE | {"algebra", "blas"}
"""All stages but the unsafe one."""

MEMORY = frozenset({"fusion", "inplace"})
"""What the scheduler and the memory plan may do: share loops, and take over memory."""

OPTIMIZERS: dict[str, frozenset[str]] = {
    "fast_run": ALL | MEMORY,
    "o4": ALL | MEMORY,
    "o3": ALL | {"fusion"},
    "o2": ALL,
    "o1": STABLE | {"fusion"},
    "fast_compile": STABLE | MEMORY,
    "stabilize": STABLE | MEMORY,
    "merge": frozenset({"merge"}),
    "unsafe": ALL | MEMORY | {"unsafe"},
    "none": frozenset(),
}
"""For each name of an optimizer the tags it stands for. All but ``none`` merge equal nodes."""

LINKERS: dict[str, str] = {
    "c": "c",
    "c|py": "c",
    "c|py_nogc": "c",
    "vm": "c",
    "vm_nogc": "c",
    "cvm": "c",
    "cvm_nogc": "c",
    "py": "numpy",
    "numpy": "numpy",
    "debug": "debug",
}
"""For each name of a linker the back end."""

SWITCHES: dict[str, str] = {
    "fusion": "operations share loops, and cheap ones are computed again",
    "inplace": "a result takes over the memory of what it was computed from",
    "merge": "equal operations are done once; part of every choice of rules",
}
"""Tags that choose no rules, and what they allow."""

ALIASES: dict[str, str] = {
    # stages
    "canonicalize": "canonical",
    "canonicalise": "canonical",
    "useless": "canonical",
    "stabilise": "stability",
    "specialize": "algebra",
    "specialise": "algebra",
    "blasopt": "blas",
    "blas_opt": "blas",
    "gemm_optimizer": "gemm",
    "local_dot22_to_ger_or_gemv": "blas",
    "local_gemm_to_ger": "blas",
    "local_gemm_to_gemv": "blas",
    # loops and memory
    "elemwise_fusion": "fusion",
    "local_elemwise_fusion": "fusion",
    "inplace_opt": "inplace",
    "inplace_optimizer": "inplace",
    "inplace_elemwise_opt": "inplace",
    "inplace_elemwise_optimizer": "inplace",
    "blas_opt_inplace": "inplace",
    "inplaceblasopt": "inplace",
    "c_blas_destructive": "inplace",
    "local_inplace_setsubtensor": "inplace",
    "local_inplace_incsubtensor1": "inplace",
    "random_make_inplace": "inplace",
    # merging and checks
    "merge1": "merge",
    "merge2": "merge",
    "mergeoptimizer": "merge",
    "local_remove_all_assert": "unsafe",
    # loops
    "scan": "loops",
    "scan_opt": "loops",
    "scan_eqopt1": "loops",
    "scan_eqopt2": "loops",
    "scan_merge": "loops_with_equal_states",
    "scanop_merge": "loops_with_equal_states",
    "scanop_merge_inouts": "equal_parts_of_loop",
    "scanop_remove_constants_and_unused_inputs": "unread_parts_of_loop",
    "scanop_save_mem": "rows_that_are_read",
    "scan_save_mem": "rows_that_are_read",
    "scanop_pushout_nonseqs_ops": "same_at_every_step",
    "scanop_pushout_seqs_ops": "products_before_loop",
    "scanop_pushout_output": "products_after_loop",
    "scan_pushout_dot1": "sums_after_loop",
    "scanop_make_inplace": "inplace",
    # single rules
    "constant_folding": "fold_constants",
    "topo_constant_folding": "fold_constants",
    "inline_ofg_expansion": "inlining",
    "shapeopt": "size_of_argument",
    "local_shape_to_shape_i": "shape_as_sizes",
    "local_fill_to_alloc": "fill_as_broadcast",
    "local_dimshuffle_lift": "dimshuffle_of_dimshuffle",
    "local_reshape_chain": "reshape_of_reshape",
    "local_cast_cast": "cast_of_cast",
    "local_neg_neg": "neg_of_neg",
    "local_log1p": "log_of_1_plus",
    "local_expm1": "exp_minus_1",
}
"""Tags and rules of the tradition, in lower case, and their equivalents."""
