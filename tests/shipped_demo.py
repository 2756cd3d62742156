"""`python -m tests.shipped_demo RUN`: make the demo model that the package ships from a run of the recipe `demo`."""

import sys
from dataclasses import replace

from airmass.forecasting.checkpoints.location import SHIPPED
from airmass.forecasting.checkpoints.model_file import read_model, write_model

MOST_BYTES = 1_000_000


def main(run: str) -> None:
    saved = read_model(run)
    about = {name: value for name, value in saved.about.items() if name != "climatology"}  # a path of the machine
    path = SHIPPED["demo"]
    write_model(path, replace(saved, about=about | {"made_by": "airmass train demo"}))
    if (size := path.stat().st_size) > MOST_BYTES:
        raise SystemExit(f"{path}: {size} bytes, expected at most {MOST_BYTES}")


if __name__ == "__main__":
    main(sys.argv[1])
