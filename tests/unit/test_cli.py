"""The command line: what each command prints, its exit code, and that quick answers import neither torch nor ray."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

import synthetic
from paretune import flow, store
from paretune.cli import main
from paretune.cli._results import _origin, _trust
from paretune.errors import StudyFailedError
from paretune.records import Proposal, Suggestion
from paretune.study import StudySpec

Run = Callable[..., tuple[int, str, str]]

SPEC = """
trainable: ./loop.py:train
objectives: {val_error: minimize}
space: {lr: {type: float, low: 1e-5, high: 1e-2, log: true}, width: {type: int, low: 8, high: 64, step: power2}}
search: {algorithm: random, trials: 5}
"""


REASON = "KeyError: '[/red]'"  # looks like markup, and must be printed as it is


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a command in an empty folder: exit code, standard output, standard error."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PARETUNE_DEBUG", raising=False)

    def _run(*arguments: str) -> tuple[int, str, str]:
        capsys.readouterr()
        with pytest.raises(SystemExit) as left:
            main(list(arguments))
        captured = capsys.readouterr()
        return int(left.value.code or 0), captured.out, captured.err

    return _run


@pytest.fixture
def spec_file(tmp_path: Path) -> Path:
    (tmp_path / "loop.py").write_text("def train(config): ...\n")
    path = tmp_path / "mine.yaml"
    path.write_text(SPEC)
    return path


@pytest.fixture
def stored(tmp_path: Path) -> StudySpec:
    """A study in the default store: three trials of 24 done, the fourth failed."""
    spec = synthetic.spec(trials=24, store=str(tmp_path / "paretune-results"))
    write = synthetic.Writer()
    write.event("opened")
    config = {"lr": 0.1 + 0.2, "hidden": 64, "layers": 3, "optimizer": "adamw"}
    write.complete(0, config, {"val_error": 0.25, "latency_ms": 2.0})
    write.complete(1, {**config, "optimizer": "sgd", "momentum": 0.9}, {"val_error": 0.125, "latency_ms": 3.0})
    write.complete(2, {**config, "layers": 8}, {"val_error": 0.5, "latency_ms": 4.0})
    write.start(3, config)
    write.event("failed", 3, attempt=1, reason=REASON, details={"traceback": synthetic.TRACEBACK})
    store.create(spec, synthetic.provenance())
    with store.Writer(spec.store, spec.name) as writer:
        for entry in write.log.entries:
            writer.append(entry)
    return spec


# -- help and errors ---------------------------------------------------------------------------------------------------


SEARCHING, RESULTS = ["run", "resume"], ["list", "show", "best", "diagnose", "replay", "report", "export"]
COMMANDS = [*SEARCHING, *RESULTS, "trainables", "validate", "doctor", "submit", "jobs", "logs", "stop"]


def test_help_names_every_command(run: Run) -> None:
    code, out, _ = run("--help")
    assert code == 0
    assert all(f"│ {command} " in out for command in COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_an_example(run: Run, command: str) -> None:
    code, out, _ = run(command, "--help")
    assert code == 0
    assert f"Example: paretune {command}" in out


def test_the_reference_is_the_help(tmp_path: Path) -> None:
    """`make docs` writes it; it must follow every change of a command."""
    written = tmp_path / "cli.md"
    command = ["-m", "typer", "paretune.cli._app", "utils", "docs", "--name", "paretune", "--title", "Command line"]
    subprocess.run([sys.executable, *command, "--output", str(written)], check=True, capture_output=True)
    reference = Path(__file__).parents[2] / "docs" / "reference" / "cli.md"
    assert reference.read_text() == written.read_text(), "run `make docs`"


def test_version(run: Run) -> None:
    assert run("--version")[:2] == (0, "paretune 0.1.0\n")


BAD = [
    ("run", "nonsense.yaml"),
    ("run", "cn"),
    ("run", "mine.yaml", "--set", "space.lr.low=1"),
    ("run", "mine.yaml", "--set", "search.algorithm=gpp"),
    ("run", "mine.yaml", "--set", "search.trails=3"),
    ("run", "mine.yaml", "--set", "trials"),
    ("run", "mine.yaml", "--set", "trainable=./loop.py:trian"),
    ("run", "mine.yaml", "--set", "trainable=cnnn"),
    ("run", "mine.yaml", "--trials", "0"),
    ("run", "mine.yaml", "--name", "../evil"),
    ("run", "mine.yaml", "--set", "space.lr=[1"),
    ("validate", "nonsense.yaml"),
    ("show", "nonsense"),
    ("best", "nonsense"),
    ("export", "nonsense"),
    ("report", "nonsense"),
    ("diagnose", "nonsense"),
    ("resume", "nonsense"),
    ("show", "../evil"),
]


@pytest.mark.parametrize("arguments", BAD, ids=" ".join)
def test_bad_input_answers_in_two_lines_and_writes_nothing(
    run: Run, spec_file: Path, arguments: tuple[str, ...]
) -> None:
    before = sorted(spec_file.parent.rglob("*"))
    code, out, err = run(*arguments)
    assert code == 2
    assert out == ""
    lines = err.splitlines()
    assert lines[0].startswith("error: ")
    assert len(lines) == 1 or (len(lines) == 2 and lines[1].startswith("hint: "))
    assert sorted(spec_file.parent.rglob("*")) == before


@pytest.mark.parametrize(("option", "expected"), [("--trails", 2), ("--trials", 2)])
def test_usage_errors_are_bad_input(run: Run, option: str, expected: int) -> None:
    assert run("run", "mine.yaml", option, "many")[0] == expected


def test_a_mistyped_command_names_the_nearest(run: Run) -> None:
    code, _, err = run("shwo", "cnn")
    assert code == 2
    assert "Did you mean 'show'" in err


@pytest.mark.parametrize("arguments", [("--debug", "show", "nonsense"), ("show", "nonsense", "--debug")])
def test_debug_shows_the_traceback(run: Run, arguments: tuple[str, ...]) -> None:
    code, _, err = run(*arguments)
    assert code == 2
    assert "Traceback (most recent call last)" in err
    assert "error: " in err


def test_the_environment_can_ask_for_the_traceback(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PARETUNE_DEBUG", "1")
    assert "Traceback" in run("show", "nonsense")[2]
    monkeypatch.setenv("PARETUNE_DEBUG", "0")
    assert "Traceback" not in run("show", "nonsense")[2]


QUICK = [
    *([command, "--help"] for command in COMMANDS),
    ["--help"],
    ["list"],
    ["trainables"],
    ["validate", "cnn"],
    *BAD,
]


def test_quick_answers_import_neither_torch_nor_ray(spec_file: Path) -> None:
    program = (
        "import json, sys\nfrom paretune.cli import main\n"
        "for arguments in json.loads(sys.argv[1]):\n"
        "    try: main(arguments)\n"
        "    except SystemExit: pass\n"
        "    heavy = {'torch', 'ray', 'botorch', 'pandas', 'altair'} & set(sys.modules)\n"
        "    assert not heavy, (arguments, heavy)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, json.dumps(QUICK)], cwd=spec_file.parent, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-2000:]


def test_python_dash_m_is_the_command() -> None:
    done = subprocess.run([sys.executable, "-m", "paretune", "show", "x"], capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.startswith("error: ")


# -- run and resume ----------------------------------------------------------------------------------------------------


class Flow:
    """Stands in for `flow.run`: remembers what it was given, and ends as it is told."""

    def __init__(self, ending: BaseException | None = None) -> None:
        self.ending = ending
        self.spec: StudySpec | None = None
        self.given: dict[str, Any] = {}

    def __call__(self, spec: StudySpec, **given: Any) -> flow.Study:
        self.spec, self.given = spec, given
        store.create(spec, synthetic.provenance())
        played = synthetic.log(spec)
        with store.Writer(spec.store, spec.name) as writer:
            for entry in played.entries:
                writer.append(entry)
        if self.ending is not None:
            raise self.ending
        return flow.load(spec.name, store=spec.store)


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Flow:
    made = Flow()
    monkeypatch.setattr(flow, "run", made)
    return made


def test_run_hands_over_the_spec_its_folder_and_the_options(run: Run, spec_file: Path, fake: Flow) -> None:
    options = "--trials 7 --hours 2 --concurrency 3 --workers 2 --seed 9 --store elsewhere --name other --address auto"
    settings = ["--set", "train.epochs=3", "--set", "train.config.dataset=digits", "--set", "space.lr.high=1e-1"]
    code, out, err = run("run", "mine.yaml", *options.split(), *settings)
    assert (code, err) == (0, "")
    spec = fake.spec
    assert spec is not None
    assert (spec.search.trials, spec.search.hours, spec.search.concurrency, spec.search.seed) == (7, 2.0, 3, 9)
    assert (spec.train.workers, spec.train.epochs, spec.train.config) == (2, 3, {"dataset": "digits"})
    assert (spec.store, spec.name, spec.space["lr"].high) == ("elsewhere", "other", 0.1)  # type: ignore[union-attr]
    assert fake.given["address"] == "auto"
    assert fake.given["base"].resolve() == spec_file.parent
    assert len(fake.given["listeners"]) == 1
    assert (spec_file.parent / "elsewhere" / "other" / "report.html").is_file()
    assert f"report: {Path('elsewhere') / 'other' / 'report.html'}" in out
    assert "val_error" in out


def test_run_leaves_alone_what_it_is_not_told(run: Run, spec_file: Path, fake: Flow) -> None:
    assert run("run", "mine.yaml")[0] == 0
    assert fake.spec is not None
    assert (fake.spec.name, fake.spec.store, fake.spec.search.trials) == ("mine", "paretune-results", 5)


def test_an_interrupted_run_says_how_to_resume(run: Run, spec_file: Path, fake: Flow) -> None:
    fake.ending = KeyboardInterrupt()
    code, _, err = run("run", "mine.yaml", "--store", "my store")
    assert code == 130
    assert "paretune resume mine --store 'my store'" in err


def test_a_failed_study_ends_with_1(run: Run, spec_file: Path, fake: Flow) -> None:
    fake.ending = StudyFailedError("the first 5 trials all failed", hint="mend it")
    code, _, err = run("run", "mine.yaml")
    assert (code, err) == (1, "error: the first 5 trials all failed\nhint: mend it\n")


def test_a_module_that_fails_to_import_is_bad_input(run: Run, spec_file: Path) -> None:
    (spec_file.parent / "loop.py").write_text("import nonsense_module\ndef train(config): ...\n")
    code, _, err = run("run", "mine.yaml")
    assert code == 2
    assert "fails to import: ModuleNotFoundError: No module named 'nonsense_module'" in err
    assert "loop.py, line 1: import nonsense_module" in err
    assert not (spec_file.parent / "paretune-results").exists()


def test_resume_passes_the_new_budget(run: Run, stored: StudySpec, monkeypatch: pytest.MonkeyPatch) -> None:
    given: dict[str, Any] = {}

    def resume(self: flow.Study, **options: Any) -> flow.Study:
        given.update(options)
        return self

    monkeypatch.setattr(flow.Study, "resume", resume)
    code, out, _ = run("resume", "cnn", "--trials", "60", "--concurrency", "4", "--address", "auto")
    assert code == 0
    assert (given["trials"], given["hours"], given["concurrency"], given["address"]) == (60, None, 4, "auto")
    assert "report.html" in out


# -- results -----------------------------------------------------------------------------------------------------------


def test_list_shows_each_study(run: Run, stored: StudySpec) -> None:
    code, out, _ = run("list")
    assert code == 0
    row = next(line for line in out.splitlines() if line.startswith("cnn"))
    assert "3/24, 1 failed" in row
    assert "val_error 0.125  latency_ms 2" in row
    assert run("list", "--store", "nowhere")[1].startswith("no studies in nowhere")


def test_show_tells_the_front_and_the_failures(run: Run, stored: StudySpec) -> None:
    code, out, _ = run("show", "cnn")
    assert code == 0
    assert "3/24, 1 failed" in out
    assert "latency_ms" in out
    assert REASON in out
    assert "paretune show cnn --trial 3" in out


def test_show_one_trial_with_its_traceback(run: Run, stored: StudySpec) -> None:
    code, out, _ = run("show", "cnn", "--trial", "3")
    assert code == 0
    assert synthetic.TRACEBACK.strip() in out
    assert "optimizer" in out
    assert "momentum" not in out
    code, _, err = run("show", "cnn", "--trial", "99")
    assert code == 2
    assert err == "error: study cnn: no trial 99\nhint: its trials are 0 to 3\n"


def test_show_says_what_auto_chose_and_why() -> None:
    chosen = {"algorithm": "gp", "because": "needs the fewest trials"}
    proposal = Proposal(config={}, origin="model", fit={"auto": {"noise": 0.1}}, notes={"auto": chosen})
    suggestion = Suggestion(id=0, proposal=proposal, algorithm="auto", history_position=1)
    assert _origin(suggestion) == "auto (gp: needs the fewest trials), model"
    by_hand = replace(suggestion, algorithm="gp", proposal=replace(proposal, notes={}))
    assert _origin(by_hand) == "gp, model", "an objective may be called auto"


def test_show_says_how_far_earlier_studies_are_trusted() -> None:
    assert _trust({"val_error": {"old": 0.984, "older": 0.016}, "latency_ms": {}}) == [
        "val_error: old 98%, older 2%",
        "latency_ms: none of them",
    ]


def test_best_prints_yaml(run: Run, stored: StudySpec) -> None:
    code, out, _ = run("best", "cnn", "--objective", "val_error")
    assert code == 0
    assert out.startswith("# trial 1 of cnn: val_error 0.125")
    assert yaml.safe_load(out) == {"lr": 0.1 + 0.2, "hidden": 64, "layers": 3, "optimizer": "sgd", "momentum": 0.9}
    code, _, err = run("best", "cnn")
    assert code == 2
    assert "val_error" in err


def test_report_goes_where_it_is_told(run: Run, stored: StudySpec, tmp_path: Path) -> None:
    assert run("report", "cnn")[1] == "report: paretune-results/cnn/report.html\n"
    assert (tmp_path / "paretune-results/cnn/report.html").stat().st_size > 10_000
    assert run("report", "cnn", "-o", "mine.html")[0] == 0
    assert (tmp_path / "mine.html").is_file()
    code, _, err = run("report", "cnn", "-o", "mine.html/report.html")
    assert code == 2
    assert "cannot be written" in err


def test_export_csv(run: Run, stored: StudySpec) -> None:
    code, out, _ = run("export", "cnn")
    assert code == 0
    rows = list(csv.DictReader(io.StringIO(out)))
    assert [row["status"] for row in rows] == ["completed"] * 3 + ["failed"]
    assert [float(row["lr"]) for row in rows] == [0.1 + 0.2] * 4
    assert [row["layers"] for row in rows] == ["3", "3", "8", "3"]
    assert [row["momentum"] for row in rows] == ["", "0.9", "", ""]
    assert [row["val_error"] for row in rows] == ["0.25", "0.125", "0.5", ""]


def test_export_json(run: Run, stored: StudySpec) -> None:
    rows = json.loads(run("export", "cnn", "--format", "json")[1])
    assert [row["trial"] for row in rows] == [0, 1, 2, 3]
    assert [row["lr"] for row in rows] == [pytest.approx(0.3, rel=1e-12)] * 4
    assert [row["momentum"] for row in rows] == [None, 0.9, None, None]
    assert {type(row["layers"]) for row in rows} == {int}


def test_export_parquet_to_a_file(run: Run, stored: StudySpec, tmp_path: Path) -> None:
    from pyarrow import parquet

    assert run("export", "cnn", "-o", "cnn.parquet")[0] == 0  # the ending tells the format
    assert parquet.read_table(tmp_path / "cnn.parquet").num_rows == 4


def test_parquet_is_not_for_a_terminal(run: Run, stored: StudySpec, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    code, out, err = run("export", "cnn", "--format", "parquet")
    assert (code, out) == (2, "")
    assert "not for a terminal" in err


# -- before a study ----------------------------------------------------------------------------------------------------


def test_trainables_lists_the_builtins(run: Run) -> None:
    code, out, _ = run("trainables")
    assert code == 0
    assert {"cnn", "transformer", "xpatch"} <= {line.split()[0] for line in out.splitlines() if line}


def test_validate_says_all_is_well(run: Run, spec_file: Path) -> None:
    code, out, _ = run("validate", "mine.yaml")
    assert code == 0
    assert "mine.yaml: all is well" in out
    assert "5 trials" in out
    assert "minimize val_error" in out
    assert "int 8 .. 64, powers of two" in out


def test_validate_shows_constraints_beliefs_and_what_comes_first(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "known.yaml"
    path.write_text(
        "trainable: cnn\nobjectives: {val_error: minimize}\nconstraints: [a*b<=64]\nsearch: {first: [{a: 4}]}\n"
        "space:\n  a: {type: int, low: 1, high: 16, prior: {mean: 4, sd: 2}}\n"
        "  b: {type: choice, options: [1, 2], prior: [1, 3]}\n"
    )
    code, out, _ = run("validate", str(path))
    assert code == 0
    for shown in ("constraint: a * b <= 64", "tried first: a: 4, b: 2", "mean 4, sd 2", "1 1 : 2 3"):
        assert shown in out


def test_validate_checks_the_scheduler(run: Run, spec_file: Path) -> None:
    text = spec_file.read_text() + "train: {epochs: 9}\n"
    spec_file.write_text(text.replace("trials: 5", "trials: 5, scheduler: {name: asha, kind: promote}"))
    code, out, _ = run("validate", "mine.yaml")
    assert code == 0
    assert "by random and asha" in out
    spec_file.write_text(text.replace("trials: 5", "trials: 5, scheduler: {name: asha, kind: pause}"))
    code, _, err = run("validate", "mine.yaml")
    assert code == 2
    assert "search: scheduler: asha: kind: input should be 'stop' or 'promote', got 'pause'" in " ".join(err.split())


def test_validate_takes_a_trainables_name(run: Run) -> None:
    code, out, _ = run("validate", "cnn")
    assert code == 0
    assert os.path.join("search_spaces", "cnn.yaml") in out  # noqa: PTH118 - a part of a printed line
