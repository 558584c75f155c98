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

_OWN_KEYS = (
    "AWS's own keys encrypt it. A key of the customer's would cost, and would have to be shared"
    " with every service that reads or writes there; who has to have one adds it to the construct."
)
_OF_THE_CDK = "The CDK writes it so."

TEMPLATES_MEANT: tuple[Meant, ...] = (
    Meant("W3005", "/DependsOn/", _OF_THE_CDK),
    Meant("CKV_AWS_158", "LogGroup", _OWN_KEYS),
    Meant("CKV_AWS_149", "Secret", _OWN_KEYS),
    Meant("CKV_AWS_27", "Queue", _OWN_KEYS),
    Meant("CKV_AWS_173", "Function", f"{_OWN_KEYS} Nothing there is secret."),
    Meant(
        "CKV_AWS_26",
        "Topic",
        "Alarms of CloudWatch can't be told by a topic that AWS's own key encrypts. What is told"
        " there holds neither keys nor prompts.",
    ),
    Meant(
        "CKV_AWS_116",
        "Function",
        "Their aliases have destinations for what failed; the others are called synchronously.",
    ),
    Meant(
        "CKV_AWS_117",
        "(Starting|Custom)",
        "They answer CloudFormation, over the internet, and reach nothing in the network.",
    ),
    Meant(
        "CKV_AWS_115",
        "Function",
        "What answers calls takes what the account has; in dev, accounts may have nothing to"
        " reserve.",
    ),
    Meant("CKV_AWS_18", "AccessLogs", "It holds the logs of the others."),
    Meant("CKV_AWS_118", "DBInstance", "Serverless instances tell of themselves every minute."),
    Meant(
        "CKV_AWS_111",
        "Policy",
        "What puts a function into a network, and what hands in traces, has no resource.",
    ),
    Meant("CKV_AWS_91", "Balancer", "API Gateway's access log has every request."),
    Meant(
        "CKV_AWS_(2|103)",
        "Balancer",
        "Within the network, and only from API Gateway; with `internal_certificate`, by TLS.",
    ),
    Meant(
        "CKV_AWS_120", "Stage", "Answers are for one caller; the gateway has a cache of its own."
    ),
    Meant("CKV_AWS_59", "Method", "The gateway checks the keys."),
    Meant("CKV_AWS_65", "Cluster", "In dev: prod has them."),
)
