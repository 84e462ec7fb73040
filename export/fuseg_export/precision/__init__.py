"""The same network in fewer bits: calibrated, built, evaluated, kept or refused."""
