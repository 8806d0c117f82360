"""Modes: by their names here and in the tradition, changed, and by flags."""

import pickle

import numpy as np
import pytest

import workbench as wb
import workbench.tensor as T
from workbench.compile.modes import MODES, Mode, check_tags, get_mode, known_tags
from workbench.compile.names import ALIASES, LINKERS, OPTIMIZERS
from workbench.config import MODE_NAMES, config

X = np.linspace(-2, 2, 12).reshape(3, 4)


def ops(f):
    return [node.op.name for node in f.compilation.after.nodes()]


def model():
    """What is made stable, and what a rule of finite_math changes."""
    x = T.matrix("x")
    y = T.log(1 + T.exp(x)) + T.tanh(0.0 - x)
    return x, y


# --- names


@pytest.mark.parametrize("name", [*MODES, *OPTIMIZERS, "fast_run", "none", "DebugMode"])
def test_every_name_of_a_mode_or_an_optimizer_gives_a_function(name):
    x, y = model()

    f = wb.function([x], y, mode=name.swapcase())

    np.testing.assert_allclose(f(X + 3), np.log1p(np.exp(X + 3)) - np.tanh(X + 3))


@pytest.mark.parametrize("linker", LINKERS)
def test_every_linker_runs_the_same_rewrites(linker):
    x, y = model()

    f = wb.function([x], y, mode=Mode(linker, "fast_run"))

    assert "softplus" in ops(f)
    assert f.compilation.backend == ("numpy" if linker in ("py", "numpy") else "c")
    assert f.mode.linker == {"py": "py", "numpy": "py", "debug": "debug"}.get(
        linker, "c"
    )


def test_a_mode_made_of_parts_is_the_mode_of_that_name():
    assert Mode("py", "fast_compile") == get_mode("FAST_COMPILE")
    assert Mode("CVM", "Fast_Run") == get_mode("FAST_RUN")
    assert Mode("py", None) == get_mode("None")
    assert Mode("c", "fast_run").name == "FAST_RUN"
    assert hash(Mode("c", "o4")) == hash(get_mode("FAST_RUN"))
    assert Mode("c", "o2") != get_mode("FAST_RUN")


def test_optimizers_do_what_their_names_say():
    x, y = model()
    done = {
        name: ops(wb.function([x], [y, T.exp(x)], mode=Mode("py", name)))
        for name in OPTIMIZERS
    }

    assert "softplus" in done["stabilize"] and "sub" in done["stabilize"]
    assert "softplus" in done["o1"] and "sub" in done["fast_compile"]
    assert "sub" not in done["fast_run"] and "sub" not in done["o2"]
    assert done["none"].count("exp") == 2
    assert done["merge"].count("exp") == 1 and "log" in done["merge"]


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: get_mode("FASTRUN"), "'FAST_RUN'"),
        (lambda: Mode("cv", "fast_run"), "no linker 'cv'; did you mean 'c"),
        (lambda: Mode("c", "fast-run"), "no optimizer 'fast-run'; did you mean 'fast_run'"),
        (lambda: Mode("c", ["canonicals"]), "did you mean 'canonical'"),
        (lambda: Mode().excluding("fussion"), "did you mean 'fusion'"),
        (lambda: Mode().including("inplase"), "did you mean 'inplace'"),
        (lambda: Mode().requiring("finite_maths"), "did you mean 'finite_math'"),
        (lambda: Mode().excluding("merge"), "merging cannot be excluded"),
        (lambda: Mode().register(stage="algebras"), "there is no stage 'algebras'"),
        (lambda: wb.function([], T.constant(1.0), mode="o5"), "no mode 'o5'"),
    ],
)  # fmt: skip
def test_an_unknown_name_is_refused_with_the_nearest(make, says):
    with pytest.raises(ValueError, match=says):
        make()


def test_old_names_of_tags_and_rules_have_an_equivalent():
    known = known_tags()

    assert {new for new in ALIASES.values() if new not in known} == set()
    assert not ALIASES.keys() & known
    assert check_tags(["BlasOpt", "canonicalize"]) == {"blas", "canonical"}
    assert check_tags(["fast_run"]) == OPTIMIZERS["fast_run"]


# --- changed modes


def test_rules_are_taken_away_and_added_by_tag_and_by_name():
    x, y = model()
    fast = get_mode("FAST_RUN")

    def of(mode):
        return ops(wb.function([x], y, mode=mode))

    assert "sub" not in of(fast)
    assert "sub" in of(fast.excluding("finite_math"))
    assert "sub" not in of(fast.excluding("finite_math").including("finite_math"))
    assert "softplus" not in of(fast.excluding("stabilize"))
    assert "softplus" not in of(get_mode("None"))
    assert fast.excluding("finite_math").name == "FAST_RUN-finite_math"


def test_required_tags_leave_only_rules_that_have_them():
    rules = {
        rule.name
        for _, rules in get_mode("FAST_RUN").requiring("finite_math").stages()
        for rule in rules
    }

    assert "plus_zero" in rules
    assert "neg_of_neg" not in rules


