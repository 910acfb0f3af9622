"""Make ``spikex_sim/trace/digits.npz``: the 1,797 handwritten digits that the event camera looks at.

    python scripts/make_digits.py [FILE]

Origin: Optical Recognition of Handwritten Digits, E. Alpaydin and C. Kaynak, UCI Machine Learning
Repository, 1998, https://doi.org/10.24432/C50P49, CC BY 4.0; the test part, as scikit-learn ships it.
"""

from __future__ import annotations

import argparse
import io
from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits

from spikex_sim.trace.npyzip import write_npyzip

DEFAULT = Path(__file__).parent.parent / "spikex_sim" / "sources" / "cameras" / "digits.npz"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file", nargs="?", type=Path, default=DEFAULT)
    path = parser.parse_args().file
    data = load_digits()
    arrays = {"images": data.images.astype(np.uint8), "label": data.target.astype(np.uint8)}
    buffer = io.BytesIO()
    write_npyzip(buffer, arrays)
    path.write_bytes(buffer.getvalue())
    print(f"{path}: {len(buffer.getvalue())} bytes")


if __name__ == "__main__":
    main()
