from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from tests.proof.growth import Point, chart, needed, rows

POINTS = (
    Point("plan", 1, 20, 0.1, 40.0),
    Point("plan", 1, 200, 1.0, 50.0),
    Point("plan", 10, 200, 0.5, 80.0),
)


def test_each_row_is_compared_with_a_tenth_of_it() -> None:
    assert rows(POINTS) == [
        ("plan", "1", "20", "0.10", "", "40", ""),
        ("plan", "1", "200", "1.00", "10.0", "50", "1.2"),
        ("plan", "10", "200", "0.50", "5.0", "80", "2.0"),
    ]


def test_the_chart_has_a_line_for_one_parent_and_for_several_in_each_panel() -> None:
    drawing = ET.fromstring(chart(POINTS))  # noqa: S314  # our own document
    paths = [each.attrib for each in drawing.iter("{http://www.w3.org/2000/svg}path")]
    lines = [(each["class"], each["d"]) for each in paths if "L" in each["d"]]
    assert [kind for kind, _ in lines] == ["c0", "c0 dashed"] * 2
    seconds = [[tuple(map(float, place.split())) for place in re.split("[ML]", way)[1:]] for _, way in lines[:2]]
    (one, several) = seconds
    assert one[0] == several[0]
    assert one[1][0] == several[1][0] > one[0][0]
    assert (one[0][1], one[1][1]) == (240, 0)  # from 0.1 to 1 second: the whole height
    assert 0 < several[1][1] < 240


def test_peak_memory_is_that_of_the_command_alone(tmp_path: Path) -> None:
    large = bytearray(200_000_000)
    _, megabytes = needed([sys.executable, "-c", "bytearray(60_000_000)"], {}, tmp_path)
    assert 60 < megabytes < len(large) / 1e6
    with pytest.raises(subprocess.CalledProcessError):
        needed([sys.executable, "-c", "raise SystemExit(3)"], {}, tmp_path)
