"""Grids of runs: one TOML file, one folder a run, shared by several processes."""
