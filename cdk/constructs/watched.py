"""What is watched of each part, and what each alarm tells people to do."""

from __future__ import annotations

from aws_cdk import Stack
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_logs as logs
from aws_cdk import aws_sqs as sqs

from ..settings import Settings
from .alarms import FIVE, HOUR, MINUTE, UNDER, Alarms, share
from .api import Api
from .balancer import Balancer
from .function import Function
from .stores import Stores
from .training import Training

NAMESPACE = "Trunkline"
"""Of what the tasks' collectors and the functions count."""
SLOW_SECONDS = 120
SILENT_SECONDS = 30
LEAST_CALLS = 20
"""In five minutes, below which a share says little."""
COLD = logs.FilterPattern.any(
    logs.FilterPattern.string_value("$.type", "=", "platform.restoreReport"),
    logs.FilterPattern.number_value("$.record.metrics.initDurationMs", ">", 0),
)
"""Lines in which Lambda tells of an environment that it started, or restored from its snapshot."""


def api(alarms: Alarms, made: Api) -> None:
    calls = made.rest.metric_count(period=FIVE)
    alarms.watch(
        "ServerErrors",
        share(made.rest.metric_server_error(period=FIVE), calls, LEAST_CALLS),
        5,
        times=2,
        wrong="More than 5 % of the calls failed with a 5xx.",
        do="open the dashboard: if alarms of targets, database or cache are on, begin there; else"
        " read the tasks' log for the providers' failures, and roll back the last configuration or"
        " bundle (`trunkline rollout rollback`) if they began with it.",
    )
    alarms.watch(
        "Refused",
        share(made.rest.metric_client_error(period=FIVE), calls, LEAST_CALLS),
        30,
        times=3,
        wrong="More than 30 % of the calls were refused with a 4xx, also for throttling.",
        do="look in the API's access log for the status: at 429, raise `rate` and `burst` in the"
        " context, or the limits of the keys; at 403 from the firewall, look at its log; at 401,"
        " find out whose key has ended.",
    )
    alarms.watch(
        "Slow",
        made.rest.metric_latency(period=FIVE, statistic="p99"),
        SLOW_SECONDS * 1000,
        times=3,
        wrong=f"One call of a hundred takes over {SLOW_SECONDS} s (a stream counts until its end).",
        do="compare with the time to the first byte: if that is short, answers are long, and"
        " nothing is wrong; else see which provider is slow and lower its weight or its timeout.",
    )


def balancer(alarms: Alarms, made: Balancer, settings: Settings) -> None:
    metrics = made.targets.metrics
    alarms.watch(
        "FirstByte",
        metrics.target_response_time(period=FIVE, statistic="p95"),
        SILENT_SECONDS,
        times=3,
        wrong=f"One call of twenty waits over {SILENT_SECONDS} s for the first byte.",
        do="see which provider is slow (header x-trunkline-model, or the log); set `stream_timeout`"
        " so that another deployment is asked; check the tasks' CPU.",
    )
    alarms.watch(
        "UnhealthyTargets",
        metrics.unhealthy_host_count(period=MINUTE, statistic="Maximum"),
        0,
        times=5,
        wrong="A task isn't ready: the load balancer leads no calls there.",
        do="ask it `/health/readiness/details`, and read its log: it names the store that it can't"
        " reach or the configuration that it can't load. ECS replaces tasks that aren't healthy.",
    )
    alarms.watch(
        "TooFewTargets",
        metrics.healthy_host_count(period=MINUTE, statistic="Minimum"),
        settings.tasks_least,
        compare=UNDER,
        missing=cloudwatch.TreatMissingData.BREACHING,
        times=5,
        wrong="Fewer tasks are ready than there should be.",
        do="look at the service's events in ECS: an image that can't be pulled, a deployment that"
        " was rolled back, no capacity; then see UnhealthyTargets.",
    )
    alarms.watch(
        "TasksAtMost",
        made.internal.metrics.rejected_connection_count(period=FIVE),
        0,
        wrong="The load balancer had to refuse connections.",
        do="raise `tasks_most`, and see whether one client asks too much.",
    )


