"""`python -m tests.evaluation FOLDER [--quick]`: make the evaluation set."""

from __future__ import annotations

import argparse
from pathlib import Path

from .generate import generate


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="made if it is not there")
    parser.add_argument("--quick", action="store_true", help="only the scenes of the tests")
    options = parser.parse_args()
    clips = generate(options.folder, quick=options.quick)
    print(f"{len(clips)} clips in {options.folder / 'clips'}, people in {options.folder / 'people'}")


if __name__ == "__main__":
    main()
