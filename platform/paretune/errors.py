"""Every error paretune raises on purpose, in one tree.

    ParetuneError
    ├── InputError                 something the user gave is wrong: found before any trial starts (exit code 2)
    │   ├── SpaceError             a parameter, a condition, or a configuration outside its space
    │   ├── ObjectiveError         a goal, a reference, a limit
    │   ├── SpecError              an unknown key, a missing or ill-typed field of a study
    │   ├── AlgorithmError         an unknown algorithm, or one that cannot serve this space or these objectives
    │   ├── SchedulerError         an unknown scheduler, or one that lacks what it must know
    │   ├── TrainableError         a training function that cannot be found or imported
    │   ├── StudyNotFoundError     no such study in the store
    │   ├── StudyExistsError       a study of that name with another space, other objectives ...
    │   ├── StudyBusyError         a study that another process is running
    │   ├── StoreLocationError     a store that cannot be written or read
    │   ├── ResourceError          workers that the cluster can never place
    │   └── ClusterError           no cluster at that address, or no token for it
    ├── DataError                  a data set that cannot be fetched, or is not what it should be
    ├── StoreError                 the store broke while a study ran
    │   ├── FencedError            another writer took the study over
    │   └── SchemaError            tables written by another version of paretune
    ├── CheckpointError            a checkpoint that is incomplete, damaged, or of another model
    ├── ReportError                a training loop reported something that cannot be used
    ├── DivergedError              a training loop gives its trial up: status diverged, with this message
    ├── StarvedError               a training loop that waits for its data most of the time
    ├── UnsupportedError           a training loop asks Ray Train for something that a trial does not have
    ├── StandstillError            a training loop that neither reports nor returns
    └── StudyFailedError           the study could not go on (exit code 1)

`TrialStopped` stands apart: it is not an error but the way a training loop is left when its trial is over.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class ParetuneError(Exception):
    """*where: what must hold, what was found*, and on a second line *hint: what to do*."""

    exit_code = 1

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return self.message if self.hint is None else f"{self.message}\nhint: {self.hint}"

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuild, (type(self), self.message, self.hint)

    def located(self, where: str) -> ParetuneError:
        """The same error with `where: ` in front of its message."""
        return type(self)(f"{where}: {self.message}", hint=self.hint)


def _rebuild(kind: type[ParetuneError], message: str, hint: str | None) -> ParetuneError:
    return kind(message, hint=hint)


class InputError(ParetuneError):
    exit_code = 2


class SpaceError(InputError): ...


class ObjectiveError(InputError): ...


class SpecError(InputError): ...


class AlgorithmError(InputError): ...


class SchedulerError(InputError): ...


class TrainableError(InputError): ...


class StudyNotFoundError(InputError): ...


class StudyExistsError(InputError): ...


class StudyBusyError(InputError): ...


class StoreLocationError(InputError): ...


class ResourceError(InputError): ...


class ClusterError(InputError): ...


class DataError(ParetuneError): ...


class StoreError(ParetuneError): ...


class FencedError(StoreError): ...


class SchemaError(StoreError): ...


class CheckpointError(ParetuneError): ...


class ReportError(ParetuneError): ...


class DivergedError(ParetuneError): ...


class StarvedError(ParetuneError): ...


class UnsupportedError(ParetuneError): ...


class StandstillError(ParetuneError): ...


class StudyFailedError(ParetuneError): ...


class TrialStopped(BaseException):
    """Raised out of `ray.train.report` when the trial is over.

    Not an `Exception`, so that a training loop's own `except Exception` lets it through (as asyncio's CancelledError).
    """


def nearest(name: object, known: Iterable[str]) -> str | None:
    """A hint that names the known word closest to `name`, or lists them all when none is close."""
    words = sorted(known)
    close = difflib.get_close_matches(str(name), words, n=1)
    if close:
        return f"did you mean {close[0]!r}?"
    return f"known: {', '.join(words)}" if words else None
