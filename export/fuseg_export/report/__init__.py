"""What an export reports: tables, JSON and an HTML page."""

from __future__ import annotations
