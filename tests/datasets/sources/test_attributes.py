from __future__ import annotations

import json

import numpy as np

from autoice_bench.datasets.sources.scene_arrays import to_json_attributes


def test_attributes_become_strict_json() -> None:
    attributes = {
        "text": "Longépé",
        "bytes": b"abc\xff",
        "whole": np.int16(3),
        "wholes": np.array([1, 2], np.uint8),
        "part": np.float32(0.5),
        "fill": np.float32(np.nan),
        "range": np.array([-np.inf, 0.0, np.inf]),
        "texts": ["a", "b"],
    }
    found = to_json_attributes(attributes)
    assert found == {
        "bytes": "abc�",
        "fill": "NaN",
        "part": 0.5,
        "range": ["-Infinity", 0.0, "Infinity"],
        "text": "Longépé",
        "texts": ["a", "b"],
        "whole": 3,
        "wholes": [1, 2],
    }
    assert list(found) == sorted(attributes)
    assert json.loads(json.dumps(found, allow_nan=False)) == found
