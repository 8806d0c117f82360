"""Flags: what a user may choose, what it means, and where each choice came from.

A flag is read from three places, the later one winning:

- a file, ``~/.config/workbench/config.toml`` or the path in ``WORKBENCH_CONFIG``;
- the environment: ``CC``, then ``WORKBENCH_FLAGS="floatX=float32,mode=FAST_COMPILE"``,
  then single variables such as ``WORKBENCH_FLOATX=float32``;
- Python: ``config.floatX = "float32"``.

The one idea is that a flag is declared once, as a line of `Config`: its type, default,
allowed values and meaning stand together, and every value passes the same check,
wherever it comes from.

>>> with config.change(floatX="float32"):
...     config.floatX, config.origin("floatX")
('float32', 'Python')

A misspelt flag in a file or in the environment warns, since those may be written for
another version; in Python it is an error. A wrong value is an error everywhere.
Flags hold for the whole process, all threads included.
"""

from __future__ import annotations

import difflib
import html
import math
import operator
import os
import re
import shlex
import tomllib
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Generic, NamedTuple, Self, TypeVar, overload

__all__ = ["FLAGS", "Config", "ConfigWarning", "Flag", "config"]

T = TypeVar("T")


class ConfigWarning(UserWarning):
    """A file or the environment sets something that no flag is named for."""


class Flag(Generic[T]):
    """One setting: its default, the check every value passes, and what it means."""

    def __init__(
        self, default: T, check: Callable[[object], T], expects: str, meaning: str
    ) -> None:
        self.default = default
        self.check = check
        self.expects = expects
        self.meaning = self.__doc__ = meaning

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    @overload
    def __get__(self, config: None, owner: type) -> Self: ...
    @overload
    def __get__(self, config: Config, owner: type) -> T: ...
    def __get__(self, config: Config | None, owner: type) -> Self | T:
        if config is None:
            return self
        setting = config._settings.get(self.name)
        return self.default if setting is None else setting.value  # type: ignore[return-value]

    def __set__(self, config: Config, value: object) -> None:
        config._settings[self.name] = self.read(value, "Python")

    def read(self, value: object, origin: str) -> _Setting:
        """Check a value; ``ValueError`` says who set it and what is allowed."""
        try:
            return _Setting(self.check(value), origin)
        except (TypeError, ValueError) as error:
            where = "" if origin == "Python" else f" (from {origin})"
            reason = f": {error}" if isinstance(error, _Refused) else ""
            raise ValueError(
                f"config.{self.name} cannot be {value!r}{where}{reason}.\n"
                f"  Allowed: {self.expects}."
            ) from None


class _Setting(NamedTuple):
    value: object
    origin: str


class _Refused(ValueError):
    """A value that is refused for a reason worth telling."""


def _choice(
    *allowed: str, default: str, meaning: str, any_case: bool = False
) -> Flag[str]:
    def check(value: object) -> str:
        if any_case:
            return _in_its_case(value, allowed)
        if not isinstance(value, str) or value not in allowed:
            raise ValueError
        return value

    return Flag(default, check, ", ".join(f'"{each}"' for each in allowed), meaning)


MODE_NAMES = ["FAST_RUN", "FAST_COMPILE", "None", "DEBUG"]
"""What ``config.mode`` may be; :func:`workbench.register_mode` adds to them."""


def _check_mode(value: object) -> str:
    return _in_its_case(value, MODE_NAMES)


def _in_its_case(value: object, allowed: Iterable[str]) -> str:
    """The one of `allowed` that differs from a value in case only."""
    known = {each.lower(): each for each in allowed}
    if not isinstance(value, str) or value.lower() not in known:
        raise ValueError
    return known[value.lower()]


_TAGS = 'tags and names of rules with ":" between them, as "fusion:finite_math"'


def _check_tags(value: object) -> str:
    if not isinstance(value, str) or not re.fullmatch(r"[\w:|]*", value):
        raise ValueError
    return value


