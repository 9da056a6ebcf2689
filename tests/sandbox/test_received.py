"""The record of received requests."""

from __future__ import annotations

import pytest
import requests

from tests.sandbox.calls import balance, by_hand, create, running


def test_requests_tells_what_was_received() -> None:
    with running("503@2", "lost@3") as sandbox:
        assert by_hand(sandbox, "GET", "requests").json() == []
        create(sandbox)
        create(sandbox)
        with pytest.raises(requests.ConnectionError):
            create(sandbox)
        balance(sandbox, {}, "?with_details=true")
        path = "/v1/public/subaccount/create"
        assert by_hand(sandbox, "GET", "requests").json() == [
            {"n": 1, "method": "POST", "path": path, "status": 201, "fault": None},
            {"n": 2, "method": "POST", "path": path, "status": 503, "fault": "503@2"},
            {"n": 3, "method": "POST", "path": path, "status": None, "fault": "lost@3"},
            {
                "n": 4,
                "method": "GET",
                "path": "/v1/public/wallet/check-balance?with_details=true",
                "status": 401,
                "fault": None,
            },
        ]
        assert [each.status for each in sandbox.requests] == [201, 503, None, 401]