def function(alarms: Alarms, made: Function) -> None:
    lambda_ = made.function
    cold = made.log.add_metric_filter(
        "ColdStarts",
        metric_namespace=NAMESPACE,
        metric_name=f"ColdStarts-{Stack.of(made).stack_name}",
        filter_pattern=COLD,
        metric_value="1",
        default_value=0,
    )
    alarms.watch(
        "ColdStarts",
        share(
            cold.metric(statistic="Sum", period=FIVE), lambda_.metric_invocations(period=FIVE), 50
        ),
        20,
        times=3,
        wrong="More than one of five short calls waits for a cold start.",
        do="calls come in bursts: give the alias provisioned concurrency, or lead these paths to"
        " Fargate (cdk/paths.py).",
    )
    alarms.watch(
        "FunctionThrottles",
        lambda_.metric_throttles(period=FIVE),
        0,
        times=2,
        wrong="Lambda refused short calls: too many at once.",
        do="ask AWS for a higher limit of concurrent executions, or lower `rate` in the context.",
    )
    alarms.watch(
        "FunctionErrors",
        lambda_.metric_errors(period=FIVE),
        3,
        times=2,
        wrong="The function that answers short calls failed or ran out of time.",
        do="read its log; if it can't reach the database or the cache, look at their alarms.",
    )


def database(alarms: Alarms, stores: Stores) -> None:
    cluster = stores.database.cluster
    alarms.watch(
        "DatabaseFull",
        cluster.metric_acu_utilization(period=FIVE, statistic="Average"),
        90,
        times=3,
        wrong="The database uses nearly all capacity that it may take.",
        do="raise `database_most` in the context and deploy the Data stack; see what is slow in"
        " Performance Insights; move old rows out (docs/spend.md).",
    )
    alarms.watch(
        "DatabaseConnections",
        cluster.metric_database_connections(period=FIVE, statistic="Maximum"),
        int(stores.settings.database_most * 90),
        times=3,
        wrong="The database has nearly as many connections as it takes.",
        do="lower `database_connection_pool_limit`, or raise `database_most`; with `proxy=true`,"
        " functions share connections.",
    )


def cache(alarms: Alarms, stores: Stores) -> None:
    if stores.cache is None:
        return
    nodes = 2 if stores.settings.prod else 1
    for number in range(1, nodes + 1):
        node = f"{stores.cache.nodes.ref}-{number:03}"
        alarms.watch(
            f"CacheMemory{number}",
            of_cache("DatabaseMemoryUsagePercentage", node),
            80,
            times=3,
            wrong="The cache is nearly full; when it is, calls fail, as it never forgets counts.",
            do="choose a larger `cache_node` and deploy the Data stack (two nodes need no pause);"
            " or keep cached answers for a shorter time (`ttl`).",
        )
        alarms.watch(
            f"CacheBusy{number}",
            of_cache("EngineCPUUtilization", node),
            80,
            times=3,
            wrong="The cache's engine is nearly at its limit.",
            do="choose a larger `cache_node`; see in its slow log whether something asks too much.",
        )
    if nodes > 1:
        alarms.watch(
            "CacheLag",
            of_cache("ReplicationLag", f"{stores.cache.nodes.ref}-002"),
            5,
            times=5,
            wrong="The second node is behind: a failover would lose counts of its last seconds.",
            do="see whether the cache is busy; failovers and changed versions end by themselves.",
        )


def of_cache(name: str, node: str) -> cloudwatch.Metric:
    return cloudwatch.Metric(
        namespace="AWS/ElastiCache",
        metric_name=name,
        dimensions_map={"CacheClusterId": node},
        statistic="Maximum",
        period=FIVE,
    )


def counted(name: str, statistic: str = "Sum", **dimensions: str) -> cloudwatch.Metric:
    """What tasks and functions count of the gateway itself."""
    return cloudwatch.Metric(
        namespace=NAMESPACE,
        metric_name=name,
        dimensions_map=dimensions,
        statistic=statistic,
        period=FIVE,
    )


