"""Carries out what was planned or decided, so that nothing that exists is ever lost.

Owns the protocol of an operation: the intent is durable before the request, and
what the request brought is sealed and durable before anything else happens.
Refuses I/O but through the interfaces of ``ports``; whoever calls it gives the clock.
"""

from provisioner.executor.adopt import Adopted, adopt
from provisioner.executor.apply import NO_IDENTITY, Work, apply, leave
from provisioner.executor.decide import RUN_DIED, active, existing, forget, is_answered, resolve, settle
from provisioner.executor.inspect import (
    Refreshed,
    balances,
    refresh,
    shared_logins,
    verify,
    with_drift,
    with_refresh_outcomes,
)
from provisioner.executor.ports import Api, Journal, Opener, Ports, Progress, Sealer
from provisioner.executor.rekey import rekey
from provisioner.executor.seals import all_active, begun, credentials, credentials_of, kept, said

__all__ = [
    "NO_IDENTITY",
    "RUN_DIED",
    "Adopted",
    "Api",
    "Journal",
    "Opener",
    "Ports",
    "Progress",
    "Refreshed",
    "Sealer",
    "Work",
    "active",
    "adopt",
    "all_active",
    "apply",
    "balances",
    "begun",
    "credentials",
    "credentials_of",
    "existing",
    "forget",
    "is_answered",
    "kept",
    "leave",
    "refresh",
    "rekey",
    "resolve",
    "said",
    "settle",
    "shared_logins",
    "verify",
    "with_drift",
    "with_refresh_outcomes",
]
