"""Starter configs: for the built-in network, a table, a Python function or a program.

What matters most comes first, by experience: the learning rate; then momentum, mini-batch size and
hidden units; then layers and learning-rate decay.
"""

from hpsearch.starter.code import command_config, python_config
from hpsearch.starter.network import csv_config, network_config

__all__ = ["command_config", "csv_config", "network_config", "python_config"]
