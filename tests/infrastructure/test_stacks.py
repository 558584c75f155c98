"""What the templates make: encrypted, private, of few rights, over zones, gone when destroyed."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
import yaml

from .conftest import CERTIFICATE
from .synthesis import PARTS, ROOT, Properties, Synthesised, value

BOTH = ("prod", "dev")


@pytest.fixture(params=BOTH)
def either(request: pytest.FixtureRequest) -> Synthesised:
    found: Synthesised = request.getfixturevalue(request.param)
    return found


# Data


@pytest.mark.criterion("R10.3")
def test_buckets_are_encrypted_private_versioned_and_tell_of_uploads(either: Synthesised) -> None:
    from aws_cdk.assertions import Match

    data = either.template("Data")
    buckets = data.find_resources("AWS::S3::Bucket")
    assert len(buckets) == 4
    for _, bucket in buckets.items():
        properties = bucket["Properties"]
        assert properties["VersioningConfiguration"] == {"Status": "Enabled"}
        assert set(properties["PublicAccessBlockConfiguration"].values()) == {True}
        assert properties["BucketEncryption"]
        assert properties["LifecycleConfiguration"]["Rules"]
    data.resource_properties_count_is(
        "AWS::S3::Bucket",
        Match.object_like(
            {"NotificationConfiguration": {"EventBridgeConfiguration": Match.any_value()}}
        ),
        3,
    )
    for policy in either.resources["AWS::S3::BucketPolicy"]:
        denied = [s for s in policy["PolicyDocument"]["Statement"] if s["Effect"] == "Deny"]
        assert {"Bool": {"aws:SecureTransport": "false"}} in [s["Condition"] for s in denied]


def test_the_database_is_encrypted_backed_up_and_signed_in_to_without_a_known_password(
    prod: Synthesised, dev: Synthesised
) -> None:
    for made, days, least, protected in ((prod, 14, 0.5, True), (dev, 1, 0, False)):
        cluster = made.only("AWS::RDS::DBCluster")
        assert cluster["StorageEncrypted"] is True
        assert cluster["EnableIAMDatabaseAuthentication"] is True
        assert cluster["BackupRetentionPeriod"] == days
        assert cluster["DeletionProtection"] is protected
        assert cluster["ServerlessV2ScalingConfiguration"]["MinCapacity"] == least
        assert made.only("AWS::SecretsManager::RotationSchedule")
    proxy = prod.only("AWS::RDS::DBProxy")
    assert proxy["RequireTLS"] is True
    assert {each["IAMAuth"] for each in proxy["Auth"]} == {"REQUIRED"}
    assert "AWS::RDS::DBProxy" not in dev.resources, "it would keep the database awake"
    for made, password in ((prod, "iam"), (dev, "<")):
        for environment in _environments(made):
            assert f"sslmode=require&aws_password={password}" in value(environment["DATABASE_URL"])


def test_the_cache_has_tls_a_password_and_a_second_node_in_prod(
    prod: Synthesised, dev: Synthesised
) -> None:
    for made, nodes in ((prod, 2), (dev, 1)):
        cache = made.only("AWS::ElastiCache::ReplicationGroup")
        assert cache["Engine"] == "valkey"
        assert cache["TransitEncryptionMode"] == "required"
        assert cache["AtRestEncryptionEnabled"] is True
        assert cache["NumCacheClusters"] == nodes
        assert cache["AutomaticFailoverEnabled"] is (nodes > 1)
        assert "{{resolve:secretsmanager:" in value(cache["AuthToken"])


@pytest.mark.criterion("R10.4")
def test_no_template_holds_a_key_and_secrets_are_made_up(either: Synthesised) -> None:
    for secret in either.resources["AWS::SecretsManager::Secret"]:
        assert "GenerateSecretString" in secret or secret["SecretString"] == "{}"
    text = either.text
    assert not re.search(r"AKIA[0-9A-Z]{16}|sk-[A-Za-z0-9]{20}", text)
    for environment in _environments(either):
        for name, given in environment.items():
            secret = re.search("KEY|PASSWORD|TOKEN", name) and name != "TRUNKLINE_PUBLIC_KEY"
            assert not secret, (name, given)


# Network


def test_tasks_functions_and_stores_are_in_private_subnets_over_the_zones(
    prod: Synthesised,
) -> None:
    network = prod.document("Network")["Resources"]
    subnets = [r["Properties"] for r in network.values() if r["Type"] == "AWS::EC2::Subnet"]
    assert len(subnets) == 6
    assert not any(subnet.get("MapPublicIpOnLaunch") for subnet in subnets)
    services = {
        value(each["ServiceName"]).rsplit(".", 1)[-1]
        for each in prod.resources["AWS::EC2::VPCEndpoint"]
    }
    assert {"s3", "api", "dkr", "logs", "secretsmanager", "bedrock-runtime"} <= services
    assert len(prod.resources["AWS::EC2::NatGateway"]) == 3
    assert prod.only("AWS::ElasticLoadBalancingV2::LoadBalancer")["Scheme"] == "internal"
    assert _network(prod.only("AWS::ECS::Service"))["AssignPublicIp"] == "DISABLED"


def test_nothing_is_open_to_the_world(either: Synthesised) -> None:
    rules = [*either.resources.get("AWS::EC2::SecurityGroupIngress", ())]
    for group in either.resources["AWS::EC2::SecurityGroup"]:
        rules += group.get("SecurityGroupIngress", ())
    assert rules
    assert not [rule for rule in rules if rule.get("CidrIp") == "0.0.0.0/0"]


def test_without_nat_there_are_no_public_subnets(lambda_only: Synthesised) -> None:
    assert len(lambda_only.resources["AWS::EC2::Subnet"]) == 2
    for kind in ("AWS::EC2::NatGateway", "AWS::EC2::InternetGateway", "AWS::EC2::EIP"):
        assert kind not in lambda_only.resources


# Gateway


@pytest.mark.criterion("R10.6")
def test_tasks_are_on_arm_read_only_without_rights_and_end_gracefully(prod: Synthesised) -> None:
    task = prod.only("AWS::ECS::TaskDefinition")
    assert task["RuntimePlatform"]["CpuArchitecture"] == "ARM64"
    gateway, collector = task["ContainerDefinitions"]
    for container in (gateway, collector):
        assert container["ReadonlyRootFilesystem"] is True
        assert container["LinuxParameters"]["Capabilities"]["Drop"] == ["ALL"]
        assert container["HealthCheck"]["Command"]
    assert gateway["User"] == "1000"
    assert {mount["ContainerPath"] for mount in gateway["MountPoints"]} == {
        "/tmp",
        "/var/lib/trunkline",
    }
    starting = yaml.safe_load((ROOT / "cdk" / "starting.yaml").read_text("utf-8"))
    assert starting["general_settings"]["drain_seconds"] < gateway["StopTimeout"] <= 120
    receivers = yaml.safe_load(_environment(collector)["AOT_CONFIG_CONTENT"])["receivers"]
    assert "prometheus" in receivers
    assert starting["litellm_settings"]["callbacks"] == ["prometheus"]
    sent_to = _environment(gateway)["OTEL_EXPORTER_OTLP_ENDPOINT"]
    assert sent_to == f"http://{receivers['otlp']['protocols']['http']['endpoint']}"
    assert collector["Essential"] is False


@pytest.mark.criterion("R10.6")
def test_the_service_is_watched_rolled_back_and_grows(prod: Synthesised) -> None:
    service = prod.only("AWS::ECS::Service")
    breaker = service["DeploymentConfiguration"]["DeploymentCircuitBreaker"]
    assert breaker == {"Enable": True, "Rollback": True}
    assert service["DeploymentConfiguration"]["MinimumHealthyPercent"] == 100
    assert service["DesiredCount"] == 2
    group = prod.only("AWS::ElasticLoadBalancingV2::TargetGroup")
    assert group["HealthCheckPath"] == "/health/readiness"
    attributes = {each["Key"]: each["Value"] for each in group["TargetGroupAttributes"]}
    assert attributes["deregistration_delay.timeout_seconds"] == "90"
    policies = [
        policy["TargetTrackingScalingPolicyConfiguration"]
        for policy in prod.resources["AWS::ApplicationAutoScaling::ScalingPolicy"]
    ]
    by_cpu = [policy for policy in policies if "PredefinedMetricSpecification" in policy]
    by_calls = [policy for policy in policies if "CustomizedMetricSpecification" in policy]
    assert (len(by_cpu), len(by_calls)) == (1, 1)
    named = json.dumps(by_calls)
    assert "ActiveConnectionCount" in named
    assert "HealthyHostCount" in named


def test_functions_are_called_by_version_and_what_people_wait_for_is_frozen_after_its_start(
    either: Synthesised,
) -> None:
    functions = [
        function
        for function in either.resources["AWS::Lambda::Function"]
        if str(function.get("Handler", "")).startswith("functions.")
    ]
    assert {function["Handler"].split(".")[1] for function in functions} == {
        "api",
        "rollout",
        "training",
        "maintenance",
    }
    for function in functions:
        frozen = function.get("SnapStart") == {"ApplyOn": "PublishedVersions"}
        assert frozen is (function["Handler"] == "functions.api.handler.handler")
        assert function["Runtime"] == "python3.12"
        assert function["Architectures"] == ["arm64"]
        assert function["TracingConfig"] == {"Mode": "Active"}
        assert function["LoggingConfig"]["LogGroup"]
    assert len(either.resources["AWS::Lambda::Alias"]) == len(functions)


def test_the_api_logs_no_key_and_no_prompt(either: Synthesised) -> None:
    stage = either.only("AWS::ApiGateway::Stage")
    logged = stage["AccessLogSetting"]["Format"]
    assert json.loads(logged)["status"] == "$context.status"
    for word in ("header", "querystring", "context.path", "authorizer", "body"):
        assert word not in logged.lower(), word
    settings = stage["MethodSettings"][0]
    assert settings["DataTraceEnabled"] is False
    assert settings["LoggingLevel"] == "OFF"
    assert settings["ThrottlingRateLimit"] > 0
    assert either.only("AWS::ApiGateway::RestApi")["BinaryMediaTypes"] == ["*/*"]


def test_the_firewall_blocks_addresses_and_lets_prompts_through(either: Synthesised) -> None:
    acl = either.only("AWS::WAFv2::WebACL")
    rules = {rule["Name"]: rule for rule in acl["Rules"]}
    assert rules["RatePerAddress"]["Action"] == {"Block": {}}
    for name in ("AWSManagedRulesCommonRuleSet", "AWSManagedRulesSQLiRuleSet"):
        assert rules[name]["OverrideAction"] == {"Count": {}}
    known = rules["AWSManagedRulesKnownBadInputsRuleSet"]
    assert known["OverrideAction"] == {"None": {}}
    overridden = known["Statement"]["ManagedRuleGroupStatement"]["RuleActionOverrides"]
    assert {each["ActionToUse"]["Count"] is not None for each in overridden} == {True}
    assert all(each["Name"].endswith("_BODY") for each in overridden)
    assert either.only("AWS::WAFv2::WebACLAssociation")
    redacted = json.dumps(either.only("AWS::WAFv2::LoggingConfiguration")["RedactedFields"])
    assert "authorization" in redacted
    assert "x-api-key" in redacted


def test_a_domain_is_the_only_way_in_and_leads_by_tls_to_the_tasks(prod: Synthesised) -> None:
    assert prod.only("AWS::ApiGateway::DomainName")["SecurityPolicy"] == "TLS_1_2"
    assert prod.only("AWS::ApiGateway::RestApi")["DisableExecuteApiEndpoint"] is True
    record = prod.only("AWS::Route53::RecordSet")
    assert (record["Name"], record["HostedZoneId"]) == ("ai.example.com.", "Z0123456789ABC")
    listener = prod.only("AWS::ElasticLoadBalancingV2::Listener")
    assert (listener["Port"], listener["Protocol"]) == (443, "HTTPS")
    uris = [
        value(each["Integration"]["Uri"])
        for each in prod.resources["AWS::ApiGateway::Method"]
        if each["Integration"].get("ConnectionType") == "VPC_LINK"
    ]
    assert uris
    assert all(uri.startswith("https://ai.example.com/") for uri in uris)


def test_without_fargate_lambda_alone_answers(lambda_only: Synthesised) -> None:
    for kind in ("AWS::ECS::Service", "AWS::ElasticLoadBalancingV2::LoadBalancer"):
        assert kind not in lambda_only.resources
    assert "AWS::ElastiCache::ReplicationGroup" not in lambda_only.resources
    methods = lambda_only.resources["AWS::ApiGateway::Method"]
    assert {method["Integration"]["Type"] for method in methods} == {"AWS_PROXY"}


# Rights


@pytest.mark.criterion("R10.2")
def test_models_are_asked_by_their_arns_with_the_role_and_no_key(prod: Synthesised) -> None:
    allowed = [each for _, each in prod.statements if "bedrock:InvokeModel" in each["Action"]]
    assert allowed
    for statement in allowed:
        for resource in _listed(statement["Resource"]):
            assert re.search(r":bedrock:.*foundation-model/amazon\.nova-[\w:.-]+$", value(resource))


def test_each_role_may_do_only_what_its_part_needs(either: Synthesised) -> None:
    for name, statement in either.statements:
        for action in _listed(statement["Action"]):
            assert action != "*", name
            assert not action.endswith(":*"), (name, action)
        if "*" in _listed(statement["Resource"]):
            assert set(_listed(statement["Action"])) <= _WITHOUT_RESOURCES, (name, statement)


_WITHOUT_RESOURCES = set(
    """
    ec2:CreateNetworkInterface ec2:DescribeNetworkInterfaces ec2:DeleteNetworkInterface
    ec2:DescribeSubnets ec2:AssignPrivateIpAddresses ec2:UnassignPrivateIpAddresses
    xray:PutTraceSegments xray:PutTelemetryRecords xray:GetSamplingRules xray:GetSamplingTargets
    ecr:GetAuthorizationToken logs:CreateLogDelivery logs:GetLogDelivery logs:UpdateLogDelivery
    logs:DeleteLogDelivery logs:ListLogDeliveries logs:PutResourcePolicy
    logs:DescribeResourcePolicies logs:DescribeLogGroups
    """.split()
)


def test_tasks_read_secrets_and_cannot_change_what_is_in_force(prod: Synthesised) -> None:
    mine = [each for name, each in prod.statements if "TaskRole" in name]
    actions = {action for each in mine for action in _listed(each["Action"])}
    assert "secretsmanager:GetSecretValue" in actions
    assert "rds-db:connect" in actions
    assert not {action for action in actions if action.startswith("s3:Put")}


# Operations


@pytest.mark.criterion("R3.4", "R5.5")
def test_an_upload_reaches_the_function_that_rolls_out_or_a_queue(prod: Synthesised) -> None:
    operations = prod.template("Operations")
    from aws_cdk.assertions import Match

    operations.has_resource_properties(
        "AWS::Events::Rule",
        {
            "EventPattern": {
                "source": ["aws.s3"],
                "detail-type": ["Object Created"],
                "detail": {"object": {"key": [{"prefix": "incoming/"}]}},
            },
            "Targets": [
                Match.object_like(
                    {
                        "DeadLetterConfig": Match.any_value(),
                        "RetryPolicy": Match.any_value(),
                    }
                )
            ],
        },
    )
    operations.has_resource_properties(
        "AWS::Events::Rule",
        {
            "ScheduleExpression": "rate(1 minute)",
            "Targets": [
                Match.object_like({"Input": json.dumps({"trunkline": "tick"}).replace(" ", "")})
            ],
        },
    )
    operations.has_resource_properties(
        "AWS::Lambda::Function",
        {"Handler": "functions.rollout.handler.handler", "ReservedConcurrentExecutions": 1},
    )


@pytest.mark.criterion("R5.5")
def test_training_ends_in_a_rollout_or_a_reason(prod: Synthesised, dev: Synthesised) -> None:
    machine = prod.only("AWS::StepFunctions::StateMachine")
    states = json.loads(value(machine["DefinitionString"]))["States"]
    train = states["Train"]
    assert train["Resource"].endswith(":states:::sagemaker:createTrainingJob.sync")
    asked = train["Parameters"]
    assert asked["EnableManagedSpotTraining"] is True
    assert asked["TrainingJobName.$"] == "$.prepared.job.name"
    stop = asked["StoppingCondition"]
    assert stop["MaxWaitTimeInSeconds"] >= stop["MaxRuntimeInSeconds"]
    for name in ("Prepare", "Train", "Evaluate", "Publish"):
        assert [each["Next"] for each in states[name]["Catch"]] == ["TellWhy"]
    assert states["TellWhy"]["Next"] == "Failed"
    assert states["Failed"]["Type"] == "Fail"
    rules = [rule.get("ScheduleExpression") for rule in prod.resources["AWS::Events::Rule"]]
    assert "cron(0 3 * * ? *)" in rules
    rules = [rule.get("ScheduleExpression") for rule in dev.resources["AWS::Events::Rule"]]
    assert not [rule for rule in rules if rule and rule.startswith("cron")], "on demand only"


# Observability

WATCHED = """
    ServerErrors Refused Slow FirstByte UnhealthyTargets TooFewTargets ColdStarts FunctionThrottles
    FunctionErrors DatabaseFull DatabaseConnections CacheMemory1 CacheBusy1 ReloadsRefused SpendRate
    MaintenanceFailed LedgerLag RolloutFailed TrainingFailed UploadsUndelivered RolloutLeft
    MaintenanceLeft TrainingUndelivered
