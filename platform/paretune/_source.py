"""What a Python file defines, read from its text without running it."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from pathlib import Path

from paretune.errors import TrainableError


@dataclass(frozen=True, slots=True)
class Source:
    """The first line of a module's docstring, and the names its top level binds (`*` for a star import)."""

    summary: str
    names: frozenset[str]

    def may_bind(self, name: str) -> bool:
        """False only when the module certainly has no such name."""
        return bool(self.names & {name, "*", "__getattr__"})


def read(path: Path, reference: str) -> Source:
    """Read a file; TrainableError, led by `reference`, when it is no Python."""
    try:
        tree = ast.parse(path.read_bytes(), filename=str(path))
    except SyntaxError as error:
        raise TrainableError(
            f"trainable: {reference}: fails to import: SyntaxError: {error.msg}",
            hint=f"{path}, line {error.lineno}: {(error.text or '').strip()}",
        ) from None
    except (OSError, ValueError) as error:
        raise TrainableError(f"trainable: {reference}: cannot be read: {error}") from None
    summary = (ast.get_docstring(tree) or "").partition("\n")[0].rstrip(".")
    return Source(summary, frozenset(_bound_names(tree)))


def _bound_names(tree: ast.Module) -> list[str]:
    """Also those bound inside `if`, `try` and `with`; not those of functions and classes."""
    names: list[str] = []
    todo: list[ast.AST] = list(tree.body)
    while todo:
        node = todo.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.append(node.name)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            names += [(alias.asname or alias.name).partition(".")[0] for alias in node.names]
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.append(node.id)
        elif not isinstance(node, ast.Lambda):
            todo += ast.iter_child_nodes(node)
    return names
