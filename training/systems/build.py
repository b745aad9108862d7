"""The objectives of the literature's systems, by the name of the preset."""

from typing import Any

from training.objectives import Objective


def build_system(name: str, tables: dict[str, dict[str, Any]]) -> Objective:
    """Each system is imported when it is first needed.

    Args:
        tables: the configuration file's, beside `train`.

    Raises:
        ValueError: no such preset.
        TypeError: a table holds an unknown name.
    """
    match name:
        case _:
            raise ValueError(f"no model {name!r} to train")
