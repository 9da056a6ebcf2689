"""Carries out plans and decisions in such a way that no account is ever lost.

Follows the protocol of an operation: the intent is durable before the request is sent, and the
result is sealed and durable before anything else happens. Does no I/O except through the
interfaces in ``ports``; the caller passes the clock.
"""

from provisioner.executor.adopt import Adopted, adopt
from provisioner.executor.apply import NO_IDENTITY, Work, apply, report_unchanged
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
from provisioner.executor.seals import credentials_of, open_active, open_all_active, open_edit, open_record, reason_of

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
    "apply",
    "balances",
    "credentials_of",
    "existing",
    "forget",
    "is_answered",
    "open_active",
    "open_all_active",
    "open_edit",
    "open_record",
    "reason_of",
    "refresh",
    "rekey",
    "report_unchanged",
    "resolve",
    "settle",
    "shared_logins",
    "verify",
    "with_drift",
    "with_refresh_outcomes",
]
