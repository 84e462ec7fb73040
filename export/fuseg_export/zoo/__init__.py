"""Every reference model trained, measured, exported and run: the table in the docs.

python -m fuseg_export.zoo              all rows, two at a time; finished ones are kept
python -m fuseg_export.zoo text sound   only these
"""

from __future__ import annotations
