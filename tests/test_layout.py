"""The shape of the house: which file may import which, and what each must have.

Nothing is imported here; every file is read as a syntax tree. A complaint names the
file and the line, and all complaints of one kind are shown at once.
"""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "workbench"

# Importers stand right of what they import; an import may skip a place, never go back.
PACKAGES = ["core", "compile", "debug", "viz", "magics"]

# Within core, modules of one line may import each other in any one direction.
CORE = [
    ["lazy", "types", "source", "errors", "collecting"],
    ["graph"],
    ["inner"],
    ["walks", "op"],
    ["replacing"],
    ["ops.ufunc"],
    ["ops.elementwise"],
    ["ops.barriers"],
    ["ops.mathematics"],
    ["ops.complexes"],
    ["ops.rounding", "ops.integers"],
    ["ops.floats"],
    ["ops.series", "ops.special"],
    ["ops.erf"],
    ["ops.gamma"],
    ["ops.beta"],
    ["ops.bessel"],
    ["ops.shape"],
    ["ops.running"],
    ["ops.reduction"],
    ["ops.moments"],
    ["ops.logic"],
    ["ops.slicing"],
    ["ops.gathering"],
    ["ops.joining"],
    ["ops.masks"],
    ["ops.subscript"],
    ["ops.creation"],
    ["ops.checks"],
    ["ops.rearrange"],
    ["ops.stacking"],
    ["ops.grids"],
    ["ops.diagonals"],
    ["ops.places"],
    ["ops.indexing"],
    ["ops.sorting"],
    ["ops.counting"],
    ["ops.differences"],
    ["ops.inserting"],
    ["ops.quantiles"],
    ["ops.padding"],
    ["ops.linalg"],
    ["ops.products"],
    ["ops.einsum"],
    ["ops.matrices"],
    ["ops.solving"],
    ["ops.factorizations"],
    ["ops.factored"],
    ["ops.decompositions"],
    ["ops.schur"],
    ["ops.least_squares"],
    ["ops.matrix_functions"],
    ["ops.equations"],
    ["ops.statistics"],
    ["ops.histograms"],
    ["ops.nanfunctions"],
    ["ops.nnet"],
    ["ops.logsums"],
    ["ops.windows", "ops.window_loops"],
    ["ops.pooling"],
    ["ops.filters"],
    ["ops.local_loops"],
    ["ops.convolution"],
    ["ops.convolving"],
    ["ops.older_convolving", "ops.older_losses"],
    ["ops.pools"],
    ["ops.normalization"],
    ["ops.neighbours", "ops.hierarchical"],
    ["philox"],
    ["samplers"],
    ["ops.random"],
    ["ops.draws"],
    ["ops.distributions", "ops.counts"],
    ["ops.choices"],
    ["streams"],
    ["ops.control"],
    ["ops.composite"],
    ["ops"],
    ["batching"],
    ["batch_rules"],
    ["masks"],
    ["backward", "disconnected"],
    [
        "operators",
        "gradient",
        "evaluate",
        "printing",
        "pickling",
        "saving",
        "extending",
    ],
    ["forward"],
    ["derivatives"],
    ["ops.blockwise"],
    ["ops.bodies", "ops.overrides"],
    ["ops.scan_derivatives"],
    ["ops.scan"],
    ["ops.scan_batching"],
    ["updates", "loop_arguments"],
    ["loop_calls", "loop_steps"],
    ["loop_states"],
    ["loop_building"],
    ["scanning", "loop_forms", "checkpoint_memory", "checkpoints"],
    ["ctc"],
    ["ops.blocks"],
    [""],
]

# Third parties that may be missing, and so may be imported inside a function.
OPTIONAL = {
    "IPython",
    "anywidget",
    "cffi",
    "graphviz",
    "ipywidgets",
    "matplotlib",
    "pycuda",
    "scipy",
    "scipy_openblas32",
    "tqdm",
    "traitlets",
}

LONGEST = 700  # lines of a file
LONGEST_C = 900  # the one extension module has no second file to go to


class Import(NamedTuple):
    """One import of one module, as it stands in a file."""

    importer: str
    target: str
    line: int
    is_at_top: bool
    is_for_types: bool

    def __str__(self) -> str:
        return f"{self.importer}, line {self.line}: imports {self.target}"


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


FILES = {module_name(path): path for path in sorted(PACKAGE.rglob("*.py"))}
TREES = {
    name: ast.parse(path.read_text(encoding="utf-8"), str(path))
    for name, path in FILES.items()
}


def walk(
    node: ast.AST, is_at_top: bool = True, is_for_types: bool = False
) -> Iterator[tuple[ast.Import | ast.ImportFrom, bool, bool]]:
    """Every import below a node: is it outside functions, is it for a type checker."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import | ast.ImportFrom):
            yield child, is_at_top, is_for_types
            continue
        in_function = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef)
        guard = isinstance(child, ast.If) and "TYPE_CHECKING" in ast.dump(child.test)
        yield from walk(child, is_at_top and not in_function, is_for_types or guard)


def targets(importer: str, node: ast.Import | ast.ImportFrom) -> Iterator[str]:
    """Full names of the modules that an import statement reads."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
        return
    base = node.module or ""
    if node.level:
        is_package = FILES[importer].name == "__init__.py"
        parts = importer.split(".")
        parts = parts[: len(parts) - node.level + is_package]
        base = ".".join([*parts, base] if base else parts)
    for alias in node.names:
        inner = f"{base}.{alias.name}"
        yield inner if inner in FILES else base


def imports() -> Iterator[Import]:
    for importer, tree in TREES.items():
        for node, is_at_top, is_for_types in walk(tree):
            for target in targets(importer, node):
                yield Import(importer, target, node.lineno, is_at_top, is_for_types)


