"""What is proven, in its order: a sentence about the product, and the step that shows it."""

from __future__ import annotations

from collections.abc import Callable

from .cast import Cast
from .steps import deploying, ending, learning, rolling_out, serving

Step = tuple[str, Callable[[Cast], str | None]]

STEPS: tuple[Step, ...] = (
    ("Layers are built", deploying.layers),
    ("An account is bootstrapped", deploying.bootstrap),
    ("The stacks are synthesised", deploying.synthesise),
    ("They are deployed, and something to serve with them", deploying.deploy),
    ("Secrets are set, and who is told of trouble", deploying.prepare),
    ("A bundle is uploaded, and in force", deploying.first_bundle),
    ("A configuration is uploaded, and in force", deploying.first_configuration),
    (f"{serving.TASKS} tasks are ready behind the load balancer", serving.tasks),
    ("A task's role may not do what it needn't", serving.least_privilege),
    ("The API is ready", serving.readiness),
    ("A key is made", serving.make_key),
    ("A chat call is answered by the function", serving.chat_by_function),
    ("A short call reaches the function over HTTP", serving.embeddings),
    ("A chat call reaches a task", serving.chat_by_task),
    ("A streamed answer's pieces arrive apart", serving.stream),
    ("What the key spent is seen", serving.spend),
    ("A provider's key is changed without a restart", serving.change_key),
    ("Another bundle is uploaded, and routes the next call", rolling_out.second_bundle),
    ("A bad bundle is refused, and people are told why", rolling_out.bad_bundle),
    ("The configuration is changed without a restart", rolling_out.change_configuration),
    ("A bad configuration is refused, and people are told why", rolling_out.bad_configuration),
    ("Training makes a bundle that is rolled out", learning.training),
    ("Training that fails tells people why", learning.failed_training),
    ("Maintenance keeps up", learning.maintenance),
    (f"{ending.ROLLOUTS} rollouts and an update under load lose no request", ending.update),
    ("Nothing is left when the stacks are destroyed", ending.destroy),
)
