"""What a Ray job says about its study, in the dashboard and to `paretune jobs`.

Ray fixes a job's metadata when the job begins and offers no way to add to it later. So it is given at both places
where a job of ours can begin: a submission (`submit.ray_job`) and a driver's own `ray.init(job_config=...)`. Inside
a submitted job Ray merges the two, the submission's values first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import paretune

if TYPE_CHECKING:
    from ray.job_config import JobConfig

STUDY, REPORT, VERSION = "paretune_study", "paretune_report", "paretune_version"


def metadata(name: str, store: str) -> dict[str, str]:
    """The metadata of a job that runs the study `name` with its results in `store`."""
    return {STUDY: name, REPORT: f"{store.rstrip('/')}/{name}/report.html", VERSION: paretune.__version__}


def job_config(name: str, store: str) -> JobConfig:
    """The same for a driver that starts itself: `ray.init(job_config=job_config(spec.name, spec.store))`."""
    from ray.job_config import JobConfig

    return JobConfig(metadata=metadata(name, store))
