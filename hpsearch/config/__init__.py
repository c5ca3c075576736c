"""The config: its sections, their defaults and checks; reading it, and writing one."""

from hpsearch.config.load import Config, allowed, build_config, load_config, read_value
from hpsearch.config.schema import config_schema
from hpsearch.config.traps import traps
from hpsearch.config.writer import best_yaml, by_hand_yaml, refined_yaml, retest_yaml, settled

__all__ = [
    "Config",
    "allowed",
    "best_yaml",
    "build_config",
    "by_hand_yaml",
    "config_schema",
    "load_config",
    "read_value",
    "refined_yaml",
    "retest_yaml",
    "settled",
    "traps",
]
