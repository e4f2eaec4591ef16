"""The Ray Train run behind a gang: a thread waits for it, and begins another where each trial gets fresh workers.

A run that fails although its workers had come up (its own actors may be lost with a node) is begun anew as well. What
lost ones still hold of the cluster, that of this gang before it was restarted among them, is freed before.
"""

from __future__ import annotations

import tempfile
import threading
import traceback

from paretune.engine import _leftovers
from paretune.engine.messages import Setup

ATTEMPTS = 3
"""How many runs on end may fail before any worker has come up."""


class TrainRun:
    """Lasts until its workers return; `broken` says why it ended before that. `served`: a worker has come up."""

    def __init__(self, setup: Setup, name: str, namespace: str) -> None:
        self.closing = self.served = False
        self.broken: str | None = None
        self._setup = setup
        self._thread = threading.Thread(target=self._fit, args=(name, namespace), daemon=True)
        self._thread.start()

    @property
    def lasts(self) -> bool:
        return self._thread.is_alive()

    def _fit(self, name: str, namespace: str) -> None:
        from paretune.engine import gang_worker  # imports torch, which the driver can do without

        failed = 0
        with tempfile.TemporaryDirectory(prefix="paretune-", ignore_cleanup_errors=True) as scratch:
            while True:
                self.served = False
                try:
                    _leftovers.remove_lost()
                    gang_worker.trainer(self._setup, name, namespace, scratch=scratch).fit()
                    if self.closing or not self._setup.fresh:
                        return
                except Exception:
                    failed = 1 if self.served else failed + 1
                    if self.closing:
                        return
                    if failed == ATTEMPTS:
                        self.broken = traceback.format_exc()
                        return
