"""Reads the state, plans, creates what is missing, and writes the state after each create, as Terraform does.

One run at a time, because it locks the state. A create is not retried: run it again after an error.
"""

from __future__ import annotations

import fcntl
import json
import os
import secrets
from pathlib import Path
from typing import Any

import requests

PATH = Path("terraform.json")
TIMEOUT = float(os.environ.get("TIMEOUT", "30"))
URL = f"{os.environ['OCTOPUSH_API_URL']}/subaccount"

Resources = dict[str, dict[str, Any]]


def main() -> None:
    os.umask(0o077)
    with Path(f"{PATH}.lock").open("w", encoding="utf-8") as lock, requests.Session() as session:
        fcntl.flock(lock, fcntl.LOCK_EX)
        session.headers.update(
            {"api-login": os.environ["OCTOPUSH_API_LOGIN"], "api-key": os.environ["OCTOPUSH_API_KEY"]}
        )
        state = read()
        refresh(session, state)
        missing = [name for name in Path("names.txt").read_text(encoding="utf-8").split() if name not in state]
        print(f"Plan: {len(missing)} to add.")
        for name in missing:
            state[name] = create(session, name)
            write(state)
            print(f"{name}: created")


def read() -> Resources:
    if not PATH.exists():
        return {}
    resources: Resources = json.loads(PATH.read_text(encoding="utf-8"))["resources"]
    return resources


def refresh(session: requests.Session, state: Resources) -> None:
    for name, resource in state.items():
        answer = session.get(f"{URL}/{resource['api_login']}", timeout=TIMEOUT)
        answer.raise_for_status()
        state[name] = resource | {"api_key": answer.json()["api_key"]}


def create(session: requests.Session, name: str) -> dict[str, Any]:
    body = {"first_name": name, "last_name": "Shop", "password": secrets.token_urlsafe(), "callbacks": {}}
    answer = session.post(f"{URL}/create", json=body, timeout=TIMEOUT)
    answer.raise_for_status()
    made: dict[str, Any] = answer.json()
    return body | made


def write(state: Resources) -> None:
    new = PATH.with_suffix(".new")
    with new.open("w", encoding="utf-8") as file:
        json.dump({"version": 1, "resources": state}, file)
        file.flush()
        os.fsync(file.fileno())
    new.replace(PATH)


if __name__ == "__main__":
    main()
