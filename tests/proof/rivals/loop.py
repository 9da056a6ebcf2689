"""Creates a sub-account for each name in names.txt that accounts.csv does not have, and adds it there.

Run it again after an error.
"""

from __future__ import annotations

import csv
import os
import secrets
from pathlib import Path
from typing import Any

import requests
from tenacity import Retrying, retry_if_exception, stop_after_attempt, wait_random_exponential

PATH = Path("accounts.csv")
TIMEOUT = float(os.environ.get("TIMEOUT", "30"))


def main() -> None:
    names = Path("names.txt").read_text(encoding="utf-8").split()
    os.umask(0o077)
    with PATH.open("a+", encoding="utf-8", newline="") as file:
        file.seek(0)
        done = {row[0] for row in csv.reader(file) if row}
        rows = csv.writer(file)
        with requests.Session() as session:
            session.headers.update(
                {
                    "api-login": os.environ["OCTOPUSH_API_LOGIN"],
                    "api-key": os.environ["OCTOPUSH_API_KEY"],
                }
            )
            for name in names:
                if name in done:
                    continue
                password = secrets.token_urlsafe()
                made = create(session, name, password)
                rows.writerow([name, made["api_login"], made["api_key"], password])
                file.flush()
                os.fsync(file.fileno())
                print("created", name)


def create(session: requests.Session, name: str, password: str) -> dict[str, str]:
    body = {"first_name": name, "last_name": "Shop", "password": password, "callbacks": {}}
    url = f"{os.environ['OCTOPUSH_API_URL']}/subaccount/create"
    retrying = Retrying(
        retry=retry_if_exception(is_transient),
        stop=stop_after_attempt(4),
        wait=wait_random_exponential(multiplier=0.5, max=10),
        reraise=True,
    )
    return retrying(posted, session, url, body)


def posted(session: requests.Session, url: str, body: dict[str, Any]) -> dict[str, str]:
    answer = session.post(url, json=body, timeout=TIMEOUT)
    answer.raise_for_status()
    made: dict[str, str] = answer.json()
    return made


def is_transient(error: BaseException) -> bool:
    if isinstance(error, requests.HTTPError):
        return error.response.status_code == requests.codes.too_many_requests or error.response.status_code >= 500
    return isinstance(error, requests.ConnectionError | requests.Timeout)


if __name__ == "__main__":
    main()
