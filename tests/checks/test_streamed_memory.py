"""What an audit of streamed pictures holds doesn't grow with their number."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "streaming.py"


@pytest.mark.slow
def test_six_times_as_many_pictures_need_hardly_more_memory(tmp_path):
    def peak(n):
        words = ["pictures", "--n", str(n), "--dir", str(tmp_path / str(n)), "--checks", "accuracy"]
        ran = subprocess.run([sys.executable, str(SCRIPT), *words], check=True, capture_output=True, text=True)
        found = json.loads(ran.stdout.splitlines()[-1])
        assert found["test"] == n
        return found["peak MB"]

    few, many = peak(500), peak(3000)
    assert many - few < 320  # the further pictures are 376 MB as bytes, and four times that as floats
