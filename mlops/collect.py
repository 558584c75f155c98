"""`collect`: a gateway's records of calls, and what people thought of the answers, as routing data.

A row comes of a call that a model answered and somebody judged. Where its prompt wasn't captured,
the row has the embedding of it instead, by which most strategies can be trained as well.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Iterator
from typing import Any

from .errors import MlopsError
from .files import replace_file
from .sources.opening import calls
from .sources.seen import FINE, Seen, joined


def run(options: argparse.Namespace) -> int:
    found = joined(seen for source in options.sources for seen in calls(source))
    left: Counter[str] = Counter()
    rows = list(rows_of(found, left))
    told = "".join(f", {count} {why}" for why, count in sorted(left.items()))
    if not rows:
        raise MlopsError(f"no call can be learned from: {len(found)} calls{told}")
    lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    replace_file(lines.encode(), options.output)
    print(f"{options.output}: {len(rows)} rows of {len(found)} calls{told}")
    return 0


def rows_of(found: dict[str, Seen], left: Counter[str]) -> Iterator[dict[str, Any]]:
    """One for each call that can be learned from. left: counts why others give none."""
    for seen in found.values():
        if seen.score is None:
            left["without feedback"] += 1
        elif not seen.model:
            left["whose model isn't known"] += 1
        elif seen.status not in {FINE, ""}:
            left["that failed"] += 1
        elif not (seen.query.strip() or seen.embedding):
            left["with neither prompt nor embedding"] += 1
        else:
            yield _row(seen)


def _row(seen: Seen) -> dict[str, Any]:
    asked: dict[str, Any] = (
        {"query": seen.query}
        if seen.query.strip()
        else {"embedding": seen.embedding, "embedder_sha256": seen.embedder_sha256}
    )
    return {
        "task_name": "",
        **asked,
        "model_name": seen.model,
        "performance": seen.score,
        **({"output_tokens": seen.output_tokens} if seen.output_tokens else {}),
        **({"user_id": seen.user} if seen.user else {}),
    }
