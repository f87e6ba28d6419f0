"""How a command's help looks where typer's own would name types of Python."""

from __future__ import annotations

from typing import Any

from typer.core import TyperArgument, TyperCommand

_SECTIONS = (("argument", "Arguments"), ("option", "Options"))


class Command(TyperCommand):
    """A command whose help calls each argument by what is to be written: `URL`, not `URL <str>`."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        for kind, title in _SECTIONS:
            records = [_record(each, ctx) for each in self.get_params(ctx) if each.param_type_name == kind]
            if records:
                with formatter.section(title):
                    formatter.write_dl(records)


def _record(parameter: Any, ctx: Any) -> tuple[str, str]:
    """What is to be written, and its meaning."""
    written, meaning = parameter.get_help_record(ctx)
    return (parameter.display_name_raw if isinstance(parameter, TyperArgument) else written), meaning