def _check_threads_or_all(value: object) -> int:
    if isinstance(value, bool):
        raise TypeError
    threads = int(value) if isinstance(value, str) else operator.index(value)  # type: ignore[arg-type]
    if threads < 0:
        raise ValueError
    return threads


def _check_threads(value: object) -> int:
    threads = _check_threads_or_all(value)
    if threads < 1:
        raise ValueError
    return threads


def _check_seconds(value: object) -> float:
    if isinstance(value, bool):
        raise TypeError
    seconds = float(value)  # type: ignore[arg-type]
    if not (math.isfinite(seconds) and seconds > 0):
        raise ValueError
    return seconds


_SIZE = re.compile(r"(\d{1,15}(?:\.\d{1,9})?) ?([kMGT]i?)?B?")


def _check_bytes(value: object) -> int:
    if isinstance(value, bool):
        raise TypeError
    if isinstance(value, str):
        parts = _SIZE.fullmatch(value.strip())
        if parts is None:
            raise ValueError
        unit = parts[2] or ""
        base = 1024 if unit.endswith("i") else 1000
        number: int = round(float(parts[1]) * base ** " kMGT".index(unit[:1] or " "))
    else:
        number = operator.index(value)  # type: ignore[arg-type]
    if number < 1:
        raise ValueError
    return number


def _check_path(value: object) -> str:
    path = os.fspath(value)  # type: ignore[call-overload]
    if not isinstance(path, str):
        raise TypeError
    if any(ord(c) < 32 for c in path):
        raise _Refused("it holds a control character")
    return os.path.expanduser(path)


def _check_compiler(value: object) -> str:
    path = _check_path(value)
    if path.startswith(("-", "@")):
        raise _Refused(f"a program's name does not begin with {path[0]!r}")
    return path


# What a compiler flag may look like. The characters exclude paths, response files and
# pipes, so that no flag can make the compiler read, write or run another file.
_SAFE_CFLAG = re.compile(
    r"-O[0-3sgz]?"
    r"|-g(?!cc|en)[a-z0-9-]*"
    r"|-m[\w=.,+-]+"
    r"|-f[\w=,+-]+"
    r"|-W[\w=+-]+"
    r"|-D[A-Za-z_]\w*(=[\w.+-]*)?"
    r"|-U[A-Za-z_]\w*"
)
# Those which pass the pattern and still load code into the compiler, choose a linker,
# write files of their own, or link start-up code that flushes subnormal numbers to zero
# in the whole process.
_UNSAFE_CFLAG = re.compile(
    r"-fplugin|-fpass-plugin|-fmodule|-fuse-ld|-mllvm|-mmlir"
    r"|-fdump|-fopt-info|-fprofile|-fauto-profile|-ftime-trace|-fsave-opt"
    r"|-ffast-math|-funsafe-math|-mdaz-ftz"
)


def _check_cflags(value: object) -> tuple[str, ...]:
    if isinstance(value, str):
        value = shlex.split(value)
    if not isinstance(value, list | tuple):
        raise TypeError
    for flag in value:
        safe = isinstance(flag, str) and _SAFE_CFLAG.fullmatch(flag)
        if not safe or _UNSAFE_CFLAG.match(flag):
            raise _Refused(f"the compiler flag {flag!r} is refused")
    return tuple(value)


