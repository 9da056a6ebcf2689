"""Tests that really kill processes, fill disks and run several at once."""

import pytest

pytest.register_assert_rewrite("tests.crash.living")
