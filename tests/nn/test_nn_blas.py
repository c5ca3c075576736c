from __future__ import annotations

import ast
import subprocess
import sys

SCRIPT = """
import numpy as np
from hpsearch.nn.model import Network
from hpsearch.nn.settings import Settings
shapes = []
dot = np.dot
np.dot = lambda x, w: shapes.append((x.shape, w.shape, str(x.dtype))) or dot(x, w)
for dtype in ("float32", "float64", "float32"):
    Network(4, Settings(dtype=dtype), 3, np.random.default_rng(0))
print(shapes)
"""


def test_the_first_network_of_a_process_warms_the_products_up_once_per_dtype() -> None:
    """More columns than OpenBLAS takes at a time (320 of float32 on AVX2), or nothing is gained."""
    run = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True)
    shapes = ast.literal_eval(run.stdout)
    assert [dtype for _, _, dtype in shapes] == ["float32", "float64"]
    assert all(columns > 640 for _, (_, columns), _ in shapes)
