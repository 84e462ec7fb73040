"""Training of the reference models on synthetic scenes.

python -m fuseg_export.training rgbd        trains, or goes on where it was stopped
python -m fuseg_export.training rgbd --qat --checkpoint FILE   fine-tunes for INT8
"""

from __future__ import annotations
