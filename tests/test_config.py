"""Flags: the three places they are read from, their checks, and how they are shown."""

import os
import subprocess
import sys

import pytest

from workbench.config import FLAGS, Config, ConfigWarning, config


@pytest.fixture
def environ(tmp_path):
    """An environment that reads no file of the person who runs the tests."""
    return {"XDG_CONFIG_HOME": str(tmp_path)}


def with_file(tmp_path, text):
    path = tmp_path / "flags.toml"
    path.write_text(text, encoding="utf-8")
    return {"WORKBENCH_CONFIG": str(path)}


def test_every_flag_has_a_default_and_a_meaning(environ):
    fresh = Config(environ)

    for name, flag in FLAGS.items():
        assert getattr(fresh, name) == flag.default
        assert flag.read(flag.default, "default").value == flag.default
        assert fresh.origin(name) == "default"
        assert flag.meaning and flag.expects
    assert fresh.floatX == "float64"
    assert fresh.mode == "FAST_RUN"


def test_environment_overrides_file_and_python_overrides_both(tmp_path):
    environ = with_file(
        tmp_path, 'floatX = "float32"\nmode = "DEBUG"\nblas_threads = 4\n'
    )
    environ["WORKBENCH_FLAGS"] = "mode=FAST_COMPILE, blas_threads=3"
    environ["WORKBENCH_BLAS_THREADS"] = "2"

    fresh = Config(environ)

    assert (fresh.floatX, fresh.mode, fresh.blas_threads) == (
        "float32",
        "FAST_COMPILE",
        2,
    )
    assert fresh.origin("floatX") == f"file {tmp_path / 'flags.toml'}"
    assert fresh.origin("mode") == "environment WORKBENCH_FLAGS"
    assert fresh.origin("blas_threads") == "environment WORKBENCH_BLAS_THREADS"
    fresh.floatX = "float16"
    assert (fresh.floatX, fresh.origin("floatX")) == ("float16", "Python")


def test_default_file_lies_in_the_configuration_folder(tmp_path):
    (tmp_path / "workbench").mkdir()
    (tmp_path / "workbench" / "config.toml").write_text('floatX = "float32"')

    assert Config({"XDG_CONFIG_HOME": str(tmp_path)}).floatX == "float32"


def test_cc_of_the_environment_is_honoured(environ):
    fresh = Config(environ | {"CC": "clang-17"})

    assert (fresh.cc, fresh.origin("cc")) == ("clang-17", "environment CC")
    named = Config(environ | {"CC": "clang-17", "WORKBENCH_CC": "gcc"})
    assert (named.cc, named.origin("cc")) == ("gcc", "environment WORKBENCH_CC")


@pytest.mark.parametrize(
    ("variables", "says"),
    [
        ({"WORKBENCH_FLAGS": "floatx=float32"}, "'floatx'; did you mean 'floatX'"),
        ({"WORKBENCH_FLOAT": "float32"}, "WORKBENCH_FLOAT sets .* did you mean"),
        ({"WORKBENCH_FLAGS": "zzz=1"}, "unknown flag 'zzz'; there are: floatX, "),
    ],
)
def test_unknown_flag_in_environment_warns_with_the_nearest(environ, variables, says):
    with pytest.warns(ConfigWarning, match=says):
        fresh = Config(environ | variables)

    assert fresh.floatX == "float64"


def test_unknown_flag_in_file_warns_and_names_the_file(tmp_path):
    environ = with_file(tmp_path, 'mood = "FAST_RUN"\n[gcc]\ncxxflags = "-O3"\n')

    with pytest.warns(ConfigWarning) as caught:
        Config(environ)

    texts = [str(each.message) for each in caught]
    assert all("flags.toml" in text for text in texts)
    assert "did you mean 'mode'?" in texts[0]
    assert "'gcc'" in texts[1]


def test_missing_file_that_was_asked_for_warns(tmp_path):
    with pytest.warns(ConfigWarning, match=r"no\.toml: No such file"):
        Config({"WORKBENCH_CONFIG": str(tmp_path / "no.toml")})


