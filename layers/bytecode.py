"""Compiles a layer for the runtime's Python: /opt can't be written, so that Lambda never would.

    python bytecode.py FOLDER [--keep]

Run by that very Python, with nothing else at hand. The same sources give the same bytes: each file
has the hash of its source in the place of a time, and isn't compared with it when it is imported.
Without --keep, compiled files take the place of their sources: both together would be too large.
"""

from __future__ import annotations

import importlib.util
import marshal
import sys
from pathlib import Path


def main(folder: Path, keep: bool) -> None:
    for source in sorted(folder.rglob("*.py")):
        name = source.relative_to(folder).as_posix()
        data = source.read_bytes()
        try:
            # Where it will be, for tracebacks.
            code = compile(data, f"/opt/python/{name}", "exec", dont_inherit=True, optimize=0)
        except (SyntaxError, ValueError):
            continue  # a template, or for another Python
        # PEP 552: the flags of a file that is checked by hash, and of these never.
        header = importlib.util.MAGIC_NUMBER + (1).to_bytes(4, "little")
        compiled = header + importlib.util.source_hash(data) + marshal.dumps(code)
        target = (
            Path(importlib.util.cache_from_source(source)) if keep else source.with_suffix(".pyc")
        )
        target.parent.mkdir(exist_ok=True)
        target.write_bytes(compiled)
        if not keep:
            source.unlink()


if __name__ == "__main__":
    main(Path(sys.argv[1]), "--keep" in sys.argv[2:])