def test_a_mode_has_rules_of_its_own():
    @wb.identity
    def sine_of_itself(x):
        """Wrong, and only where it is asked for."""
        return T.sin(T.sin(x)), x

    x = T.vector("x")
    mode = get_mode("FAST_COMPILE").register(sine_of_itself, stage="canonical")

    assert ops(wb.function([x], T.sin(T.sin(x)) + 1, mode=mode)) == ["add"]
    assert "sin" in ops(wb.function([x], T.sin(T.sin(x)) + 1, mode="FAST_COMPILE"))
    assert mode.name == "FAST_COMPILE+sine_of_itself"


def test_a_clone_keeps_what_was_excluded():
    mode = get_mode("FAST_RUN").excluding("finite_math").clone("py")

    assert (mode.backend, mode.excluded) == ("numpy", {"finite_math"})
    assert mode.clone(optimizer=None).tags == frozenset()


def test_modes_are_pickled():
    mode = get_mode("FAST_RUN").excluding("fusion", "finite_math")

    again = pickle.loads(pickle.dumps(mode))

    assert again == mode
    assert again.name == mode.name


# --- loops and memory


def loops(f):
    return [kernel for kernel in f.compilation.kernels if kernel.kind == "loops"]


@pytest.mark.parametrize("tag", ["fusion", "elemwise_fusion"])
def test_without_fusion_every_operation_has_loops_of_its_own(tag):
    x = T.matrix("x")
    y = T.exp(x) * 2 + T.tanh(x)

    fused = wb.function([x], [y, y.sum()])
    plain = wb.function([x], [y, y.sum()], mode=get_mode("FAST_RUN").excluding(tag))

    assert len(loops(fused)) < len(loops(plain))
    assert all(len(kernel.nodes) == 1 for kernel in plain.compilation.kernels)
    for a, b in zip(fused(X), plain(X), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-14)


@pytest.mark.parametrize("tag", ["inplace", "inplace_elemwise_optimizer"])
def test_without_inplace_nothing_takes_over_memory(tag):
    def step(mode):
        x = T.matrix("x")
        w = wb.shared(np.ones((4, 4)), "w")
        a = T.dot(T.tanh(T.dot(x, w)), w)
        f = wb.function([x], a.sum(), updates=[(w, w - 0.1 * T.dot(x.T, a))], mode=mode)
        cost = f(X)
        return f, cost, w.get_value()

    f, cost, w = step("FAST_RUN")
    g, other_cost, other_w = step(get_mode("FAST_RUN").excluding(tag))

    assert any(kernel.in_place for kernel in f.compilation.kernels)
    assert not any(kernel.in_place for kernel in g.compilation.kernels)
    assert not any(kernel.commits for kernel in g.compilation.kernels)
    np.testing.assert_allclose(other_cost, cost, rtol=1e-13)
    np.testing.assert_allclose(other_w, w, rtol=1e-13)


# --- flags and registered names


def test_flags_choose_the_mode_of_functions_that_name_none():
    with config.change(optimizer="fast_compile", linker="py"):
        assert wb.get_default_mode() == get_mode("FAST_COMPILE")
        assert get_mode("FAST_RUN").backend == "c"
    with config.change(mode="none", optimizer_including="stabilize:fusion"):
        mode = wb.get_default_mode()
        assert mode.backend == "numpy"
        assert mode.tags == OPTIMIZERS["stabilize"]
    with config.change(optimizer_excluding="finite_math:inplace"):
        assert get_mode() == get_mode("FAST_RUN").excluding("finite_math", "inplace")
    with config.change(optimizer_requiring="finite_math"):
        assert get_mode(None) == get_mode("FAST_RUN").requiring("finite_math")
    assert get_mode() == get_mode("FAST_RUN")


def test_a_flag_with_an_unknown_tag_is_named():
    with (
        config.change(optimizer_excluding="fussion"),
        pytest.raises(ValueError, match=r"config\.optimizer_excluding: .* 'fusion'"),
    ):
        wb.get_default_mode()


def test_flags_take_names_in_any_case():
    with config.change(mode="fast_compile", optimizer="NONE", linker="CVM"):
        assert (config.mode, config.optimizer, config.linker) == ("FAST_COMPILE", "None", "cvm")  # fmt: skip


def test_a_registered_mode_has_a_name(monkeypatch):
    monkeypatch.setattr("workbench.compile.modes.MODES", dict(MODES))
    wb.register_mode("careful", get_mode("FAST_RUN").excluding("finite_math"))

    try:
        assert get_mode("CAREFUL") == get_mode("FAST_RUN").excluding("finite_math")
        with config.change(mode="Careful"):
            assert wb.get_default_mode().name == "careful"
        with pytest.raises(ValueError, match="there is a mode 'careful' already"):
            wb.register_mode("Careful", get_mode("None"))
    finally:
        MODE_NAMES.remove("careful")
