"""The same network in fewer bits: calibrated, placed, judged, repaired."""
