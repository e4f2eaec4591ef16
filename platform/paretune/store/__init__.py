"""The results store: a study's only memory, as Delta tables that anything can read.

    <store>/<study>/
      study/        one row: the specification, what it was made with
      events/       what happened, typed columns for the suggested parameters
      reports/      what the trials reported
      checkpoints/  whatever the engine saves
      hangs/        what the workers of a trial that came to a standstill were doing
      code.pkl      the training function, when it was handed over rather than named

A store is a local folder or any URI of the `object_store` crate (s3://, gs://, az:// ...; credentials come from the
environment, as that crate reads them). One `Writer` at a time adds to a study; anybody may `read` it meanwhile.
"""

from __future__ import annotations

from paretune.store._create import check_writable, create
from paretune.store._location import checkpoint_root, keep_text
from paretune.store._reader import StoredStudy, exists, read
from paretune.store._summary import Summary, summaries
from paretune.store._writer import Writer

__all__ = [
    "StoredStudy",
    "Summary",
    "Writer",
    "check_writable",
    "checkpoint_root",
    "create",
    "exists",
    "keep_text",
    "read",
    "summaries",
]
