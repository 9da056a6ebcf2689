"""The API with the requested faults.

Counts the requests to each endpoint in order of arrival, from all callers, and picks the fault
that strikes one. ``faults`` says what a fault does, and ``api`` what the API does.
"""

from __future__ import annotations

import threading
from collections import Counter

from provisioner.sandbox.api import ROUTES, SandboxApi
from provisioner.sandbox.faults import Fault
from provisioner.sandbox.reply import SandboxReply
from provisioner.sandbox.request import Endpoint, SandboxRequest, routed


class FaultyApi:
    """Answers like the API, except where a fault strikes; safe to share between threads."""

    def __init__(self, api: SandboxApi, faults: tuple[Fault, ...]) -> None:
        self._api = api
        self._faults = faults
        self._lock = threading.Lock()
        self._counts: Counter[Endpoint] = Counter()

    def answer(self, request: SandboxRequest) -> tuple[SandboxReply, Fault | None]:
        """Return the answer to one request, and the fault that distorted it; raises RefusalError."""
        endpoint, login = routed(request, ROUTES)
        with self._lock:
            self._counts[endpoint] += 1
            number = self._counts[endpoint]
        fault = next((each for each in self._faults if each.strikes(endpoint, number)), None)
        if fault is None:
            return self._api.answer(endpoint, login, request), None
        honest = self._api.answer(endpoint, login, request, fault.ignored) if fault.processed else SandboxReply(None)
        return fault.distorted(honest), fault