class Config:
    """All flags of one process, each with its value and where the value came from.

    Parameters
    ----------
    environ : mapping of str to str, optional
        Where to look for variables, and through them for the file; the process's own
        environment if not given.

    Raises
    ------
    ValueError
        If the file is not TOML or a value in it or in the environment is not allowed.
    """

    floatX = _choice(
        "float64",
        "float32",
        "float16",
        default="float64",
        meaning="type of a float where none is given, and of an integer / an integer",
    )
    mode = Flag(
        "FAST_RUN",
        _check_mode,
        '"FAST_RUN", "FAST_COMPILE", "None", "DEBUG", or what register_mode() named',
        "how function() compiles: for speed, quickly, as written, or checked",
    )
    linker = _choice(
        "",
        "c",
        "py",
        "debug",
        "cvm",
        "vm",
        "c|py",
        "numpy",
        default="",
        any_case=True,
        meaning='what runs functions: C or NumPy; "" for what the mode says',
    )
    optimizer = _choice(
        "",
        "fast_run",
        "fast_compile",
        "None",
        "stabilize",
        "merge",
        "unsafe",
        "o1",
        "o2",
        "o3",
        "o4",
        default="",
        any_case=True,
        meaning='which rewrites are done; "" for those of the mode',
    )
    optimizer_including = Flag(
        "",
        _check_tags,
        _TAGS,
        "rewrites done beside those of the mode",
    )
    optimizer_excluding = Flag(
        "",
        _check_tags,
        _TAGS,
        "rewrites of the mode that are not done",
    )
    optimizer_requiring = Flag(
        "",
        _check_tags,
        _TAGS,
        "what a rewrite of the mode must be tagged with to be done",
    )
    on_opt_error = _choice(
        "warn",
        "raise",
        "ignore",
        default="warn",
        meaning="when a rewrite fails: warn and leave it out, raise its error, or say nothing",
    )
    cc = Flag(
        "",
        _check_compiler,
        'the name or path of a C compiler, or "" to search for one',
        "C compiler",
    )
    cflags = Flag[tuple[str, ...]](
        (),
        _check_cflags,
        "flags among -O, -g, -m, -f, -D, -U and -W that neither load code, name a "
        "file, reach the linker, nor imply fast-math",
        "flags added to the C compiler's command",
    )
    cache_dir = Flag(
        "",
        _check_path,
        'a folder, or "" for $XDG_CACHE_HOME/workbench or ~/.cache/workbench',
        "where compiled modules are kept",
    )
    cache_size = Flag(
        2 << 30,
        _check_bytes,
        'a number of bytes, or such as "500 MB" or "2 GiB"',
        "bytes of compiled modules that are kept; those used longest ago go first",
    )
    blas_threads = Flag(
        1,
        _check_threads,
        "a whole number from 1",
        "threads of the matrix library's own; with 1 those of loops share its products",
    )
    threads = Flag(
        0,
        _check_threads_or_all,
        "a whole number from 1, or 0 for all processors",
        "threads of one long loop, or large product",
    )
    compile_timeout = Flag(
        60.0,
        _check_seconds,
        "a positive number of seconds",
        "seconds after which a C compiler is stopped",
    )
    compile_jobs = Flag(
        0,
        _check_threads_or_all,
        "a whole number from 1, or 0 for all processors",
        "C compilers that run at the same time",
    )
    compile = _choice(
        "now",
        "background",
        default="now",
        meaning="whether function() waits for the C compiler, or NumPy runs until it is done",
    )
    strided = _choice(
        "background",
        "now",
        "copy",
        default="background",
        meaning="when a large argument that is not contiguous gets a program that reads it in place",
    )
    on_unused_input = _choice(
        "raise",
        "warn",
        "ignore",
        default="raise",
        meaning="when function() is given an input that no output needs",
    )
    warn_float64 = _choice(
        "ignore",
        "warn",
        "raise",
        default="ignore",
        meaning="when a float64 variable is made",
    )

    traceback = _choice(
        "short",
        "full",
        default="short",
        meaning="whether a notebook shows workbench's own frames of an error",
    )

    def __init__(self, environ: Mapping[str, str] | None = None) -> None:
        environ = os.environ if environ is None else environ
        self._settings: dict[str, _Setting] = {}
        for name, value, origin in (*_in_file(environ), *_in_environment(environ)):
            if name in FLAGS:
                self._settings[name] = FLAGS[name].read(value, origin)
            else:
                message = f"{origin} sets an unknown flag {name!r}{_nearest(name)}"
                warnings.warn(message, ConfigWarning, stacklevel=2)

    def __setattr__(self, name: str, value: object) -> None:
        if name != "_settings" and name not in FLAGS:
            raise AttributeError(f"config has no flag {name!r}{_nearest(name)}")
        super().__setattr__(name, value)

    def origin(self, name: str) -> str:
        """Tell where a flag's value came from.

        >>> Config(environ={"WORKBENCH_FLAGS": "mode=DEBUG"}).origin("mode")
        'environment WORKBENCH_FLAGS'
        """
        if name not in FLAGS:
            raise AttributeError(f"config has no flag {name!r}{_nearest(name)}")
        setting = self._settings.get(name)
        return "default" if setting is None else setting.origin

    @contextmanager
    def change(self, **values: object) -> Iterator[Config]:
        """Set flags for a block, or for each call of a decorated function.

        All values are checked before the first is set; afterwards each flag and its
        origin are as they were.
        """
        for name in values:
            self.origin(name)  # Refuses an unknown name.
        wanted = {name: FLAGS[name].read(values[name], "Python") for name in values}
        before = {name: self._settings.get(name) for name in values}
        self._settings.update(wanted)
        try:
            yield self
        finally:
            for name, setting in before.items():
                if setting is None:
                    self._settings.pop(name, None)
                else:
                    self._settings[name] = setting

    def __repr__(self) -> str:
        rows = [_HEAD, *self._rows()]
        widths = [max(len(row[column]) for row in rows) for column in range(3)]
        return "\n".join(
            "  ".join([*map(str.ljust, row, widths), row[3]]).rstrip() for row in rows
        )

    def _repr_html_(self) -> str:
        head = "".join(f"<th>{cell}</th>" for cell in _HEAD)
        body = "".join(
            "<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>"
            for row in self._rows()
        )
        return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"

    def _rows(self) -> list[tuple[str, str, str, str]]:
        return [
            (name, _shown(getattr(self, name)), self.origin(name), flag.meaning)
            for name, flag in FLAGS.items()
        ]


