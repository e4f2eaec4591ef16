"""The files of `cluster/` are what their tools accept, and agree with the code that they serve."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import yaml
from ray.autoscaler._private.util import prepare_config, validate_config  # what `ray up` does first

from paretune import __version__, study
from paretune.monitor import job
from paretune.monitor.metrics import EXPORTED

CLUSTER = Path(__file__).parents[2] / "cluster"
MANIFESTS = ["kuberay/raycluster.yaml", "kuberay/rayjob.yaml"]


def documents(name: str) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all((CLUSTER / name).read_text()))


def of_kind(name: str, kind: str) -> dict[str, Any]:
    [found] = [document for document in documents(name) if document["kind"] == kind]
    return found


def test_grafana_asks_for_metrics_that_exist_and_for_all_of_them() -> None:
    dashboard = json.loads((CLUSTER / "grafana" / "paretune.json").read_text())
    queries = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    asked = set(re.findall(r"\w*paretune_\w+", json.dumps(dashboard)))
    assert asked <= set(EXPORTED)
    # The sum is left out on purpose: Ray makes it up from the buckets.
    assert set(EXPORTED) - asked == {"ray_paretune_suggestion_seconds_sum"}
    assert all("$study" in query for query in queries), "every panel follows the choice of study"
    places = [tuple(panel["gridPos"].values()) for panel in dashboard["panels"]]
    assert len(set(places)) == len(places)


def test_the_launcher_accepts_its_file() -> None:
    config = yaml.safe_load((CLUSTER / "ray-cluster.yaml").read_text())
    validate_config(prepare_config(config))
    starts = config["head_start_ray_commands"] + config["worker_start_ray_commands"]
    assert all("RAY_AUTH_MODE=token" in command for command in starts if "ray start" in command)
    assert len(config["provider"]["worker_ips"]) == config["min_workers"] == config["max_workers"]


@pytest.mark.parametrize("name", MANIFESTS)
def test_manifests_ask_for_this_ray_and_a_token(name: str) -> None:
    kind = "RayJob" if "rayjob" in name else "RayCluster"
    spec = of_kind(name, kind)["spec"]
    cluster = spec.get("rayClusterSpec", spec)
    assert cluster["rayVersion"] == version("ray")
    assert cluster["authOptions"] == {"mode": "token"}
    pods = [group["template"]["spec"] for group in [cluster["headGroupSpec"], *cluster["workerGroupSpecs"]]]
    assert {container["image"] for pod in pods for container in pod["containers"]} == {f"paretune:{__version__}"}
    for pod in pods:
        mounted = {mount["name"] for container in pod["containers"] for mount in container["volumeMounts"]}
        assert mounted == {volume["name"] for volume in pod["volumes"]}


def test_the_rayjobs_spec_is_a_study_and_its_metadata_says_which(tmp_path: Path) -> None:
    [(file, text)] = of_kind("kuberay/rayjob.yaml", "ConfigMap")["data"].items()
    (tmp_path / file).write_text(text)
    spec = study.load(tmp_path / file)
    run = of_kind("kuberay/rayjob.yaml", "RayJob")["spec"]
    store = run["entrypoint"].split("--store ")[1]
    expected = job.metadata(spec.name, store)
    assert run["metadata"] == {key: expected[key] for key in (job.STUDY, job.REPORT)}
    assert f"run /specs/{file} " in run["entrypoint"]


class Slurm:
    """A cluster of stand-ins: every command says what it was given; `paretune` runs what the test wants."""

    def __init__(self, folder: Path, *, nodes: int, paretune: str) -> None:
        self.folder, self.nodes = folder, nodes
        folder.mkdir()
        self.command("scontrol", f"printf '%s\\n' {' '.join(['localhost'] * nodes)}")
        self.command("srun", 'while [[ $1 == --* ]]; do shift; done; exec "$@"')
        # A node joins by writing a file, and stays.
        self.command("ray", f'echo "$@ $RAY_AUTH_MODE $RAY_AUTH_TOKEN" > {folder}/node.$$; exec sleep 600')
        ready = f"sum(1 for _ in __import__('pathlib').Path('{folder}').glob('node.*'))"
        (folder / "ray.py").write_text(f"def init(**_): pass\ndef nodes(): return [{{'Alive': True}}] * {ready}\n")
        self.command("paretune", paretune)

    def command(self, name: str, body: str) -> None:
        path = self.folder / name
        path.write_text(f"#!/bin/bash\n{body}\n")
        path.chmod(0o755)

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        environment = {
            "PATH": f"{self.folder}:{Path(sys.executable).parent}:/usr/bin:/bin",
            "PYTHONPATH": str(self.folder),
            "SLURM_JOB_NODELIST": "some",
            "SLURM_JOB_ID": "7",
            "SLURM_CPUS_PER_TASK": "3",
        }
        return subprocess.Popen(
            ["bash", str(CLUSTER / "slurm" / "paretune.sbatch"), *arguments],
            env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip

    def started(self) -> list[str]:
        return sorted(path.read_text() for path in self.folder.glob("node.*"))


def test_the_slurm_job_brings_up_its_nodes_and_ends_as_the_study_does(tmp_path: Path) -> None:
    slurm = Slurm(tmp_path / "bin", nodes=2, paretune='echo "ran $@ with $RAY_AUTH_MODE"; exit 2')
    process = slurm.start("a spec.yaml", "--store", "/shared")
    output, _ = process.communicate(timeout=120)

    assert process.returncode == 2, output
    assert re.search(r"ran run a spec.yaml --store /shared --address 127.0.0.1:6379 with token", output)
    worker, head = slurm.started()
    assert "start --head --block --node-ip-address=127.0.0.1 --port=6379 --num-cpus=3" in head
    assert "start --block --address=127.0.0.1:6379 --num-cpus=3" in worker
    tokens = {line.split()[-1] for line in (head, worker)}
    assert len(tokens) == 1, "one token for all nodes"
    assert re.fullmatch("[0-9a-f]{64}", tokens.pop())


def test_the_slurm_jobs_interrupt_reaches_the_study_and_its_ending_is_awaited(tmp_path: Path) -> None:
    study_ = tmp_path / "study.py"
    study_.write_text(
        "import time\n"
        "try:\n    print('searching', flush=True); time.sleep(60)\n"
        "except KeyboardInterrupt:\n    time.sleep(0.5); print('ended cleanly', flush=True); raise SystemExit(130)\n"
    )
    slurm = Slurm(tmp_path / "bin", nodes=1, paretune=f"exec {sys.executable} {study_}")
    process = slurm.start("spec.yaml")
    assert process.stdout is not None
    assert process.stdout.readline() == "searching\n"
    process.send_signal(2)
    output = process.stdout.read()
    process.wait()
    process.stdout.close()

    assert "ended cleanly" in output
    assert process.returncode == 130
