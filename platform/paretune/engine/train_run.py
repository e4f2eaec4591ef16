"""The Ray Train run behind a gang: a thread waits for it, and begins another where each trial gets fresh workers."""

from __future__ import annotations

import tempfile
import threading
import traceback

from paretune.engine.messages import Setup


class TrainRun:
    """Lasts until its workers return; `broken` says why it ended before that."""

    def __init__(self, setup: Setup, name: str, namespace: str) -> None:
        self.closing = False
        self.broken: str | None = None
        self._setup = setup
        self._thread = threading.Thread(target=self._fit, args=(name, namespace), daemon=True)
        self._thread.start()

    @property
    def lasts(self) -> bool:
        return self._thread.is_alive()

    def _fit(self, name: str, namespace: str) -> None:
        from paretune.engine import gang_worker  # imports torch, which the driver can do without

        try:
            with tempfile.TemporaryDirectory(prefix="paretune-", ignore_cleanup_errors=True) as scratch:
                while True:
                    gang_worker.trainer(self._setup, name, namespace, scratch=scratch).fit()
                    if self.closing or not self._setup.fresh:
                        return
        except Exception:
            if not self.closing:
                self.broken = traceback.format_exc()
