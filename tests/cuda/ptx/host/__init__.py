"""The launchers' side of a launch: see `host`."""
