"""Commands whose help lists the options in groups; :func:`option` declares one with its group."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable
from typing import Any, TypeVar

import click
from click.shell_completion import CompletionItem

from scorer.files.urls import is_url

F = TypeVar("F", bound=Callable[..., Any])

GENERAL = "General"
"""The group of options that every command has, and the last one in a help."""

_FIRST_COLUMN = 30
"""Characters of the longest option that has its help beside it."""


def variable_of(option: str, prefix: str) -> str:
    """Name of the environment variable that sets ``option``: ``prefix`` and the long name, in capitals.

    >>> variable_of("--max-bad", "SCORER")
    'SCORER_MAX_BAD'
    """
    return f"{prefix}_{option.removeprefix('--').replace('-', '_').upper()}"


class GroupedOption(click.Option):
    """An option of a group.

    Attributes:
        group: heading in the help.
    """

    def __init__(self, *arguments: Any, group: str, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.group = group

    def variable(self, prefix: str) -> str:
        """Name of the environment variable that sets it."""
        return variable_of(next(name for name in self.opts if name.startswith("--")), prefix)

    def resolve_envvar_value(self, ctx: click.Context) -> str | None:
        """The value of :meth:`variable`, None if it is unset or empty; click would go by the parameter's name."""
        prefix = ctx.auto_envvar_prefix
        if not prefix or not self.allow_from_autoenv:
            return None
        value = os.environ.get(self.variable(prefix)) or None
        return {"true": "1", "false": "0"}.get(str(value).lower(), value) if self.count else value

    def make_metavar(self, ctx: click.Context) -> str:
        """Name of the value in the help: ``N`` for a whole number, ``NUMBER`` for any other."""
        if self.metavar is None and isinstance(self.type, click.types.IntParamType):
            return "N"
        if self.metavar is None and isinstance(self.type, click.types.FloatParamType):
            return "NUMBER"
        return super().make_metavar(ctx)

    def get_help_extra(self, ctx: click.Context) -> Any:
        """What stands behind the help; not the range, which an error names."""
        extra = super().get_help_extra(ctx)
        extra.pop("range", None)
        return extra


_WORDS = "scorer.words"

_HELP = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


class GroupedCommand(click.Command):
    """A command whose help has a heading for each group of options, in the order of their first options."""

    def __init__(
        self, *arguments: Any, output_for: Callable[[dict[str, Any]], str] | None = None, **settings: Any
    ) -> None:
        """``output_for`` proposes a value of ``-o`` by the parameters that were given."""
        super().__init__(*arguments, **{"context_settings": _HELP, **settings})
        self._output_for = output_for

    def parse_args(self, context: click.Context, args: list[str]) -> list[str]:
        """Parse ``args``, and remember them for :meth:`to_type`."""
        context.meta[_WORDS] = list(args)
        return super().parse_args(context, args)

    def to_type(self, context: click.Context, missing: click.Parameter | None) -> str | None:
        """The command line as it was typed with an output, if that is ``missing``, else an example of the help."""
        words = context.meta.get(_WORDS, [])
        if missing is not None and "-o" in missing.opts:
            if self._output_for is None or any(is_url(word) for word in words):  # which may hold a secret
                return None
            return "type: " + shlex.join([str(self.name), *words, "-o", self._output_for(context.params)])
        examples = [
            f"for example: {line.strip()}"
            for line in (self.epilog or "").splitlines()
            if line.startswith(f"  {self.name} ")
        ]
        return next((line for line in examples if not words or " -o " in line), next(iter(examples), None))

    def format_options(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options, group by group."""
        groups: dict[str, list[tuple[str, str]]] = {}
        for parameter in self.get_params(context):
            record = parameter.get_help_record(context)
            if record is not None and isinstance(parameter, click.Option):  # the text above has the arguments
                groups.setdefault(getattr(parameter, "group", GENERAL), []).append(record)
        groups[GENERAL] = groups.pop(GENERAL, [])
        # One width for all groups: a shorter name is filled up to it.
        width = min(_FIRST_COLUMN, max(len(name) for records in groups.values() for name, _ in records))
        for group, records in groups.items():
            with formatter.section(group):
                formatter.write_dl([(name.ljust(width), text) for name, text in records], col_max=_FIRST_COLUMN)


def option(*names: str, group: str, **settings: Any) -> Callable[[F], F]:
    """Declare an option of ``group``; all else is as for :func:`click.option`."""
    return click.option(*names, cls=GroupedOption, group=group, **settings)


def complete_files(_context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[CompletionItem[str]]:
    """Have the shell complete a value that may be a path as one; for ``shell_complete`` of an option."""
    return [CompletionItem(incomplete, type="file")]


def complete_folders(
    _context: click.Context, _parameter: click.Parameter, incomplete: str
) -> list[CompletionItem[str]]:
    """Have the shell complete a value that may be a folder as one."""
    return [CompletionItem(incomplete, type="dir")]


def complete_devices(
    _context: click.Context, _parameter: click.Parameter, incomplete: str
) -> list[CompletionItem[str]]:
    """Have the shell complete a device; ``cuda:N`` has too many."""
    return [CompletionItem(name) for name in ("auto", "cpu", "cuda") if name.startswith(incomplete)]


def with_options(*options: Callable[[Any], Any]) -> Callable[[F], F]:
    """Declare options made by :func:`option`; the help lists them in their order."""

    def declared(command: F) -> F:
        for add in reversed(options):
            command = add(command)
        return command

    return declared
