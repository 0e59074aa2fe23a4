"""The messages of errors in the source: their fixed words, and ``…`` for values."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

from scorer import errors

HOLE = "…"

KINDS = {
    name: kind.exit_code
    for name, kind in vars(errors).items()
    if isinstance(kind, type) and issubclass(kind, errors.ScorerError)
}
"""Exit codes by the names of the error tree's classes."""

PACKAGES = ("scorer", "train", "export", "benchmarks")

REASONS = {"Reject": 3, "_Refused": 0}
"""Calls that state the reason for a bad row, and the place of that argument."""


@dataclass(frozen=True)
class Message:
    """A message in the source.

    Attributes:
        template: its text, with ``…`` for values.
        exit_code: of the error that it is raised with.
        place: file and line.
    """

    template: str
    exit_code: int
    place: str


@dataclass(frozen=True)
class Module:
    """A source file.

    Attributes:
        path: of the file.
        constants: strings that it or any other module of the program names, by name.
    """

    path: Path
    constants: dict[str, str]

    @cached_property
    def tree(self) -> ast.Module:
        """Its syntax."""
        return ast.parse(self.path.read_text(encoding="utf-8"))

    @cached_property
    def functions(self) -> dict[str, ast.FunctionDef]:
        """Functions and methods by name."""
        return {node.name: node for node in ast.walk(self.tree) if isinstance(node, ast.FunctionDef)}

    def messages(self) -> Iterator[Message]:
        """Every message of an error or of a bad row in this module."""
        for function, call in _calls(self.tree, None):
            name = call.func.id if isinstance(call.func, ast.Name) else ""
            place = REASONS.get(name, 0)
            if (name in KINDS or name in REASONS) and len(call.args) > place:
                for text in self.texts(call.args[place], function, frozenset()):
                    yield Message(re.sub(f"{HOLE}+", HOLE, text), KINDS.get(name, 3), f"{self.path.name}:{call.lineno}")

    def keyword_texts(self, name: str) -> Iterator[tuple[int, list[str]]]:
        """Line and every text of each argument ``name`` of a call in this module."""
        for function, call in _calls(self.tree, None):
            for keyword in call.keywords:
                if keyword.arg == name:
                    yield call.lineno, self.texts(keyword.value, function, frozenset())

    def texts(self, node: ast.expr, function: ast.FunctionDef | None, seen: frozenset[str]) -> list[str]:
        """Every text that an expression can have, as far as the source tells."""
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            return [node.value]
        if isinstance(node, ast.JoinedStr):
            texts = [""]
            for part in node.values:
                if isinstance(part, ast.Constant):
                    ends = [str(part.value)]
                else:
                    assert isinstance(part, ast.FormattedValue)
                    inner = part.value
                    ends = [_counted(inner) or HOLE]
                    if isinstance(inner, ast.IfExp | ast.Name):
                        found = self.texts(inner, function, seen)
                        # A word that the source chooses is a part of the message; a word of the user is not.
                        if isinstance(inner, ast.IfExp) or not any(HOLE in text for text in found):
                            ends = found
                texts = [text + end for text in texts for end in ends]
            return texts
        if isinstance(node, ast.IfExp):
            return self.texts(node.body, function, seen) + self.texts(node.orelse, function, seen)
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
            ends = self.texts(node.right, function, seen)
            return [text + end for text in self.texts(node.left, function, seen) for end in ends]
        if isinstance(node, ast.Name):
            if node.id in self.constants:
                return [self.constants[node.id]]
            variable = f"{function.name if function else ''}.{node.id}"
            values = [] if function is None or variable in seen else list(_assigned(function, node.id))
            if values:
                return [text for value in values for text in self.texts(value, function, seen | {variable})]
        if isinstance(node, ast.Call):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            home = self if name in self.functions else self.imported(name)
            if home is not None and name in home.functions and name not in seen:
                called = home.functions[name]
                given = [part.value for part in ast.walk(called) if isinstance(part, ast.Return) and part.value]
                return [text for value in given for text in home.texts(value, called, seen | {name})]
        return [HOLE]

    def imported(self, name: str) -> Module | None:
        """The module of the program that ``name`` is imported from."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.ImportFrom) and name in [alias.name for alias in node.names]:
                name_of_file = f"{(node.module or '').replace('.', '/')}.py"
                found = next((path for folder in self.path.parents if (path := folder / name_of_file).exists()), None)
                return None if found is None else Module(found, self.constants)
        return None


@cache
def modules(root: Path) -> list[Module]:
    """The source files of the program."""
    paths = [path for package in PACKAGES for path in sorted((root / package).rglob("*.py"))]
    own = {path: _constants_of(path) for path in paths}
    all_of_them = {name: text for constants in own.values() for name, text in constants.items()}
    return [Module(path, all_of_them | own[path]) for path in paths]


def _constants_of(path: Path) -> dict[str, str]:
    return {
        target.id: node.value.value
        for node in ast.parse(path.read_text(encoding="utf-8")).body
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        for target in node.targets
        if isinstance(target, ast.Name) and target.id.isupper()
    }


def _counted(node: ast.expr) -> str | None:
    """The plural of a call of ``counted`` with its number as a hole; ``None`` for any other expression."""
    if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "counted"):
        return None
    words = [word.value for word in node.args[1:] if isinstance(word, ast.Constant)]
    return f"{HOLE} {words[1]}" if len(words) > 1 else f"{HOLE} {words[0]}s"


def _calls(node: ast.AST, function: ast.FunctionDef | None) -> Iterator[tuple[ast.FunctionDef | None, ast.Call]]:
    for child in ast.iter_child_nodes(node):
        inside = child if isinstance(child, ast.FunctionDef) else function
        if isinstance(child, ast.Call):
            yield inside, child
        yield from _calls(child, inside)


def _assigned(function: ast.FunctionDef, name: str) -> Iterator[ast.expr]:
    for node in ast.walk(function):
        if isinstance(node, ast.Assign):
            for target in node.targets:
                if isinstance(target, ast.Name) and target.id == name:
                    yield node.value
                elif isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple):
                    for item, value in zip(target.elts, node.value.elts, strict=True):
                        if isinstance(item, ast.Name) and item.id == name:
                            yield value
