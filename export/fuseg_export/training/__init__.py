"""Training of the reference models on synthetic scenes.

python -m fuseg_export.training rgbd        trains, or goes on where it was stopped
"""

from __future__ import annotations
