"""Training functions by name: finding one, checking that it is there, and sending it to other processes.

    cnn                       a built-in: `train` of paretune/trainables/cnn.py, described by search_spaces/cnn.yaml
    package.module:function   anything that can be imported, also from beside the spec file or the current directory
    ./path.py:function        a file, relative to the spec file's folder or to the current directory

`check` reads source text and imports nothing, so that a wrong name is found before torch is. Code that is not installed
(a file, a module found beside the spec) is pickled by value, so that it runs on workers that do not have it.
"""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import re
import sys
import sysconfig
import traceback
from collections.abc import Callable, Iterable, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, TypeAlias

import cloudpickle

from paretune import _source
from paretune.errors import TrainableError, nearest

if TYPE_CHECKING:
    from collections.abc import Iterator

TrainFunction: TypeAlias = Callable[[dict[str, Any]], None]

_HERE = Path(__file__).parent
_FORMS = "a built-in name, package.module:function, or ./path.py:function"


@dataclass(frozen=True, slots=True)
class BuiltinTrainable:
    """A trainable that ships with paretune: its name, one line about it, and its ready spec if it has one."""

    name: str
    summary: str
    spec_path: Path | None


def builtins() -> list[BuiltinTrainable]:
    """The trainables that ship with paretune, by name; reads their files, imports none."""
    folder = _HERE / "trainables"
    found = []
    for path in [*folder.glob("[!_]*.py"), *folder.glob("[!_]*/__init__.py")]:
        source = _source.read(path, path.name)
        if "train" in source.names:
            name = path.parent.name if path.name == "__init__.py" else path.stem
            spec_path = _HERE / "search_spaces" / f"{name}.yaml"
            found.append(BuiltinTrainable(name, source.summary, spec_path if spec_path.is_file() else None))
    return sorted(found, key=lambda trainable: trainable.name)


def check(reference: str, *, base: Path | None = None) -> None:
    """Raise TrainableError unless `reference` names something that is there; imports nothing.

    `base` is the spec file's folder, where relative references are looked for before the current directory.
    """
    target, function = _split(reference)
    if function is None:
        _builtin(target)
        return
    path = _file(target, base) if target.endswith(".py") else _source_of(target, base)
    if path is not None:
        source = _source.read(path, reference)
        if not source.may_bind(function.partition(".")[0]):
            raise _missing(reference, function, source.names)


def resolve(reference: str, *, base: Path | None = None) -> TrainFunction:
    """Import what `reference` names and return its function.

    Raises TrainableError: nothing of that name, a module that fails to import, no such function, not a function of
    one argument.
    """
    target, function = _split(reference)
    if function is None:
        module = _import(reference, f"paretune.trainables.{_builtin(target)}")
        return _attribute(reference, module, "train")
    if target.endswith(".py"):
        return _attribute(reference, _import_file(reference, _file(target, base)), function)
    check(reference, base=base)
    with _importable_from(base or Path.cwd(), Path.cwd()):
        module = _import(reference, target)
    return _attribute(reference, module, function)


def reference_of(function: Callable[..., Any]) -> str:
    """The name under which a study remembers a function it was given: `module:qualname`."""
    module = getattr(function, "__module__", None) or type(function).__module__
    return f"{module}:{getattr(function, '__qualname__', type(function).__qualname__)}"


def pickle(function: TrainFunction) -> bytes:
    """The function as bytes; TrainableError names what it refers to that cannot be sent."""
    try:
        return bytes(cloudpickle.dumps(function))
    except Exception as error:  # any object in reach may raise anything from its __reduce__
        raise TrainableError(
            f"{reference_of(function)}: cannot be sent to other processes: {_line(error)}",
            hint=_unpicklable(function) or "create such objects inside the function",
        ) from None


def unpickle(data: bytes) -> TrainFunction:
    """The function that `pickle` made bytes of; TrainableError when this environment cannot rebuild it."""
    try:
        function = cloudpickle.loads(data)
    except Exception as error:  # unpickling imports modules, which may raise anything
        raise TrainableError(
            f"the stored training function cannot be loaded: {_line(error)}",
            hint="resume in the environment that the study was started in",
        ) from None
    _check_callable("the stored training function", function)
    return function  # type: ignore[no-any-return]


# -- names -------------------------------------------------------------------------------------------------------------


def _missing(reference: str, function: str, names: Iterable[str]) -> TrainableError:
    public = [name for name in names if not name.startswith("_")]
    return TrainableError(f"trainable: {reference}: defines no {function!r}", hint=nearest(function, public))


def _split(reference: str) -> tuple[str, str | None]:
    """`"a.b:f"` -> `("a.b", "f")`, `"cnn"` -> `("cnn", None)`."""
    target, colon, function = reference.rpartition(":")
    if not colon:
        if reference.endswith(".py"):
            raise TrainableError(f"trainable: {reference}: names no function", hint=f"{reference}:train")
        return reference, None
    if not target or not all(part.isidentifier() for part in function.split(".")):
        raise TrainableError(f"trainable: must be {_FORMS}, got {reference!r}")
    return target, function


def _builtin(name: str) -> str:
    names = [trainable.name for trainable in builtins()]
    if name not in names:
        raise TrainableError(
            f"trainable: {name!r} is no built-in trainable",
            hint=f"{nearest(name, names) or 'there are none'}; your own code is named package.module:function "
            "or ./path.py:function",
        )
    return name


