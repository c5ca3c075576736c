"""Engines: where trials run.

To add one, write a file with a class as `engines.base.Cluster` describes and a line in ENGINES.
Nothing of an engine's package is imported before a search asks for that engine.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from hpsearch.engines.base import Cluster, Engine, Seat, Work, Workers
from hpsearch.fields import Matching

__all__ = [
    "ENGINES",
    "LOCAL",
    "Cluster",
    "Engine",
    "EngineKind",
    "Seat",
    "Work",
    "Workers",
    "address_problem",
    "is_cluster",
]


@dataclass(frozen=True)
class EngineKind:
    """What is known of an engine without importing it."""

    place: str
    """Its class, as module:name; empty for this process's own threads."""
    package: str
    """The package that it needs; also the name of the extra that installs it is the engine's."""
    address: Matching | None
    """How the address of a running cluster is written."""
    example: str


LOCAL = "local"

ENGINES: dict[str, EngineKind] = {
    LOCAL: EngineKind("", "", None, ""),
    "dask": EngineKind(
        "hpsearch.engines.dask:DaskCluster",
        "distributed",
        Matching(
            r"(?:tcp|tls|ucx|ucxx|ws|wss)://(?:[^\s/:\[\]]+|\[[0-9a-fA-F:.%]+\]):[0-9]{1,5}",
            "a scheduler's address",
        ),
        "tcp://10.0.0.1:8786",
    ),
    "ray": EngineKind(
        "hpsearch.engines.ray:RayCluster",
        "ray",
        Matching(
            r"auto|(?:[^\s/:\[\]]+|\[[0-9a-fA-F:.%]+\]):[0-9]{1,5}",
            "auto, or a head node's address",
        ),
        "auto",
    ),
}


def is_cluster(engine: str) -> bool:
    """Tell whether an engine has workers that are found and lost while a search runs."""
    return bool(ENGINES[engine].place)


def address_problem(engine: str, address: str | None) -> tuple[str, str] | None:
    """Say what is wrong with the address of an engine, and the way out; None for nothing."""
    kind = ENGINES[engine]
    if address is None:
        return None
    if kind.address is None:
        fitting = [
            name
            for name, each in ENGINES.items()
            if each.address is not None and re.fullmatch(each.address.pattern, address)
        ]
        meant = fitting[0] if fitting else next(name for name in ENGINES if is_cluster(name))
        return (
            f"the engine {engine} has no address: its trials run on this machine",
            f"Remove it, or name the engine: engine: {meant}",
        )
    if re.fullmatch(kind.address.pattern, address):
        return None
    scheme = kind.example.partition("://")
    meant = f"{scheme[0]}://{address}" if scheme[1] else ""
    near = re.fullmatch(kind.address.pattern, meant)
    return (
        f"{address!r} is no address for the engine {engine}: it needs {kind.address.words}, such "
        f"as {kind.example}",
        f"Did you mean '{meant}'?" if near else "",
    )
