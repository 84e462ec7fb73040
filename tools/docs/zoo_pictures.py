"""Copy the pictures that the pages of docs/models show from where `make zoo` drew them.

python tools/docs/zoo_pictures.py out/zoo
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from zoo_tables import PAGES

PICTURES = Path(__file__).parents[2] / "docs" / "models" / "pictures"


def main() -> None:
    """A row that was not run keeps the picture that is there."""
    for page in PAGES.values():
        for row in page.pictures:
            drawn = Path(sys.argv[1], row, "picture.png")
            if drawn.exists():
                PICTURES.mkdir(exist_ok=True)
                shutil.copyfile(drawn, PICTURES / f"{row}.png")


if __name__ == "__main__":
    main()
