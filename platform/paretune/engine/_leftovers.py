"""What Ray Train's runs hold of the cluster, and what lost ones still hold: Ray's private tables of groups and actors.

The controller of a run makes a placement group for its workers. One that is killed, or goes with the process that
started it, leaves the group to an actor of Ray's that was told of it only once the workers were up, and asks the
dashboard whether the controller is there; a group that it does not know stays until the driver ends. In Ray 2.60 the
public tables say nothing of who made a group. tests/unit/test_gang.py says so when the private ones move.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import ray
from ray import ActorID, PlacementGroupID
from ray._private.state import state
from ray.core.generated import gcs_pb2
from ray.util.placement_group import PlacementGroup, remove_placement_group

CONTROLLER = "TrainController"
"""What Ray Train calls the actor that leads a run."""

_rows: Any = gcs_pb2  # made by a compiler, without types


@dataclass(frozen=True, slots=True)
class Held:
    """A placement group of a Ray Train run; `owner` is the Ray worker that started the run, `lost`: it is over."""

    id: bytes
    owner: str
    lost: bool

    def remove(self) -> None:
        """Free what it holds; whatever still runs there is killed."""
        remove_placement_group(PlacementGroup(PlacementGroupID(self.id)))


def held() -> Iterator[Held]:
    """The placement groups of all Ray Train runs that this driver, or an actor of it, has started."""
    tables: Any = state._connect_and_get_accessor()
    job = ray.get_runtime_context().get_job_id()
    for row in tables.get_placement_group_table():
        group = _rows.PlacementGroupTableData.FromString(row)
        if group.creator_job_id.hex() == job and group.state != group.REMOVED and group.creator_actor_id:
            creator = _rows.ActorTableData.FromString(tables.get_actor_info(ActorID(group.creator_actor_id)) or b"")
            if creator.class_name == CONTROLLER:
                yield Held(group.placement_group_id, creator.owner_address.worker_id.hex(), group.creator_actor_dead)


def remove_lost() -> None:
    """Free what runs hold that are lost."""
    for group in held():
        if group.lost:
            group.remove()
