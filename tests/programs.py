"""Small programs written by hand, for tests of what calls them."""

from workbench.compile.c.runner import make_runner
from workbench.compile.c.toolchain import ABI, build

HEAD = ABI.read_text(encoding="utf-8") + "\n#include <stdlib.h>\n"
HEAD += (
    "const int64_t wb_abi = WB_ABI;\nvoid wb_bind(void *const *blas) { (void)blas; }\n"
)


def program(steps, before=""):
    """A module whose steps are the given C statements, over `c`, the call.

    `before` is C text in front of them.
    """
    cases = "\n".join(f"case {i}: {{ {text} }} break;" for i, text in enumerate(steps))
    source = f"""{HEAD}
{before}
int wb_run(wb_call *c, int64_t first, int64_t last) {{
  for (int64_t s = first; s < last; s++) switch (s) {{ {cases} }}
  return WB_OK;
}}"""
    return build(source, "test")


def fail_mismatch(args, kwargs):
    raise TypeError("mismatch", args, kwargs)


def fail_failure(failure, args):
    raise ValueError("failure", failure, args)


def runner(steps, kind, before="", **changes):
    """A caller of such a program; by default it takes a float64 vector and makes one."""
    options = dict(
        arguments=[("x", "float64", (None,))],
        shared=[],
        outputs=[("float64", 1)],
        updates=[],
        n_visible=1,
        single=True,
        n_slots=1,
        n_values=1,
        n_sizes=1,
        n_steps=len(steps),
        on_mismatch=fail_mismatch,
        on_failure=fail_failure,
        kind=kind,
    )
    return make_runner(program(steps, before), **{**options, **changes})


def allocate(output, n):
    """C text that makes an output of n float64, called y."""
    return f"""
    c->output[{output}].shape[0] = {n};
    double *y = c->alloc(c, {output});
    if (!y) {{ c->failure.a = 8 * ({n}); return WB_OUT_OF_MEMORY; }}
    """


ADD_ONE = (
    allocate(0, "c->input[0].shape[0]")
    + """
    const double *x = c->input[0].data;
    for (int64_t i = 0; i < c->input[0].shape[0]; i++) y[i] = x[i] + 1;
    """
)
