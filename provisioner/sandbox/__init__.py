"""A local server that behaves like Octopush's sub-account API, with a dashboard and faults on demand.

Serves made-up accounts. Listens only on loopback, starts no client, and imports only Python's
own modules, because it must start at once, as its own process. Only the command line and tests
import it::

    with Sandbox(SandboxSettings(faults=(parse_fault("lost@2"),))) as sandbox:
        print(sandbox.url, sandbox.accounts, sandbox.requests)

``api`` gives the sources of its behaviour, ``dashboard`` what can be done by hand, and
``fault_specs`` how to ask for a fault. With a ledger, a sandbox that is stopped or killed
still knows its accounts when it starts again; the file holds their made-up passwords and
keys **in clear text**.
"""

from provisioner.sandbox.account import SandboxAccount
from provisioner.sandbox.fault_specs import FAULT_HELP, parse_fault
from provisioner.sandbox.faults import Fault
from provisioner.sandbox.parent import SandboxParent, parse_parents
from provisioner.sandbox.received import ReceivedRequest
from provisioner.sandbox.sandbox import Sandbox
from provisioner.sandbox.settings import SandboxSettings

__all__ = [
    "FAULT_HELP",
    "Fault",
    "ReceivedRequest",
    "Sandbox",
    "SandboxAccount",
    "SandboxParent",
    "SandboxSettings",
    "parse_fault",
    "parse_parents",
]
