"""Writes the API documentation to `docs/api` from the docstrings, and checks that it is complete: `make docs`.

Complete: every module of the program and its tools, and every class, function and method in them whose name has no
leading underscore, has a docstring and is on a page. The source, not the pages' maker, says which names those are.
"""

import ast
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pdoc

ROOT = Path(__file__).resolve().parent.parent
TARGET = Path("docs") / "api"

Documented = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def main(root: Path = ROOT) -> int:
    """Writes the pages; returns 1, and says what is missing, if they are not complete."""
    sources = modules(root)
    build(list(sources), root / TARGET)
    missing = list(problems(sources, root / TARGET))
    for each in missing:
        print(each, file=sys.stderr)
    print(f"{root / TARGET / 'index.html'}: {len(sources)} modules, {len(missing)} names missing")
    return 1 if missing else 0


def modules(root: Path) -> dict[str, Path]:
    """The modules to be documented, by the name under which they are imported."""
    package = {
        ".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__"): path
        for path in sorted((root / "etl").rglob("*.py"))
    }
    return {"main": root / "main.py"} | package | {path.stem: path for path in sorted((root / "tools").glob("*.py"))}


def build(names: list[str], target: Path) -> None:
    """Writes a page per module, and takes away those of modules that are no more."""
    shutil.rmtree(target, ignore_errors=True)
    # A package brings its modules.
    pdoc.pdoc(*(name for name in names if "." not in name), output_directory=target)


def problems(sources: dict[str, Path], target: Path) -> Iterator[str]:
    """What has no docstring, and what is on no page; a line each."""
    for module, path in sources.items():
        page = target / f"{module.replace('.', '/')}.html"
        shown = page.read_text(encoding="utf-8") if page.exists() else ""
        for name, node in public_names(ast.parse(path.read_text(encoding="utf-8"))):
            full_name = f"{module}.{name}" if name else module
            if not (ast.get_docstring(node) or "").strip():
                yield f"{path}:{getattr(node, 'lineno', 1)}: {full_name} has no docstring"
            if f'id="{name}"' not in shown if name else not shown:
                yield f"{path}:{getattr(node, 'lineno', 1)}: {full_name} is not in {page}"


def public_names(node: ast.AST, prefix: str = "") -> Iterator[tuple[str, Documented]]:
    """The qualified name of everything public in a module, which itself has the name ''."""
    if isinstance(node, ast.Module):
        yield "", node
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If | ast.Try):
            yield from public_names(child, prefix)
        elif isinstance(child, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and child.name[0] != "_":
            yield prefix + child.name, child
            if isinstance(child, ast.ClassDef):
                yield from public_names(child, f"{prefix}{child.name}.")


if __name__ == "__main__":
    sys.exit(main())