""".split()


def test_alarms_say_what_is_wrong_and_what_to_do(prod: Synthesised) -> None:
    resources = prod.document("Observability")["Resources"]
    alarms = {n: r["Properties"] for n, r in resources.items() if r["Type"].endswith("::Alarm")}
    for name in WATCHED:
        assert any(name in alarm for alarm in alarms), name
    for alarm in alarms.values():
        assert "What to do: " in alarm["AlarmDescription"]
        assert len(alarm["AlarmDescription"]) <= 1024
        assert alarm["AlarmActions"]
    queues = set(_queues(prod))
    told = {json.dumps(alarm.get("Dimensions")) for alarm in alarms.values()}
    assert queues
    for name in queues:
        assert any(name in each for each in told), f"nobody is told of what lies in {name}"
    assert prod.only("AWS::CloudWatch::Dashboard")


def _queues(made: Synthesised) -> Iterator[str]:
    for part in PARTS:
        for name, resource in made.document(part)["Resources"].items():
            if resource["Type"] == "AWS::SQS::Queue":
                yield name


# Ending


def test_prod_keeps_its_data_and_dev_keeps_nothing(prod: Synthesised, dev: Synthesised) -> None:
    kinds = ("AWS::S3::Bucket", "AWS::SecretsManager::Secret", "AWS::RDS::DBCluster")
    assert {_deletion(prod, kind) for kind in kinds} <= {"Retain", "Snapshot"}
    for kind in kinds:
        assert _deletion(dev, kind) == "Delete"
    for part in PARTS:
        for resource in dev.document(part)["Resources"].values():
            assert resource.get("DeletionPolicy", "Delete") == "Delete", resource
    for made in (prod, dev):
        for group in made.resources["AWS::Logs::LogGroup"]:
            assert group["RetentionInDays"]


def _deletion(made: Synthesised, kind: str) -> str:
    found = {
        resource.get("DeletionPolicy", "Delete")
        for resource in made.document("Data")["Resources"].values()
        if resource["Type"] == kind
    }
    assert len(found) == 1, (kind, found)
    return str(found.pop())


def test_several_deployments_share_an_account(lambda_only: Synthesised) -> None:
    assert "Second-Gateway" in {path.name.split(".")[0] for path in lambda_only.folder.iterdir()}
    assert not re.search(r"Trunkline-(Data|Network|Gateway)", lambda_only.text)


def test_nothing_is_of_one_account_or_region(either: Synthesised) -> None:
    # But for AWS's own account, which publishes what rotates the database's password.
    text = re.sub(r"[^\"]*:serverlessrepo:[^\"]*", "", either.text).replace(CERTIFICATE, "")
    assert not re.search(r"\b\d{12}\b", re.sub(r"[0-9a-f]{32,}", "", text))
    assert not re.search(r"\b(us|eu|ap)-(east|west|central|north|south)\w*-\d\b", text)


# Reading


def _listed(given: Any) -> list[Any]:
    return given if isinstance(given, list) else [given]


def _network(service: Properties) -> Properties:
    found: Properties = service["NetworkConfiguration"]["AwsvpcConfiguration"]
    return found


def _environment(container: Properties) -> Mapping[str, Any]:
    return {each["Name"]: each["Value"] for each in container.get("Environment", ())}


def _environments(made: Synthesised) -> Iterator[Mapping[str, Any]]:
    """Of all that runs the gateway's code."""
    for function in made.resources["AWS::Lambda::Function"]:
        if str(function.get("Handler", "")).startswith("functions."):
            yield function["Environment"]["Variables"]
    for task in made.resources.get("AWS::ECS::TaskDefinition", ()):
        yield _environment(task["ContainerDefinitions"][0])
