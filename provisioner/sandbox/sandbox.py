"""A running sandbox: assembles, starts and stops its parts."""

from __future__ import annotations

import contextlib
import errno
import signal
import threading
from types import TracebackType
from typing import Self

from provisioner.errors import SettingInvalid
from provisioner.sandbox.account import SandboxAccount
from provisioner.sandbox.accounts import SandboxAccounts
from provisioner.sandbox.api import PREFIX, SandboxApi
from provisioner.sandbox.connection import Service
from provisioner.sandbox.dashboard import BY_HAND, Dashboard
from provisioner.sandbox.faulty import FaultyApi
from provisioner.sandbox.received import Received, ReceivedRequest
from provisioner.sandbox.server import HOST, Server
from provisioner.sandbox.settings import SandboxSettings


class Sandbox:
    """A running sandbox: ``with Sandbox(settings) as sandbox: client(sandbox.url)``.

    Creating one opens the ledger and the port, and raises SettingInvalid if that fails;
    entering it serves from threads; leaving it stops.
    """

    def __init__(self, settings: SandboxSettings) -> None:
        self._accounts = SandboxAccounts(settings.parents, settings.ledger)
        self._received = Received()
        api = FaultyApi(SandboxApi(settings.parents, self._accounts), settings.faults)
        dashboard = Dashboard(self._accounts, self._received)
        self._stopping = threading.Event()
        service = Service(api, dashboard, self._received, settings.latency, self._stopping)
        try:
            self._server = Server(settings.port, service)
        except (OSError, OverflowError) as error:
            self._accounts.close()
            taken = isinstance(error, OSError) and error.errno == errno.EADDRINUSE
            why = f"The sandbox cannot listen on {HOST} port {settings.port}: {getattr(error, 'strerror', error)}."
            raise SettingInvalid(
                f"Port {settings.port} is in use." if taken else why,
                hint="Choose another port, or 0 for any free one.",
            ) from error

    @property
    def url(self) -> str:
        """The base address of the API."""
        return f"http://{HOST}:{self._server.port}{PREFIX}"

    @property
    def dashboard(self) -> str:
        """The address that lists the accounts, and below which each can be changed and deleted by hand."""
        return f"{self.url.removesuffix(PREFIX)}{BY_HAND}accounts"

    @property
    def accounts(self) -> tuple[SandboxAccount, ...]:
        """Every account, oldest first."""
        return self._accounts.every()

    @property
    def requests(self) -> tuple[ReceivedRequest, ...]:
        """The received requests, oldest first, as ``GET /sandbox/requests`` lists them."""
        return self._received.every()

    def serve_forever(self) -> None:
        """Wait until :meth:`shutdown` is called or, in the main thread, until SIGINT or SIGTERM."""
        if threading.current_thread() is not threading.main_thread():
            self._stopping.wait()
            return
        before = {each: signal.signal(each, signal.default_int_handler) for each in (signal.SIGINT, signal.SIGTERM)}
        try:
            with contextlib.suppress(KeyboardInterrupt):  # both signals: the way to stop a sandbox
                self._stopping.wait()
        finally:
            for each, handler in before.items():
                signal.signal(each, handler)

    def shutdown(self) -> None:
        """Stop at once, without sending the answers in flight; safe to call twice."""
        self._server.stop()
        self._accounts.close()

    def __enter__(self) -> Self:
        self._server.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.shutdown()