@pytest.mark.parametrize("text", [b"floatX = ", b"\xff\xfe"])
def test_damaged_file_is_an_error_that_names_it(tmp_path, text):
    environ = with_file(tmp_path, "")
    (tmp_path / "flags.toml").write_bytes(text)

    with pytest.raises(ValueError, match=r"configuration file .*flags\.toml is not"):
        Config(environ)


def test_unknown_attribute_is_an_error_with_the_nearest():
    with pytest.raises(AttributeError, match="'floatx'; did you mean 'floatX'"):
        config.floatx = "float32"
    with pytest.raises(AttributeError, match="'floatx'; did you mean 'floatX'"):
        config.origin("floatx")
    with pytest.raises(AttributeError):
        _ = config.floatx


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("floatX", "float8"),
        ("floatX", 32),
        ("mode", None),
        ("mode", "FAST"),
        ("optimizer", "o5"),
        ("optimizer", 3),
        ("linker", "cc"),
        ("optimizer_including", ["fusion"]),
        ("optimizer_excluding", "fusion inplace"),
        ("on_opt_error", "pdb"),
        ("cc", "-fplugin=evil.so"),
        ("cc", "@file"),
        ("cc", "gcc\n"),
        ("cc", b"gcc"),
        ("cache_dir", "a\0b"),
        ("cache_size", 0),
        ("cache_size", True),
        ("cache_size", 1.5),
        ("cache_size", "much"),
        ("cache_size", "9" * 5000),
        ("blas_threads", 0),
        ("blas_threads", True),
        ("blas_threads", 1.5),
        ("blas_threads", "two"),
        ("compile_timeout", 0),
        ("compile_timeout", "nan"),
        ("compile_timeout", None),
        ("cflags", 3),
        ("on_unused_input", "error"),
    ],
)
def test_wrong_value_says_what_is_allowed_and_changes_nothing(environ, name, value):
    fresh = Config(environ)

    with pytest.raises(ValueError, match=f"config.{name} cannot be ") as caught:
        setattr(fresh, name, value)

    assert f"Allowed: {FLAGS[name].expects}." in str(caught.value)
    assert fresh.origin(name) == "default"


def test_names_of_modes_are_taken_in_any_case(environ):
    fresh = Config(environ | {"WORKBENCH_FLAGS": "mode=fast_compile,optimizer=none"})

    assert (fresh.mode, fresh.optimizer) == ("FAST_COMPILE", "None")
    fresh.linker = "CVM"
    assert fresh.linker == "cvm"


def test_tags_stand_beside_each_other_with_colons(environ):
    fresh = Config(environ | {"WORKBENCH_OPTIMIZER_EXCLUDING": "fusion:finite_math"})

    assert fresh.optimizer_excluding == "fusion:finite_math"


def test_wrong_value_in_environment_names_its_variable(environ):
    with pytest.raises(ValueError, match=r"'f32' \(from environment WORKBENCH_FLAGS\)"):
        Config(environ | {"WORKBENCH_FLAGS": "floatX=f32"})


@pytest.mark.parametrize(
    "flag",
    "-O3 -O -Os -g -g3 -ggdb -gdwarf-5 -march=native -march=armv8.2-a -mavx2 "
    "-fno-math-errno -ffp-contract=off -fsanitize=address,undefined -Wall "
    "-Wno-unused -Wframe-larger-than=100 -DN -DN=3 -DEPS=1e-3 -UN".split(),
)
def test_ordinary_compiler_flag_is_taken(environ, flag):
    fresh = Config(environ)

    fresh.cflags = [flag]

    assert fresh.cflags == (flag,)


