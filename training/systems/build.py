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
        case "pointe-mini":
            from training.systems.pointe import PointEObjective, PointETraining

            return PointEObjective(PointETraining(**tables.get("pointe", {})))
        case "pointe-mini-sdf":
            from training.systems.pointe_sdf import SdfObjective, SdfTraining

            return SdfObjective(SdfTraining(**tables.get("sdf", {})))
        case "gecco-mini" | "colored-mini":
            from training.systems.view import ViewObjective, ViewTraining

            return ViewObjective(name, ViewTraining(**tables.get("diffusion", {})))
        case "buildiff-mini-encoder":
            from training.systems.buildiff import AutoEncoderObjective, AutoEncoderTraining

            return AutoEncoderObjective(AutoEncoderTraining(**tables.get("encoder", {})))
        case "buildiff-mini":
            from training.systems.buildiff import BuildiffObjective, BuildiffTraining

            return BuildiffObjective(BuildiffTraining(**tables.get("buildiff", {})))
        case "pc2-mini" | "ccd3dr-mini":
            from training.systems.pc2 import Pc2Objective, Pc2Training

            config = Pc2Training(**tables.get("pc2", {}))
            return Pc2Objective(config, is_centred=name == "ccd3dr-mini")
        case "pc2-mini-color":
            from training.systems.pc2_color import ColorObjective, ColorTraining

            return ColorObjective(ColorTraining(**tables.get("color", {})))
        case "dpm-mini":
            from training.systems.dpm import DpmObjective, DpmTraining

            return DpmObjective(DpmTraining(**tables.get("dpm", {})))
        case "dit3d-mini":
            from training.systems.dit3d import Dit3dObjective, Dit3dTraining

            return Dit3dObjective(Dit3dTraining(**tables.get("dit3d", {})))
        case _:
            raise ValueError(f"no model {name!r} to train")