IMPORTS = list(imports())
OURS = [each for each in IMPORTS if each.target.split(".")[0] == "workbench"]
THEIRS = [each for each in IMPORTS if each not in OURS]


def room(name: str) -> str:
    """Name of the package directly below workbench; nothing for workbench itself."""
    return name.partition(".")[2].partition(".")[0]


def core_rank(name: str) -> int | None:
    within = name.removeprefix("workbench.core").lstrip(".")
    ranks = [rank for rank, names in enumerate(CORE) if within in names]
    return ranks[0] if ranks else None


def check(complaints: list[object]) -> None:
    assert not complaints, "\n".join(["", *map(str, complaints)])


def may_import(importer: str, target: str) -> bool:
    here, there = room(importer), room(target)
    if here == there or there == "config" or here in ("", "__main__", "tensor"):
        return True
    if here not in PACKAGES:  # config and datasets stand alone
        return False
    if there in PACKAGES:
        return PACKAGES.index(there) < PACKAGES.index(here)
    return here == "magics"


@pytest.mark.parametrize(
    ("importer", "target", "allowed"),
    [
        ("workbench.magics.cell", "workbench.core.graph", True),
        ("workbench.magics.cell", "workbench", True),
        ("workbench.core.graph", "workbench.config", True),
        ("workbench.tensor.nnet", "workbench.core.ops.nnet", True),
        ("workbench", "workbench.viz.graph", True),
        ("workbench.core.graph", "workbench.compile.rewrite", False),
        ("workbench.viz.graph", "workbench.tensor", False),
        ("workbench.debug.verify", "workbench", False),
        ("workbench.datasets.mnist", "workbench.core.graph", False),
    ],
)
def test_direction_is_judged_as_the_design_says(importer, target, allowed):
    assert may_import(importer, target) is allowed


def test_packages_import_in_one_direction():
    check([each for each in OURS if not may_import(each.importer, each.target)])


def test_files_of_core_import_in_one_direction():
    inside = [
        each
        for each in OURS
        if room(each.importer) == room(each.target) == "core" and not each.is_for_types
    ]

    check(
        [
            each
            for each in inside
            if None not in (core_rank(each.importer), core_rank(each.target))
            and core_rank(each.target) > core_rank(each.importer)
        ]
    )


def test_every_file_of_core_has_a_place_in_the_order():
    check(
        [
            f"{name}: say in CORE, tests/test_layout.py, what it may import"
            for name in FILES
            if room(name) == "core" and core_rank(name) is None
        ]
    )


def test_imports_form_no_cycle():
    below: dict[str, list[str]] = {name: [] for name in FILES}
    for each in OURS:
        if not each.is_for_types and each.target != each.importer:
            below[each.importer].append(each.target)

    # Take away files that import nothing that is left; only cycles withstand that.
    left = set(FILES)
    while leaves := {name for name in left if not left & set(below[name])}:
        left -= leaves

    check([f"{name} imports {left & set(below[name])}" for name in sorted(left)])


def test_imported_modules_exist():
    check([each for each in OURS if each.target not in FILES])


def test_imports_stand_at_the_top_but_for_optional_third_parties():
    check(
        [
            each
            for each in IMPORTS
            if not each.is_at_top and each.target.split(".")[0] not in OPTIONAL
        ]
    )


def test_core_needs_only_numpy_and_scipy_where_that_is_used():
    known = {*sys.stdlib_module_names, "numpy"}

    check(
        [
            each
            for each in THEIRS
            if room(each.importer) == "core"
            and each.target.split(".")[0] not in known
            and (each.is_at_top or each.target.split(".")[0] != "scipy")
        ]
    )


def test_a_plain_import_needs_only_what_is_always_installed():
    known = {*sys.stdlib_module_names, "numpy", "cffi"}

    check(
        [
            each
            for each in THEIRS
            if each.is_at_top
            and not each.is_for_types
            and room(each.importer) not in ("viz", "magics")
            and each.target.split(".")[0] not in known
        ]
    )


def test_no_file_is_too_long_to_read():
    lengths = {
        path: len(path.read_text(encoding="utf-8").splitlines())
        for suffix in ("py", "c", "h", "js", "css")
        for path in PACKAGE.rglob(f"*.{suffix}")
    }

    check(
        [
            f"{path.relative_to(ROOT)} has {length} lines"
            for path, length in lengths.items()
            if length > (LONGEST_C if path.suffix == ".c" else LONGEST)
        ]
    )


def test_every_file_says_what_it_is_for():
    check([name for name, tree in TREES.items() if not ast.get_docstring(tree)])


def test_every_public_function_and_class_has_a_docstring():
    kinds = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef

    check(
        [
            f"{module}, line {node.lineno}: {node.name}"
            for module, tree in TREES.items()
            if room(module) in ("core", "compile")
            for node in tree.body
            if isinstance(node, kinds)
            and not node.name.startswith("_")
            and "overload" not in map(ast.unparse, node.decorator_list)
            and not ast.get_docstring(node)
        ]
    )


def committed_files() -> list[Path]:
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        listed = subprocess.run(command, cwd=ROOT, capture_output=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("not a git checkout")
    paths = [ROOT / name for name in listed.stdout.decode().split("\0") if name]
    return [path for path in paths if path.is_file()]


def test_no_text_names_a_folder_of_one_machine():
    folders = re.compile(rb"(?<![\w./])(?:/(?:work|root)/|shared/)")
    here = Path(__file__).resolve()
    found = []

    for path in committed_files():
        content = path.read_bytes()
        if path.resolve() == here or b"\0" in content[:8000]:
            continue
        for number, line in enumerate(content.splitlines(), 1):
            if folders.search(line):
                found.append(f"{path.relative_to(ROOT)}, line {number}")

    check(found)
