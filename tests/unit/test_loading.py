"""Training functions by name: found, checked without importing, and sent to processes that do not have their code."""

from __future__ import annotations

import itertools
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from paretune import loading
from paretune.errors import TrainableError

Write = Callable[[str, str], Path]
FRESH = itertools.count()


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Write a file of a folder that is also the current one."""
    monkeypatch.chdir(tmp_path)

    def _write(name: str, text: str) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    return _write


@pytest.fixture
def module_name() -> str:
    """A name no other test has imported."""
    return f"users_module_{next(FRESH)}"


def run_elsewhere(code: bytes, call: str) -> str:
    """What another process, in another folder, prints when it unpickles a function and calls it."""
    program = (
        "import sys; from paretune import loading;"
        f"train = loading.unpickle(sys.stdin.buffer.read()); print(train({call}))"
    )
    return (
        subprocess.run([sys.executable, "-c", program], input=code, capture_output=True, cwd="/", check=True)
        .stdout.decode()
        .strip()
    )


# -- built-ins ---------------------------------------------------------------------------------------------------------


def test_builtins_are_listed_without_importing_them() -> None:
    program = (
        "import sys; from paretune import loading; print([t.name for t in loading.builtins()]);"
        "print([m for m in sys.modules if m.startswith('paretune.trainables') or m in ('torch', 'ray')])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    names, imported = done.stdout.splitlines()
    assert "'cnn'" in names
    assert "'xpatch'" in names
    assert "datasets" not in names
    assert imported == "[]"


@pytest.mark.parametrize("trainable", loading.builtins(), ids=lambda trainable: trainable.name)
def test_every_builtin_has_a_summary_and_a_ready_spec(trainable: loading.BuiltinTrainable) -> None:
    assert trainable.summary
    assert trainable.spec_path is not None
    loading.check(trainable.name)


def test_a_builtin_resolves_to_its_train() -> None:
    assert loading.resolve("cnn").__module__ == "paretune.trainables.cnn"


@pytest.mark.parametrize("find", [loading.check, loading.resolve])
def test_an_unknown_builtin_names_the_nearest(find: Callable[[str], object]) -> None:
    with pytest.raises(TrainableError, match="'cnnn' is no built-in trainable") as caught:
        find("cnnn")
    assert caught.value.hint is not None
    assert "did you mean 'cnn'?" in caught.value.hint


# -- files -------------------------------------------------------------------------------------------------------------


def test_a_file_runs_where_the_file_is_not(write: Write) -> None:
    write("helpers.py", "FACTOR = 3\ndef times(x):\n    return FACTOR * x\n")
    write("loop.py", "import helpers\nOFFSET = 1\ndef train(config):\n    return helpers.times(config['x']) + OFFSET\n")
    train = loading.resolve("./loop.py:train")
    assert train({"x": 2}) == 7  # type: ignore[func-returns-value]
    assert run_elsewhere(loading.pickle(train), "{'x': 5}") == "16"


def test_a_file_is_found_beside_the_spec_before_the_current_folder(write: Write, tmp_path: Path) -> None:
    write("loop.py", "def train(config):\n    return 'here'\n")
    write("specs/loop.py", "def train(config):\n    return 'beside the spec'\n")
    assert loading.resolve("loop.py:train", base=tmp_path / "specs")({}) == "beside the spec"  # type: ignore[func-returns-value]
    assert loading.resolve("loop.py:train")({}) == "here"  # type: ignore[func-returns-value]


def test_checking_a_file_does_not_run_it(write: Write) -> None:
    write("loop.py", "raise SystemExit('ran')\ndef train(config): ...\n")
    loading.check("./loop.py:train")


@pytest.mark.parametrize(
    "text",
    [
        "from somewhere import train",
        "from somewhere import *",
        "train = make()",
        "if True:\n    def train(config): ...",
        "try:\n    import x as train\nexcept ImportError:\n    train = None",
        "def __getattr__(name): ...",
        "class train: ...",
    ],
)
def test_any_way_of_binding_a_name_is_seen(write: Write, text: str) -> None:
    write("loop.py", text)
    loading.check("./loop.py:train")


BAD_FILES = [
    ("def trian(config): ...", "loop.py:train", "defines no 'train'", "did you mean 'trian'?"),
    ("def other():\n    train = 1", "loop.py:train", "defines no 'train'", None),
    (
        "def train(config) ...",
        "loop.py:train",
        "fails to import: SyntaxError",
        "loop.py, line 1: def train(config) ...",
    ),
    ("", "lop.py:train", "no such file", "did you mean 'loop.py'?"),
    ("", "loop.py", "names no function", "loop.py:train"),
    ("", "loop.py:", "must be a built-in name", None),
    ("", "loop.py:a b", "must be a built-in name", None),
]


@pytest.mark.parametrize(("text", "reference", "message", "hint"), BAD_FILES)
@pytest.mark.parametrize("find", [loading.check, loading.resolve])
def test_bad_files_say_what_is_wrong(
    write: Write, find: Callable[[str], object], text: str, reference: str, message: str, hint: str | None
) -> None:
    write("loop.py", text)
    with pytest.raises(TrainableError) as caught:
        find(reference)
    assert message in caught.value.message
    if hint is not None:
        assert caught.value.hint is not None
        assert hint in caught.value.hint


@pytest.mark.parametrize(
    ("text", "message", "place"),
    [
        ("import nonsense_module", "ModuleNotFoundError: No module named 'nonsense_module'", "line 1: import nonsense"),
        ("x = 1\ndef f():\n    return x / 0\nf()\ndef train(config): ...", "ZeroDivisionError", "line 3: return x / 0"),
        ("import sys\nsys.exit(3)", "SystemExit: 3", "line 2: sys.exit(3)"),
        ("import json\njson.loads('{')", "JSONDecodeError", "line 2: json.loads('{')"),
    ],
)
def test_a_module_that_fails_to_import_shows_the_users_line(write: Write, text: str, message: str, place: str) -> None:
    path = write("loop.py", text + "\ndef train(config): ...")
    with pytest.raises(TrainableError) as caught:
        loading.resolve("./loop.py:train")
    assert caught.value.message.startswith("trainable: ./loop.py:train: fails to import: ")
    assert message in caught.value.message
    assert caught.value.hint is not None
    assert caught.value.hint.startswith(str(path))
    assert place in caught.value.hint


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("train = 3", "must be a function, got int"),
        ("def train(): ...", "must take one argument, the configuration, and takes ()"),
        ("def train(config, model): ...", "must take one argument, the configuration, and takes (config, model)"),
    ],
)
def test_what_cannot_be_called_with_a_config_is_refused(write: Write, text: str, message: str) -> None:
    write("loop.py", text)
    with pytest.raises(TrainableError) as caught:
        loading.resolve("./loop.py:train")
    assert message in caught.value.message


# -- modules -----------------------------------------------------------------------------------------------------------


def test_a_module_beside_the_spec_runs_where_it_is_not(write: Write, tmp_path: Path, module_name: str) -> None:
    write(f"project/{module_name}/__init__.py", "")
    write(f"project/{module_name}/parts.py", "def double(x):\n    return 2 * x\n")
    write(
        f"project/{module_name}/loops.py",
        f"from {module_name}.parts import double\n"
        "class Trainer:\n    @staticmethod\n    def fit(config):\n        return double(config['x'])\n",
    )
    reference, base = f"{module_name}.loops:Trainer.fit", tmp_path / "project"
    loading.check(reference, base=base)
    train = loading.resolve(reference, base=base)
    assert run_elsewhere(loading.pickle(train), "{'x': 21}") == "42"
    assert str(base) not in sys.path


def test_checking_a_module_runs_nothing_of_its_package(write: Write, module_name: str) -> None:
    write(f"{module_name}/__init__.py", "raise RuntimeError('ran')")
    write(f"{module_name}/loop.py", "def train(config): ...")
    loading.check(f"{module_name}.loop:train")
    with pytest.raises(TrainableError, match="defines no 'tarin'"):
        loading.check(f"{module_name}.loop:tarin")


@pytest.mark.parametrize("find", [loading.check, loading.resolve])
def test_modules_that_are_not_there(find: Callable[[str], object], write: Write) -> None:
    with pytest.raises(TrainableError, match="there is no module 'nonsense_module'"):
        find("nonsense_module.loop:train")
    with pytest.raises(TrainableError, match="there is no module 'nonsense'"):
        find("json.nonsense:train")
    with pytest.raises(TrainableError, match="a script is not a module"):
        find("__main__:train")


def test_installed_modules_travel_by_reference() -> None:
    assert len(loading.pickle(loading.resolve("json:dumps"))) < 100


# -- bytes -------------------------------------------------------------------------------------------------------------


def test_references_of_functions() -> None:
    def local(config: dict[str, object]) -> None: ...

    assert loading.reference_of(local).endswith(":test_references_of_functions.<locals>.local")
    assert loading.reference_of(loading.resolve("cnn")) == "paretune.trainables.cnn:train"


def test_what_cannot_be_sent_is_named() -> None:
    lock = threading.Lock()

    def train(config: dict[str, object]) -> None:
        lock.acquire()

    with pytest.raises(TrainableError, match=r"cannot be sent to other processes: .*lock") as caught:
        loading.pickle(train)
    assert caught.value.hint is not None
    assert "it refers to 'lock'" in caught.value.hint


def test_code_of_another_environment_is_refused() -> None:
    with pytest.raises(TrainableError, match=r"cannot be loaded: .*ModuleNotFoundError") as caught:
        loading.unpickle(b"cnonsense_module\ntrain\n.")
    assert caught.value.hint is not None
    with pytest.raises(TrainableError, match="cannot be loaded"):
        loading.unpickle(b"")
