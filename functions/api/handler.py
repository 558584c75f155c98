"""Lambda: whatever API Gateway or a load balancer sends here, answered by the whole gateway.

Answers are buffered: a call that asks for a stream gets all of it at once. Paths that stream are
led elsewhere, where there is a Fargate service.
"""

from __future__ import annotations

import gc
import os
from typing import Any

from mangum import Mangum
from snapshot_restore_py import register_after_restore

from .environment import Environment
from .events import plain
from .settings import ApiSettings

settings = ApiSettings.read()
for name in ("TRUNKLINE_DATA_DIRECTORY", "XDG_CACHE_HOME"):
    os.environ.setdefault(name, settings.data_directory)
environment = Environment(settings)
environment.prepare()
register_after_restore(environment.restore)
gc.enable()

_answer = Mangum(environment, lifespan="off")


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """The answer, in the format of the event."""
    environment.start()
    return _answer(plain(event, settings.base_path), context)