UNSAFE = """
    -fplugin=evil.so -fplugin=/x -fplugin-arg-x-y -fpass-plugin=x -ffast-math -Ofast
    -funsafe-math-optimizations -mdaz-ftz -Wl,-rpath,x -Wp,-include,x -Wa,--defsym
    -wrapper -fuse-ld=evil -fmodule-mapper=|evil -mllvm -fdump-tree-all=x
    -fopt-info=x.txt -fprofile-use=x -gcc-toolchain=/x -specs=x -B. -I/x -L/x -lx
    -include -xc++ -o -o/x -c -E @file /etc/passwd a.c -Df()=1 -DX=/x -D -O2;ls
    -O2$(ls) -O2`ls` -Xlinker -Xclang -load -T -pipe - -f -m -W --help
"""


@pytest.mark.parametrize("flag", [*UNSAFE.split(), "", "-O2 -g", "-DX=a b", "-O2\n", 3])
def test_unsafe_compiler_flag_is_refused_by_name(environ, flag):
    fresh = Config(environ)

    with pytest.raises(ValueError, match="is refused") as caught:
        fresh.cflags = ["-O2", flag]

    assert repr(flag) in str(caught.value)
    assert fresh.cflags == ()


def test_compiler_flags_may_be_one_text(environ):
    fresh = Config(environ | {"WORKBENCH_CFLAGS": "-O3 -march=native"})

    assert fresh.cflags == ("-O3", "-march=native")


def test_home_is_expanded_in_paths(environ, monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    fresh = Config(environ)

    fresh.cache_dir = "~/kernels"

    assert fresh.cache_dir == str(tmp_path / "kernels")


def test_change_restores_value_and_origin(environ):
    fresh = Config(environ | {"WORKBENCH_FLAGS": "floatX=float32"})

    with pytest.raises(KeyError), fresh.change(floatX="float16", mode="DEBUG"):
        assert (fresh.floatX, fresh.mode) == ("float16", "DEBUG")
        assert fresh.origin("floatX") == "Python"
        raise KeyError

    assert (fresh.floatX, fresh.mode) == ("float32", "FAST_RUN")
    assert fresh.origin("floatX") == "environment WORKBENCH_FLAGS"
    assert fresh.origin("mode") == "default"


def test_change_decorates_a_function_for_every_call(environ):
    fresh = Config(environ)

    @fresh.change(floatX="float32")
    def chosen():
        return fresh.floatX

    assert [chosen(), fresh.floatX, chosen()] == ["float32", "float64", "float32"]


@pytest.mark.parametrize(
    ("values", "error"),
    [
        ({"mode": "DEBUG", "floatX": "x"}, ValueError),
        ({"mode": "DEBUG", "floatx": "float32"}, AttributeError),
    ],
)
def test_change_sets_nothing_when_one_value_is_wrong(environ, values, error):
    fresh = Config(environ)

    with pytest.raises(error), fresh.change(**values):
        pass

    assert fresh.origin("mode") == "default"


def test_table_shows_value_origin_and_meaning_of_each_flag(environ):
    fresh = Config(environ | {"WORKBENCH_FLAGS": "mode=DEBUG"})

    lines = str(fresh).splitlines()

    assert [line.split()[0] for line in lines] == ["flag", *FLAGS]
    assert lines[2].split()[:4] == ["mode", "DEBUG", "environment", "WORKBENCH_FLAGS"]
    columns = [
        line.index(flag.meaning)
        for line, flag in zip(lines[1:], FLAGS.values(), strict=True)
    ]
    assert len(set(columns)) == 1


def test_table_in_a_page_sets_values_as_text(environ):
    fresh = Config(environ | {"CC": "<script>alert(1)</script>"})

    page = fresh._repr_html_()

    assert "<script>" not in page
    assert "&lt;script&gt;alert(1)" in page


def test_process_environment_is_read_at_import():
    code = "from workbench.config import config; print(config.floatX)"
    environ = os.environ | {"WORKBENCH_FLOATX": "float32"}

    out = subprocess.run(
        [sys.executable, "-c", code], env=environ, capture_output=True, text=True
    )

    assert out.stdout == "float32\n", out.stderr
