"""The shape of the source: who may import whom, and the folders and links that everything rests on."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "platform" / "paretune"

# From the bottom up: a module imports from layers below its own, or from its own folder. Modules of one line that are
# one idea in several files (the core) may import each other.
LAYERS = [
    {"errors", "_defaults", "_yaml"},
    {"train"},
    {"parameters", "beliefs", "prior", "scale", "coordinates", "constraints", "slices", "legality", "space", "_optuna"}
    | {"objective", "records", "pareto", "log", "settings", "study", "amendments", "listener", "_source", "layouts"},
    {"catalogue", "loading", "provenance", "winners", "earlier", "population"},
    {"stopping", "schedulers"},
    {"algorithms", "store", "trainables"},
    {"recommendation"},
    {"diagnosis"},
    {"report"},
    {"monitor", "optimizer", "warm_start"},
    {"engine", "submit"},
    {"simulation"},
    {"progress", "replay"},
    {"running"},
    {"flow"},
    {"rehearsal"},
    {"cli"},
    {"__init__", "__main__"},
]
CORE = LAYERS[2]

# Which top-level packages a part may import at all; parts that are not listed may import neither.
HEAVY = {
    "engine": {"ray", "torch"},
    "monitor": {"ray"},
    "submit": {"ray"},
    "algorithms": {"torch"},
    "train": {"ray", "torch"},
    "trainables": {"ray", "torch"},
    "optimizer": set(),
}


@dataclass(frozen=True)
class Import:
    """One imported module, with where it stands."""

    file: Path
    line: int
    module: str

    @property
    def part(self) -> str:
        relative = self.file.relative_to(PACKAGE) if self.file.is_relative_to(PACKAGE) else self.file.relative_to(ROOT)
        return relative.parts[0].removesuffix(".py")

    def __str__(self) -> str:
        return f"{self.file.relative_to(ROOT)}:{self.line} imports {self.module}"


def sources() -> list[Path]:
    """Every Python file of the package; the linked folders under their real paths."""
    return [path for folder in (PACKAGE, ROOT / "trainables") for path in sorted(folder.rglob("*.py"))]


@cache
def imports() -> list[Import]:
    return [found for path in sources() for found in _imports(path)]


def _imports(path: Path) -> Iterator[Import]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (Import(path, node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: relative import"
            assert node.module is not None
            if node.module == "paretune":
                yield from (Import(path, node.lineno, f"paretune.{alias.name}") for alias in node.names)
            else:
                yield Import(path, node.lineno, node.module)


def rank(part: str) -> int:
    return next(i for i, layer in enumerate(LAYERS) if part in layer)


def test_every_part_has_its_layer() -> None:
    known = set().union(*LAYERS)
    assert {found.part for found in imports()} <= known


def test_imports_point_down() -> None:
    wrong = []
    for found in imports():
        target = found.module.split(".")[1] if found.module.startswith("paretune.") else None
        if target in (None, found.part, "__version__"):
            continue
        below = rank(target) < rank(found.part)
        if not below and not {target, found.part} <= CORE:
            wrong.append(str(found))
    assert wrong == []


def test_only_the_parts_that_must_import_ray_or_torch() -> None:
    wrong = [
        str(found)
        for found in imports()
        if (top := found.module.partition(".")[0]) in ("ray", "torch") and top not in HEAVY.get(found.part, set())
    ]
    assert wrong == []


def test_training_code_knows_ray_train_alone() -> None:
    wrong = [
        str(found)
        for found in imports()
        if found.part in ("train", "trainables")
        and found.module.partition(".")[0] == "ray"
        and not f"{found.module}.".startswith("ray.train.")
    ]
    assert wrong == []


def test_only_the_engine_imports_tune() -> None:
    wrong = [str(f) for f in imports() if f"{f.module}.".startswith("ray.tune.") and f.part != "engine"]
    assert wrong == []


def test_private_ray_is_touched_in_three_modules() -> None:
    private = {
        str(found.file.relative_to(PACKAGE))
        for found in imports()
        if found.module.startswith("ray.") and any(name.startswith("_") for name in found.module.split("."))
    }
    assert private == {"engine/_seam.py", "engine/_notice.py", "engine/_leftovers.py"}


@pytest.mark.parametrize(
    "module",
    [
        "paretune.cli._app",
        "paretune.store",
        "paretune.report",
        "paretune.study",
        "paretune.loading",
        "paretune.flow",
        "paretune.rehearsal",
    ],
)
def test_what_must_be_quick_imports_neither_torch_nor_ray(module: str) -> None:
    program = f"import sys, {module}; print(*{{'torch', 'ray', 'botorch', 'optuna'}} & set(sys.modules))"
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == ""


def test_platform_is_only_a_source_root() -> None:
    """An __init__.py there would make a package that shadows the standard library's `platform`."""
    assert not (ROOT / "platform" / "__init__.py").exists()
    assert [path.name for path in (ROOT / "platform").iterdir() if path.name != "__pycache__"] == ["paretune"]
    program = "import platform; print(platform.python_version())"
    found = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert found.stdout.strip() == sys.version.split()[0]


@pytest.mark.parametrize("name", ["trainables", "search_spaces", "cluster"])
def test_the_links_are_relative_and_right(name: str) -> None:
    link = PACKAGE / name
    assert link.is_symlink()
    assert os.readlink(link) == f"../../{name}"  # noqa: PTH115 - the text of the link is what matters
    assert link.resolve() == (ROOT / name).resolve()
    assert link.is_dir()


def test_trainables_are_imported_from_the_top_level_folder() -> None:
    import paretune.trainables

    assert paretune.trainables.__file__ is not None
    assert Path(paretune.trainables.__file__).resolve() == ROOT / "trainables" / "__init__.py"


def test_cluster_holds_no_python() -> None:
    assert list((ROOT / "cluster").rglob("*.py")) == []
