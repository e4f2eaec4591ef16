"""A study on a virtual clock: the same algorithms, schedulers and records as on Ray, in a small part of the time.

cluster.py     workers that train in virtual seconds; the study's course leads them
blackbox.py    what a training would give: a function, or a finished study
faults.py      what goes wrong on a real cluster: failures, slow workers, lost ones

Imports no Ray. `paretune.simulate` is the way in.
"""

from __future__ import annotations

from paretune.simulation.blackbox import Blackbox, Recorded
from paretune.simulation.cluster import Cluster, report_resources
from paretune.simulation.faults import Faults

__all__ = ["Blackbox", "Cluster", "Faults", "Recorded", "report_resources"]