FLAGS: dict[str, Flag[object]] = {
    name: flag for name, flag in vars(Config).items() if isinstance(flag, Flag)
}


_HEAD = ("flag", "value", "from", "meaning")


def _in_file(environ: Mapping[str, str]) -> Iterator[tuple[str, object, str]]:
    """Name, value and origin of each entry of the configuration file."""
    chosen = environ.get("WORKBENCH_CONFIG")
    folder = environ.get("XDG_CONFIG_HOME") or os.path.expanduser("~/.config")
    path = Path(chosen) if chosen else Path(folder, "workbench", "config.toml")
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        if chosen or not isinstance(error, FileNotFoundError | NotADirectoryError):
            message = f"cannot read the configuration file {path}: {error.strerror}"
            warnings.warn(message, ConfigWarning, stacklevel=3)
        return
    except UnicodeDecodeError:
        raise ValueError(f"the configuration file {path} is not UTF-8 text") from None
    try:
        entries = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        message = f"the configuration file {path} is not TOML: {error}"
        raise ValueError(message) from None
    for name, value in entries.items():
        yield name, value, f"file {path}"


def _in_environment(environ: Mapping[str, str]) -> Iterator[tuple[str, object, str]]:
    """Name, value and origin of each flag in the environment; single variables last."""
    if environ.get("CC"):
        yield "cc", environ["CC"], "environment CC"
    for item in environ.get("WORKBENCH_FLAGS", "").split(","):
        name, _, value = item.partition("=")
        if name.strip():
            yield name.strip(), value.strip(), "environment WORKBENCH_FLAGS"
    spelling = {name.upper(): name for name in FLAGS}
    for variable, value in environ.items():
        head, _, name = variable.partition("WORKBENCH_")
        if not head and name not in ("", "CONFIG", "FLAGS"):
            yield spelling.get(name, name), value, f"environment {variable}"


def _nearest(name: str) -> str:
    lower = {each.lower(): each for each in FLAGS}
    found = difflib.get_close_matches(name.lower(), lower, n=1)
    if found:
        return f"; did you mean {lower[found[0]]!r}?"
    return f"; there are: {', '.join(FLAGS)}"


def _shown(value: object) -> str:
    if isinstance(value, tuple):
        return " ".join(map(str, value)) or '""'
    return str(value) if value != "" else '""'


config = Config()
