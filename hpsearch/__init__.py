"""Hyperparameter search from one YAML file, with an honest leaderboard."""

__version__ = "0.1.0"
