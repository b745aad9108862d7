"""Writes docs/settings.md from the settings class: `python -m service.settings_docs`."""

import inspect
import sys
from collections.abc import Iterator
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt
from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo

from service.settings import PREFIX, Settings

HEADER = """# Settings

Read from the environment, once, at the start. Two underscores stand between a section and a name.
A variable that starts with `{prefix}` and names no setting is refused, and so is a value out of
bounds. A list is its items with commas between, as in `draft,pc2-mini`, or JSON, as in
`["draft", "pc2-mini"]`; `[]` is none. Written by `make docs`.
"""
TYPE_NAMES = {
    bool: "true or false",
    int: "whole number",
    float: "number",
    str: "text",
    Path: "path",
    SecretStr: "secret text",
}
BOUND_SIGNS = ((Ge, "ge", "≥"), (Gt, "gt", ">"), (Le, "le", "≤"), (Lt, "lt", "<"))


def render() -> str:
    """The whole page, as Markdown."""
    general: list[str] = []
    sections: list[str] = []
    for name, field in Settings.model_fields.items():
        section = field.annotation
        if inspect.isclass(section) and issubclass(section, BaseModel):
            rows = [_row(f"{name}__{key}", inner) for key, inner in section.model_fields.items()]
            sections.append(_table(name.capitalize(), rows))
        else:
            general.append(_row(name, field))
    return "\n".join([HEADER.format(prefix=PREFIX), _table("General", general), *sections])


def _table(title: str, rows: list[str]) -> str:
    head = "| variable | value | default | meaning |\n|---|---|---|---|"
    return f"## {title}\n\n{head}\n" + "\n".join(rows) + "\n"


def _row(name: str, field: FieldInfo) -> str:
    value = ", ".join([_type_name(field.annotation), *_bounds(field)])
    variable = f"`{PREFIX}{name.upper()}`"
    return f"| {variable} | {value} | {_default(field)} | {field.description or ''} |"


def _type_name(annotation: Any) -> str:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return " or ".join(f"`{choice}`" for choice in arguments)
    if origin is tuple:
        return f"list of {_type_name(arguments[0])}"
    if origin in (Union, UnionType):
        return " or ".join(_type_name(each) for each in arguments if each is not NoneType)
    return TYPE_NAMES[annotation]


def _bounds(field: FieldInfo) -> Iterator[str]:
    for constraint in field.metadata:
        for kind, attribute, sign in BOUND_SIGNS:
            if isinstance(constraint, kind):
                yield f"{sign} {getattr(constraint, attribute):,}"


def _default(field: FieldInfo) -> str:
    default = field.get_default(call_default_factory=True)
    if default is None or default == ():
        return ""
    if isinstance(default, tuple):
        return "`[" + ", ".join(f'"{each}"' for each in default) + "]`"
    return f"`{default}`"


if __name__ == "__main__":
    sys.stdout.write(render())
