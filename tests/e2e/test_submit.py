"""Studies sent to a real `ray start --head` with token authentication, which knows nothing of this checkout."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from ray_head import Head, ray_head

import paretune
from paretune.errors import ClusterError, InputError
from paretune.submit._base import Job
from paretune.submit.ray_job import RayJobs

pytestmark = pytest.mark.ray

PACKAGE = Path(paretune.__file__).parent
TOKEN = "0123456789abcdef0123456789abcdef"

SPEC = """
trainable: ./train.py:train
objectives: {loss: minimize}
space:
  x: {type: float, low: -1, high: 1}
search: {algorithm: random, trials: 3, seed: 1}
"""

TRAIN = """
import ray.train

def train(config):
    ray.train.report({"loss": config["x"] ** 2})
"""

# Stands in for `python -m paretune`: it is told the same arguments, and shows what a job finds on the cluster.
PROBE = """
import os, sys, time
from pathlib import Path
import paretune, ray

@ray.remote(num_cpus=1)
def on_a_worker():
    import paretune
    package = Path(paretune.__file__).parent
    folders = sorted(p.name for p in package.iterdir() if p.is_dir())
    return "_ray_pkg_" in str(package), folders, Path("data.txt").read_text()

print("arguments", sys.argv[1:])
print("here", sorted(p.name for p in Path().iterdir()))
print("extra", os.environ.get("EXTRA"))
if os.environ.get("FAIL"):
    sys.exit(int(os.environ["FAIL"]))
ray.init(log_to_driver=False)
shipped, folders, data = ray.get(on_a_worker.remote())
print("shipped", shipped, "folders", folders, "data", data)
if os.environ.get("LINGER"):
    try:
        print("lingering", flush=True)
        time.sleep(600)
    except KeyboardInterrupt:
        print("left cleanly", flush=True)
"""


@pytest.fixture(scope="module")
def head() -> Iterator[Head]:
    with ray_head(token=TOKEN) as running:
        yield running


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a spec, code and data, and things that must stay behind; it is the current one."""
    (tmp_path / "specs").mkdir()
    (tmp_path / "specs" / "tiny study.yaml").write_text("name: tiny\n" + SPEC)
    (tmp_path / "specs" / "train.py").write_text(TRAIN)
    (tmp_path / "probe.py").write_text(PROBE)
    (tmp_path / "data.txt").write_text("forty-two")
    for left_behind in ("paretune-results", ".venv", "__pycache__"):
        (tmp_path / left_behind).mkdir()
        (tmp_path / left_behind / "file").write_text("stays")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def cluster(head: Head, monkeypatch: pytest.MonkeyPatch) -> RayJobs:
    # An address given by hand wins over the environment's, which Ray's own client has the other way round.
    monkeypatch.setenv("RAY_ADDRESS", "http://127.0.0.1:9")
    return RayJobs(head.address, token=head.token)


def send(cluster: RayJobs, project: Path, **options: object) -> Job:
    return cluster.submit(
        project / "specs" / "tiny study.yaml",
        command=("python", "probe.py"),
        **options,  # type: ignore[arg-type]
    )


def test_a_job_finds_its_code_its_data_and_the_cluster(cluster: RayJobs, project: Path) -> None:
    job = send(cluster, project, env={"EXTRA": "seen"})
    written: list[str] = []
    ended = cluster.wait(job.id, written.append)
    output = "".join(written)

    assert ended.status == "succeeded", output
    assert ended.exit_code == 0
    assert "'run', 'specs/tiny study.yaml', '--store'" in output
    assert "here ['data.txt', 'probe.py', 'specs']" in output
    assert "extra seen" in output
    assert "shipped True" in output, "paretune itself must come along"
    assert "'cluster'" in output, "the links inside the package must be followed"
    assert "data forty-two" in output
    assert "".join(cluster.logs(job.id)) == output


