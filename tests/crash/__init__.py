"""What kills, fills and races for real."""

import pytest

pytest.register_assert_rewrite("tests.crash.living")
