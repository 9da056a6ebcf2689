"""A local server that behaves like Octopush's sub-account API, with a dashboard and faults to order.

Owns made-up accounts and whatever is needed to serve them. Refuses to listen anywhere but
on loopback, to start a client, and to import anything that does not come with Python: it
must start at once, as a process of its own. Only the command line and tests import it::

    with Sandbox(SandboxSettings(faults=(parse_fault("lost@2"),))) as sandbox:
        print(sandbox.url, sandbox.accounts, sandbox.requests)

``api`` says what stands behind its behaviour, ``dashboard`` what can be done by hand,
``fault_specs`` how a fault is ordered. With a ledger, a sandbox that is stopped, or
killed, and started again still knows its accounts; the file holds their made-up
passwords and keys **in clear**.
"""

from provisioner.sandbox.account import SandboxAccount
from provisioner.sandbox.fault_specs import FAULT_HELP, parse_fault
from provisioner.sandbox.faults import Fault
from provisioner.sandbox.parent import SandboxParent, parse_parents
from provisioner.sandbox.received import SeenKey
from provisioner.sandbox.sandbox import Sandbox
from provisioner.sandbox.settings import SandboxSettings

__all__ = [
    "FAULT_HELP",
    "Fault",
    "Sandbox",
    "SandboxAccount",
    "SandboxParent",
    "SandboxSettings",
    "SeenKey",
    "parse_fault",
    "parse_parents",
]