def reloads(alarms: Alarms) -> None:
    alarms.watch(
        "ReloadsRefused",
        counted("trunkline_reloads_total", outcome="refused"),
        0,
        wrong="A process refused a configuration or a bundle that rollout had put into force.",
        do="ask `/hot-reload/status` for the reason; upload a better one, or go back with"
        " `trunkline rollout rollback`. What was in force before is still served.",
    )
    alarms.watch(
        "ReloadsUnreachable",
        counted("trunkline_reloads_total", outcome="unreachable"),
        0,
        times=3,
        of=5,
        wrong="Processes can't read the bucket of configurations or bundles.",
        do="ask `/hot-reload/status` for the reason; check the task's role and the S3 endpoint.",
    )


def spend(alarms: Alarms, settings: Settings) -> None:
    if not settings.plan_per_day:
        return
    an_hour = settings.plan_per_day / 24
    # Tasks tell at once, and maintenance what functions spent, too, if the ledger keeps rows.
    told = {
        "tasks": counted("litellm_spend_metric_total").with_(period=HOUR),
        "ledger": counted("Maintenance_spend_count", "Maximum", service="maintenance").with_(
            period=HOUR
        ),
    }
    alarms.watch(
        "SpendRate",
        cloudwatch.MathExpression(
            expression="MAX([FILL(tasks, 0), FILL(ledger, 0)])",
            using_metrics=told,
            period=HOUR,
            label="dollars",
        ),
        2 * an_hour,
        times=2,
        wrong=f"For two hours, calls cost over twice what is planned (${an_hour:.2f} an hour).",
        do="see who spends (`GET /global/spend/keys`, `/global/spend/models`), and set or lower"
        " `max_budget` of the key or team (docs/limits.md).",
    )


def maintenance(alarms: Alarms, made: Function) -> None:
    alarms.watch(
        "MaintenanceFailed",
        made.function.metric_errors(period=HOUR),
        0,
        wrong="A step of maintenance failed: budgets, partitions, keys or the ledger.",
        do="read its log: it names the step and the reason. It is done again by the next run.",
    )
    lag = counted("Maintenance_ledger_count", service="maintenance").with_(period=HOUR)
    alarms.watch(
        "LedgerLag",
        lag,
        1000,
        times=2,
        wrong="Rows of calls wait in the cache, and maintenance has to bring them to the database:"
        " tasks can't, or die.",
        do="read the tasks' log for failures of the database; no row is lost meanwhile.",
    )


def rollout(alarms: Alarms, made: Function) -> None:
    alarms.watch(
        "RolloutFailed",
        made.function.metric_errors(period=FIVE),
        0,
        times=2,
        of=3,
        wrong="An upload can't be judged, which is not to say that it is bad.",
        do="read the function's log; the event is tried again for hours, then it lies in a queue.",
    )


def training(alarms: Alarms, made: Training) -> None:
    machine = made.machine
    for id, metric in (
        ("TrainingFailed", machine.metric_failed(period=FIVE)),
        ("TrainingTimedOut", machine.metric_timed_out(period=FIVE)),
        ("TrainingAborted", machine.metric_aborted(period=FIVE)),
    ):
        alarms.watch(
            id,
            metric,
            0,
            wrong="No bundle came out of training; the one in force stays.",
            do="read the reason, which the same topic has told, or the failed step; then start"
            " the state machine anew.",
        )
    queue(alarms, "TrainingUndelivered", made.undelivered, "Starts of training")


def queue(alarms: Alarms, id: str, made: sqs.IQueue, holds: str) -> None:
    alarms.watch(
        id,
        made.metric_approximate_number_of_messages_visible(period=MINUTE, statistic="Maximum"),
        0,
        wrong=f"{holds} could not be carried out, and lie in a dead-letter queue.",
        do="read the message and the function's log, mend the cause, then upload the file again, or"
        " invoke the function with the message; and purge the queue.",
    )
