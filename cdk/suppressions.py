"""What checks find and is meant so: where, and why.

`make synth` reads the tables: a finding that isn't in them fails, and so does a reason that nothing
is found for. MEANT are of cdk-nag and the CDK's own checks, by construct; TEMPLATES_MEANT of
cfn-lint and checkov, by stack and resource.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Meant:
    """rule: a regular expression of its whole id. where: one to be found in the place's path."""

    rule: str
    where: str
    reason: str


MEANT: tuple[Meant, ...] = (
    Meant(
        "AwsSolutions-EC23",
        "/Network/Endpoints/",
        "Open to the network's own addresses, which only the deployment knows.",
    ),
    Meant(
        "AwsSolutions-SMG4",
        "/Secrets/",
        "Rotating these takes people: the callers who use the master key, the providers that make"
        " theirs, the cache, which has to learn its password; and the salt key has to stay, or"
        " stored keys of providers are lost. The database's secret rotates.",
    ),
    Meant(
        "AwsSolutions-IAM4.*AmazonAPIGatewayPushToCloudWatchLogs.*",
        "/Rest/CloudWatchRole/",
        "The policy that AWS demands for API Gateway's logs.",
    ),
    Meant(
        r"AwsSolutions-IAM5\[Resource::\*\]",
        "/(Role|TaskRole)/DefaultPolicy/",
        "What puts a function into a network, and what hands in traces, has no resource.",
    ),
    Meant(
        r"AwsSolutions-IAM5\[Resource::.*Bundles.*/(incoming/)?\*\]",
        "/(Role|TaskRole)/DefaultPolicy/",
        "Bundles of the deployment's own bucket, whatever their names.",
    ),
    Meant(
        r"AwsSolutions-IAM5\[Resource::.*Configuration.*/(incoming/)?\*\]",
        "/(Role|TaskRole)/DefaultPolicy/",
        "Configurations of the deployment's own bucket, whatever their names.",
    ),
    Meant(
        r"AwsSolutions-IAM5\[Resource::.*Training.*\*\]",
        "/Training/",
        "Records, inputs, outputs and checkpoints of the deployment's own bucket.",
    ),
    Meant(
        r"AwsSolutions-IAM5\[Resource::.*training-job/trunkline-\*\]",
        "/Training/Machine/",
        "Each job has a name of its own.",
    ),
    Meant(
        r"AwsSolutions-IAM5\[Resource::.*(TrainingJobs|repository/).*\*\]",
        "/Training/Trainer/",
        "SageMaker makes the streams of a job's log; the image is in one of the account's own"
        " repositories, whose name the context says.",
    ),
    Meant(
        r"AwsSolutions-IAM5\[Resource::\*\]",
        "/Training/(Trainer|Machine/Role)/",
        "A token for pulling images, the delivery of logs and traces have no resource.",
    ),
    Meant("AwsSolutions-SQS3", "/(Failures|Undelivered)/", "These are the dead-letter queues."),
    Meant(
        "AwsSolutions-L1",
        "",
        "Dependencies are locked, with hashes, for Python 3.12: all of it changes together.",
    ),
    Meant(
        "AwsSolutions-ELB2",
        "/Balancer/Internal/",
        "Only API Gateway reaches it, whose access log has every request.",
    ),
    Meant(
        "AwsSolutions-ECS2",
        "/Service/Task/",
        "Addresses and names; what is secret comes from Secrets Manager.",
    ),
    Meant(
        "AwsSolutions-APIG2",
        "/Api/Rest/",
        "The gateway checks requests, and answers in the format of the API that was asked.",
    ),
    Meant(
        "AwsSolutions-APIG4",
        "/Api/",
        "Who may call what is the gateway's affair: virtual keys, teams, budgets.",
    ),
    Meant("AwsSolutions-COG4", "/Api/", "Clients are programs with keys, as OpenAI's are."),
    Meant(
        "AwsSolutions-APIG6",
        "/Api/Rest/",
        "Execution logs hold headers and bodies, keys and prompts that is; the access log is on.",
    ),
    Meant("AwsSolutions-VPC7", "/Vpc/", "In dev: prod keeps flow logs of what is refused."),
    Meant("AwsSolutions-AEC4", "/Cache/", "In dev: prod has a second node in another zone."),
    Meant("AwsSolutions-RDS10", "/Database/", "In dev: prod is protected from being deleted."),
    Meant("AwsSolutions-ECS4", "/Service/Cluster/", "In dev: prod has them."),
)

TEMPLATES_MEANT: tuple[Meant, ...] = ()
