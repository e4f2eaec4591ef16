"""A study's metrics on a real Ray node's Prometheus endpoint."""

from __future__ import annotations

import re
import shutil
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
import ray
from ray_head import free_ports

from paretune.log import Log
from paretune.monitor.job import job_config
from paretune.monitor.metrics import EXPORTED, StudyMetrics
from paretune.records import Entry, Event, EventKind, Proposal, Report, Suggestion
from paretune.study import StudySpec, build

pytestmark = pytest.mark.ray

_PATIENCE_S = 90.0
_SAMPLE = re.compile(r"^(ray_paretune_\w+)\{(.*)\} (\S+)$", re.MULTILINE)
_LABEL = re.compile(r'(\w+)="([^"]*)"')


@pytest.fixture
def metrics_url(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    ray.shutdown()  # one that other tests share
    monkeypatch.setenv("RAY_metrics_report_interval_ms", "1000")  # a gauge not set again for two of these is dropped
    home = Path(tempfile.mkdtemp(prefix="prt-", dir="/tmp"))  # short: Ray's socket paths are limited to 107 bytes
    [port] = free_ports(1)
    ray.init(
        address="local",
        num_cpus=1,
        include_dashboard=True,
        dashboard_port=free_ports(1)[0],
        object_store_memory=100_000_000,
        log_to_driver=False,
        job_config=job_config("tiny", "/shared/results"),
        _temp_dir=str(home),
        _metrics_export_port=port,
    )
    yield f"http://127.0.0.1:{port}/metrics"
    ray.shutdown()
    shutil.rmtree(home, ignore_errors=True)


def spec() -> StudySpec:
    data = {
        "name": "tiny",
        "trainable": "cnn",
        "objectives": {
            "error": {"goal": "minimize", "reference": 1.0},
            "accuracy": {"goal": "maximize", "reference": 0.0, "limit": 0.1},
        },
        "space": {"x": {"type": "float", "low": 0, "high": 1}},
    }
    return build(data, where="test")


class Story:
    """A log that is written entry by entry."""

    def __init__(self) -> None:
        self.log = Log()

    def suggest(self, trial: int, *, seconds: float) -> Entry:
        suggestion = Suggestion(
            id=trial, proposal=Proposal(config={"x": 0.5}, origin="random"), algorithm="random",
            history_position=self.log.position, seconds=seconds,
        )  # fmt: skip
        return self._append(
            Event(position=self.log.position, kind="suggested", time_s=0, trial=trial, suggestion=suggestion)
        )

    def event(self, kind: EventKind, trial: int, **metrics: float) -> Entry:
        return self._append(Event(position=self.log.position, kind=kind, time_s=1, trial=trial, metrics=metrics))

    def report(self, trial: int, *, worker_seconds: float) -> Entry:
        return self._append(
            Report(position=self.log.position, trial=trial, attempt=1, step=1, resource=1, time_s=1, metrics={},
                   worker_seconds=worker_seconds)
        )  # fmt: skip

    def _append(self, entry: Entry) -> Entry:
        self.log.append(entry)
        return entry


def scrape(url: str) -> dict[tuple[str, str], float]:
    """The study's samples by name and distinguishing label."""
    with urllib.request.urlopen(url, timeout=10) as response:
        text = response.read().decode()
    found = {}
    for name, labels, value in _SAMPLE.findall(text):
        label = dict(_LABEL.findall(labels))
        assert label["study"] == "tiny"
        found[name, label.get("state") or label.get("objective") or label.get("le") or ""] = float(value)
    return found


def scrape_until(url: str, expected: Mapping[tuple[str, str], float | None]) -> dict[tuple[str, str], float]:
    """Ray passes metrics on every few seconds: look until what is expected is there, or show what is."""
    deadline = time.monotonic() + _PATIENCE_S
    found: dict[tuple[str, str], float] = {}
    while time.monotonic() < deadline:
        try:
            found = scrape(url)
        except OSError:  # the agent that serves the page may still be starting
            found = {}
        if all(found.get(key) == pytest.approx(value) for key, value in expected.items()):
            return found
        time.sleep(0.5)
    raise AssertionError(f"expected {expected}, found {found}")


def test_a_study_is_visible_to_prometheus(metrics_url: str) -> None:
    story, metrics = Story(), StudyMetrics(refresh_s=0.5)
    story.suggest(0, seconds=0.05)
    story.event("started", 0)
    story.report(0, worker_seconds=8.0)
    metrics.on_start(spec(), story.log)  # a study that goes on: what the log holds already counts
    metrics.on_entry(story.event("completed", 0, error=0.5, accuracy=0.5))
    metrics.on_entry(story.suggest(1, seconds=2.0))
    metrics.on_entry(story.event("started", 1))
    metrics.on_entry(story.report(1, worker_seconds=4.0))
    metrics.on_entry(story.event("completed", 1, error=0.25, accuracy=0.25))
    metrics.on_entry(story.suggest(2, seconds=2.0))
    metrics.on_entry(story.event("completed", 2, error=0.0, accuracy=0.0))  # beyond accuracy's limit of 0.1
    metrics.on_entry(story.suggest(3, seconds=2.0))
    metrics.on_entry(story.event("failed", 3))
    metrics.on_entry(story.suggest(4, seconds=2.0))

    found = scrape_until(
        metrics_url,
        {
            ("ray_paretune_trials", "completed"): 3,
            ("ray_paretune_trials", "failed"): 1,
            ("ray_paretune_trials", "pending"): 1,
            ("ray_paretune_trials", "running"): 0,
            ("ray_paretune_best", "error"): 0.25,
            ("ray_paretune_best", "accuracy"): 0.5,
            # Two boxes up to (1, 0): 0.5 x 0.5 and 0.75 x 0.25, sharing 0.5 x 0.25.
            ("ray_paretune_hypervolume", ""): 0.3125,
            ("ray_paretune_worker_seconds_total", ""): 12.0,
            ("ray_paretune_suggestion_seconds_count", ""): 5,
            ("ray_paretune_suggestion_seconds_bucket", "0.1"): 1,
        },
    )
    assert {name for name, _ in found} == set(EXPORTED), "the list that dashboards are checked against"

    for _ in range(10):  # well beyond the two intervals, with nothing happening in the study
        time.sleep(0.5)
        assert scrape(metrics_url) == found
    metrics.on_end()
    scrape_until(metrics_url, {("ray_paretune_best", "error"): None})