def _file(target: str, base: Path | None) -> Path:
    folders = list(dict.fromkeys([base or Path.cwd(), Path.cwd()]))
    for folder in folders:
        path = (folder / Path(target).expanduser()).resolve()
        if path.is_file():
            return path
    looked = " and ".join(str(folder.resolve()) for folder in folders)
    beside = [path.name for folder in folders for path in folder.glob("*.py")]
    close = nearest(Path(target).name, beside) if beside else None
    raise TrainableError(f"trainable: {target}: no such file, looked in {looked}", hint=close)


def _source_of(module: str, base: Path | None) -> Path | None:
    """The source file of a module that Python would import, or None if it has none; no package on the way is run."""
    top, *rest = module.split(".")
    if top == "__main__":
        raise TrainableError(f"trainable: {module}: a script is not a module", hint="name its file: ./script.py:train")
    with _importable_from(base or Path.cwd(), Path.cwd()):
        spec: ModuleSpec | None = importlib.util.find_spec(top)
    part = top
    while spec is not None and rest:
        part = rest.pop(0)
        spec = PathFinder.find_spec(part, list(spec.submodule_search_locations or []))
    if spec is None:
        raise TrainableError(
            f"trainable: {module}: there is no module {part!r}",
            hint="install its package, or start paretune in the folder that holds it",
        )
    return Path(spec.origin) if spec.origin and spec.origin.endswith(".py") else None


# -- importing ---------------------------------------------------------------------------------------------------------


@contextmanager
def _importable_from(*folders: Path) -> Iterator[None]:
    """Put folders in front of the import path for a while; what is imported from them travels by value."""
    before, known = list(sys.path), set(sys.modules)
    sys.path[:0] = [str(folder.resolve()) for folder in dict.fromkeys(folders)]
    importlib.invalidate_caches()
    try:
        yield
    finally:
        sys.path[:] = before
        for name in set(sys.modules) - known:
            if _travels(name, folders):
                cloudpickle.register_pickle_by_value(sys.modules[name])


def _travels(name: str, folders: Iterable[Path]) -> bool:
    """Whether a module lies in one of the folders without being installed there (a .venv in it, say)."""
    module = sys.modules[name]
    file = getattr(module, "__file__", None)
    if file is None or module.__name__ != name or name.partition(".")[0] == "paretune":
        return False
    path = Path(file).resolve()
    if any(path.is_relative_to(place) for place in _installed_places()):
        return False
    return any(path.is_relative_to(folder.resolve()) for folder in folders)


@cache
def _installed_places() -> tuple[Path, ...]:
    names = ("stdlib", "platstdlib", "purelib", "platlib")
    return tuple({Path(sysconfig.get_path(name)).resolve() for name in names})


def _import(reference: str, module: str) -> ModuleType:
    try:
        return importlib.import_module(module)
    except (Exception, SystemExit) as error:
        raise _import_failed(reference, error) from error


def _import_file(reference: str, path: Path) -> ModuleType:
    """Run a file as a module, once; its neighbours can be imported meanwhile."""
    name = f"paretune_file{re.sub(r'[^0-9A-Za-z]', '_', str(path))}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        with _importable_from(path.parent):
            spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        raise _import_failed(reference, error) from error
    cloudpickle.register_pickle_by_value(module)
    return module


def _import_failed(reference: str, error: BaseException) -> TrainableError:
    """The traceback's last line, and the last line of the user's code that led there."""
    place = None
    if isinstance(error, SyntaxError):
        place = f"{error.filename}, line {error.lineno}: {(error.text or '').strip()}"
    else:
        frames = [f for f in traceback.extract_tb(error.__traceback__) if _is_loaded_code(f.filename)]
        own = [f for f in frames if not _is_installed(f.filename)] or frames
        if own:
            place = f"{own[-1].filename}, line {own[-1].lineno}: {own[-1].line}"
    return TrainableError(f"trainable: {reference}: fails to import: {_line(error)}", hint=place)


def _is_loaded_code(filename: str) -> bool:
    """Neither Python's import machinery nor this module."""
    return not filename.startswith("<") and filename not in (__file__, importlib.__file__)


def _is_installed(filename: str) -> bool:
    return any(Path(filename).resolve().is_relative_to(place) for place in _installed_places())


def _line(error: BaseException) -> str:
    return traceback.format_exception_only(error)[-1].strip()


# -- functions ---------------------------------------------------------------------------------------------------------


def _attribute(reference: str, module: ModuleType, name: str) -> TrainFunction:
    found: Any = module
    for part in name.split("."):
        if not hasattr(found, part):
            raise _missing(reference, name, vars(module))
        found = getattr(found, part)
    _check_callable(f"trainable: {reference}", found)
    return found  # type: ignore[no-any-return]


def _check_callable(where: str, function: object) -> None:
    """Raise TrainableError unless `function` can be called with one argument."""
    if not callable(function):
        raise TrainableError(
            f"{where}: must be a function, got {type(function).__name__}", hint="def train(config): ..."
        )
    try:
        signature = inspect.signature(function)
    except ValueError:  # some built-in callables have none
        return
    try:
        signature.bind({})
    except TypeError:
        raise TrainableError(
            f"{where}: must take one argument, the configuration, and takes {signature}", hint="def train(config): ..."
        ) from None


def _unpicklable(function: TrainFunction) -> str | None:
    """Which of the names that a function refers to cannot be pickled."""
    if not inspect.isfunction(function):
        return None
    variables = inspect.getclosurevars(function)
    reach: Mapping[str, Any] = {**variables.globals, **variables.nonlocals}
    for name, value in reach.items():
        try:
            cloudpickle.dumps(value)
        except Exception:  # as above: this is the search for what raised there
            return f"it refers to {name!r}, a {type(value).__name__}: create that inside the function"
    return None