def test_metadata_names_the_study_and_its_report(cluster: RayJobs, project: Path, head: Head) -> None:
    job = send(cluster, project, changes={"store": "/shared/results"}, env={"FAIL": "2"})
    ended = cluster.wait(job.id, lambda piece: None)

    assert (ended.status, ended.exit_code) == ("failed", 2)
    assert [j for j in cluster.jobs() if j.id == job.id] == [ended]
    assert (ended.study, ended.report) == ("tiny", "/shared/results/tiny/report.html")
    details = cluster._client.get_job_info(job.id)
    assert details.metadata is not None
    assert details.metadata["paretune_version"] == paretune.__version__
    assert "--store /shared/results" in details.entrypoint


def test_a_relative_store_lies_in_the_heads_home(cluster: RayJobs, project: Path, head: Head) -> None:
    job = send(cluster, project, env={"FAIL": "3"})
    ended = cluster.wait(job.id, lambda piece: None)

    assert ended.report == "~/paretune-results/tiny/report.html"
    assert f"'{head.home}/paretune-results'" in "".join(cluster.logs(job.id))
    assert ended.exit_code == 1, "an exit code that is none of ours says only that the job failed"


def test_stop_interrupts_as_ctrl_c_does(cluster: RayJobs, project: Path) -> None:
    job = send(cluster, project, env={"LINGER": "1"})
    for piece in cluster.logs(job.id, follow=True):
        if "lingering" in piece:
            break
    cluster.stop(job.id)
    ended = cluster.wait(job.id, lambda piece: None)

    assert (ended.status, ended.exit_code) == ("stopped", 130)
    assert "left cleanly" in "".join(cluster.logs(job.id))
    assert cluster.stop(job.id) == ended, "stopping what has ended changes nothing"


def test_a_bad_spec_is_refused_before_anything_is_sent(cluster: RayJobs, project: Path) -> None:
    spec = project / "specs" / "tiny study.yaml"
    spec.write_text(SPEC.replace("low: -1", "low: 2"))
    before = cluster.jobs()
    with pytest.raises(InputError, match="low must be below high"):
        cluster.submit(spec)
    assert cluster.jobs() == before


def test_code_that_would_stay_behind_is_refused(cluster: RayJobs, project: Path) -> None:
    (project / "specs" / "train.py").rename(project / "train.py")
    with pytest.raises(ClusterError, match="trainable: must be a file in the working directory"):
        cluster.submit(project / "specs" / "tiny study.yaml", working_dir=project / "specs")


def test_an_unknown_job_is_named(cluster: RayJobs) -> None:
    for ask in (cluster.job, cluster.stop, lambda name: list(cluster.logs(name))):
        with pytest.raises(ClusterError, match="has no job 'nobody'") as caught:
            ask("nobody")
        assert "paretune jobs" in str(caught.value)


def test_a_missing_token_says_how_to_get_one(head: Head, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(ClusterError, match="wants a token, none was found") as caught:
        RayJobs(head.address)
    assert "ray get-auth-token" in str(caught.value)


def test_a_wrong_token_says_where_it_came_from(head: Head, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RAY_AUTH_TOKEN", raising=False)
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(tmp_path / "token"))
    (tmp_path / "token").write_text("f" * 32)
    with pytest.raises(ClusterError, match="does not accept the token") as caught:
        RayJobs(head.address)
    assert str(tmp_path / "token") in str(caught.value)
    (tmp_path / "token").write_text(f"{TOKEN}\n")
    assert RayJobs(head.address).address == head.address


def test_a_whole_study_runs_as_a_job_and_is_watched_from_the_shell(head: Head, project: Path) -> None:
    def paretune_(*arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "paretune", *arguments, "--address", head.address],
            env=os.environ | {"RAY_AUTH_TOKEN": head.token, "COLUMNS": "200", "PYTHONPATH": str(PACKAGE.parent)},
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    submitted = paretune_("submit", "specs/tiny study.yaml", "--wait", "--trials", "40", "--target", "loss=0.3")
    name = submitted.partition(":")[0]
    assert submitted.rstrip().endswith(f"{name}: succeeded")
    results = head.home / "paretune-results" / "tiny"
    assert (results / "report.html").is_file()
    search = paretune.load("tiny", store=results.parent).spec.search
    assert (search.trials, search.target) == (40, {"loss": 0.3})
    assert "succeeded" in next(line for line in paretune_("jobs").splitlines() if name in line)
    assert paretune_("logs", name) in submitted
    assert f"{name}: has succeeded already" in paretune_("stop", name)
