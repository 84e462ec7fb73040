"""Frames to verify, calibrate and evaluate on."""

from __future__ import annotations
