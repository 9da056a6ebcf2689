from __future__ import annotations

import subprocess

import pytest

from tests.proof.page import ROOT
from tests.proof.sabotage import Variant, variants


@pytest.mark.parametrize("variant", variants(), ids=lambda each: each.name)
def test_every_wrong_variant_is_still_one_small_patch_away(variant: Variant) -> None:
    done = subprocess.run(
        ["git", "apply", "--check", variant.path], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.stderr == ""
    files = [part for by in variant.by for part in by.split() if "/" in part]
    assert [] == [each for each in files if not (ROOT / each.partition("::")[0]).exists()]
