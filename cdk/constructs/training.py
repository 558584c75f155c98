"""Training: what gateways recorded becomes a bundle, if it is better than the one in force.

    prepare    collects what was recorded since, and says whether it is worth a job, and which
    train      SageMaker, from the image of `mlops/`: spot machines, checkpoints
    evaluate   reads what the job has measured, and compares with the bundle in force
    publish    copies the bundle to `incoming/` of the bundles' bucket, which is the rollout
    failed     tells people the reason

All but `train` are one function, `functions/training`, which is told the step:

    {"step": "prepare", "execution": name, "input": the execution's}
        → {"worth": bool, "reason": text, "job": {"name", "input", "output", "checkpoints": URLs of
           S3, "hyperparameters": {name: text}}}
    {"step": "evaluate", "job": as above, "artifacts": URL of what the job left}
        → {"better": bool, "reason": text, …}
    {"step": "publish", "job": as above, "artifacts": …, "evaluation": of the step before}
    {"step": "failed", "execution": name, "error": {"Error": name, "Cause": text}}
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from aws_cdk import Duration, RemovalPolicy, Stack
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_stepfunctions as sfn
from aws_cdk import aws_stepfunctions_tasks as tasks
from constructs import Construct

from .. import assets
from .function import Function, dead_letters
from .logs import log_group
from .stores import Stores, let_read, let_write

JOB_HOURS = 4
SPOT_HOURS = 12
"""How long a job may wait for spot machines, and run, together."""
DISK_GB = 30
JOBS = "trunkline-*"
"""What jobs are called: the function makes up the rest."""
SAGEMAKER_RULE = "StepFunctionsGetEventsForSageMakerTrainingJobsRule"
"""By which Step Functions hears of a job's end: the service's own name."""


class Training(Construct):
    """machine: started by a schedule, or by hand with any input."""

    def __init__(
        self,
        scope: Construct,
        id: str,
        stores: Stores,
        layers: Sequence[lambda_.ILayerVersion],
    ) -> None:
        super().__init__(scope, id)
        self._stores = stores
        self.function = self._function(layers)
        self.trainer = self._trainer()
        self.machine = sfn.StateMachine(
            self,
            "Machine",
            definition_body=sfn.DefinitionBody.from_chainable(self._steps()),
            timeout=Duration.hours(SPOT_HOURS + 1),
            tracing_enabled=True,
            removal_policy=RemovalPolicy.DESTROY,
            logs=sfn.LogOptions(
                destination=log_group(
                    self,
                    "Log",
                    stores.settings,
                    f"/aws/vendedlogs/states/{stores.settings.name}-training",
                ),
                level=sfn.LogLevel.ALL,
                include_execution_data=True,
            ),
        )
        self._let_train(self.machine.role)
        self.undelivered = dead_letters(self, "Undelivered")
        if stores.settings.training_hour >= 0:
            self._schedule(stores.settings.training_hour)

    def _function(self, layers: Sequence[lambda_.ILayerVersion]) -> Function:
        stores = self._stores
        made = Function(
            self,
            "Steps",
            stores,
            "training",
            layers=layers,
            memory=3008,
            timeout=Duration.minutes(15),
            environment={"TRUNKLINE_TRAINING_LEAST": str(stores.settings.training_least)},
        )
        stores.let_know(made.role)
        stores.topic.grant_publish(made.role)
        let_read(made.role, stores.buckets.training)
        let_write(made.role, stores.buckets.training, "*")
        let_write(made.role, stores.buckets.bundles, "incoming/*")
        return made

    def _trainer(self) -> iam.Role:
        """What the job may do: read and write the training bucket, pull its image, log."""
        stores, stack = self._stores, Stack.of(self)
        role = iam.Role(self, "Trainer", assumed_by=iam.ServicePrincipal("sagemaker.amazonaws.com"))
        let_read(role, stores.buckets.training)
        let_write(role, stores.buckets.training, "jobs/*")
        logs = f"arn:{stack.partition}:logs:{stack.region}:{stack.account}:log-group"
        role.add_to_policy(
            iam.PolicyStatement(
                actions=["logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents"],
                resources=[f"{logs}:/aws/sagemaker/TrainingJobs:*"],
            )
        )
        role.add_to_policy(
            iam.PolicyStatement(
                actions=[
                    "ecr:BatchCheckLayerAvailability",
                    "ecr:GetDownloadUrlForLayer",
                    "ecr:BatchGetImage",
                ],
                resources=[
                    f"arn:{stack.partition}:ecr:{stack.region}:{stack.account}:repository/*"
                ],
            )
        )
        role.add_to_policy(
            iam.PolicyStatement(actions=["ecr:GetAuthorizationToken"], resources=["*"])
        )
        return role

    # The machine

    def _steps(self) -> sfn.IChainable:
        failed = self._failed()
        prepare = self._step(
            "Prepare",
            {
                "step": "prepare",
                "execution.$": "$$.Execution.Name",
                "input.$": "$$.Execution.Input",
            },
            result_path="$.prepared",
            failed=failed,
        )
        evaluate = self._step(
            "Evaluate",
            {
                "step": "evaluate",
                "job.$": "$.prepared.job",
                "artifacts.$": "$.trained.ModelArtifacts.S3ModelArtifacts",
            },
            result_path="$.evaluation",
            failed=failed,
        )
        publish = self._step(
            "Publish",
            {
                "step": "publish",
                "job.$": "$.prepared.job",
                "artifacts.$": "$.trained.ModelArtifacts.S3ModelArtifacts",
                "evaluation.$": "$.evaluation",
            },
            result_path="$.published",
            failed=failed,
        )
        train = self._train().add_catch(failed, result_path="$.error")
        no_better = sfn.Succeed(self, "NoBetter", comment="The bundle in force stays")
        not_worth = sfn.Succeed(self, "NotWorthWhile", comment="Too little was recorded since")
        published = publish.next(sfn.Succeed(self, "Published", comment="Rollout goes on"))
        compared = (
            sfn.Choice(self, "IsItBetter")
            .when(sfn.Condition.boolean_equals("$.evaluation.better", True), published)
            .otherwise(no_better)
        )
        worth = (
            sfn.Choice(self, "IsItWorthWhile")
            .when(
                sfn.Condition.boolean_equals("$.prepared.worth", True),
                train.next(evaluate).next(compared),
            )
            .otherwise(not_worth)
        )
        return prepare.next(worth)

    def _failed(self) -> sfn.Chain:
        tell = tasks.LambdaInvoke(
            self,
            "TellWhy",
            lambda_function=self.function.live,
            payload=sfn.TaskInput.from_object(
                {
                    "step": "failed",
                    "execution": sfn.JsonPath.string_at("$$.Execution.Name"),
                    "error": sfn.JsonPath.object_at("$.error"),
                }
            ),
            payload_response_only=True,
            result_path=sfn.JsonPath.DISCARD,
        )
        end = sfn.Fail(
            self,
            "Failed",
            error_path=sfn.JsonPath.string_at("$.error.Error"),
            cause_path=sfn.JsonPath.string_at("$.error.Cause"),
        )
        # People hear of the failed execution by an alarm even where they can't be told why.
        tell.add_catch(end, result_path=sfn.JsonPath.DISCARD)
        return sfn.Chain.start(tell).next(end)

    def _step(
        self, id: str, payload: Mapping[str, Any], *, result_path: str, failed: sfn.IChainable
    ) -> tasks.LambdaInvoke:
        made = tasks.LambdaInvoke(
            self,
            id,
            lambda_function=self.function.live,
            payload=sfn.TaskInput.from_object(dict(payload)),
            payload_response_only=True,
            result_path=result_path,
            retry_on_service_exceptions=True,
        )
        made.add_catch(failed, result_path="$.error")
        return made

    def _train(self) -> sfn.CustomState:
        """A job of SageMaker's, until it has ended.

        https://docs.aws.amazon.com/step-functions/latest/dg/connect-sagemaker.html
        """
        settings = self._stores.settings
        return sfn.CustomState(
            self,
            "Train",
            state_json={
                "Type": "Task",
                "Resource": _resource(self, "sagemaker:createTrainingJob.sync"),
                "ResultPath": "$.trained",
                "Parameters": {
                    "TrainingJobName.$": "$.prepared.job.name",
                    "RoleArn": self.trainer.role_arn,
                    "AlgorithmSpecification": {
                        "TrainingImage": assets.training_image(self, settings),
                        "TrainingInputMode": "File",
                    },
                    "HyperParameters.$": "$.prepared.job.hyperparameters",
                    "InputDataConfig": [
                        {
                            "ChannelName": "training",
                            "DataSource": {
                                "S3DataSource": {
                                    "S3DataType": "S3Prefix",
                                    "S3DataDistributionType": "FullyReplicated",
                                    "S3Uri.$": "$.prepared.job.input",
                                }
                            },
                        }
                    ],
                    "OutputDataConfig": {"S3OutputPath.$": "$.prepared.job.output"},
                    "CheckpointConfig": {"S3Uri.$": "$.prepared.job.checkpoints"},
                    "EnableManagedSpotTraining": True,
                    "ResourceConfig": {
                        "InstanceCount": 1,
                        "InstanceType": settings.training_instance,
                        "VolumeSizeInGB": DISK_GB,
                    },
                    "StoppingCondition": {
                        "MaxRuntimeInSeconds": JOB_HOURS * 3600,
                        "MaxWaitTimeInSeconds": SPOT_HOURS * 3600,
                    },
                },
                "Retry": [
                    {
                        "ErrorEquals": [
                            "SageMaker.AmazonSageMakerException",
                            "ThrottlingException",
                            "ResourceLimitExceeded",
                        ],
                        "IntervalSeconds": 60,
                        "MaxAttempts": 3,
                        "BackoffRate": 2,
                    }
                ],
            },
        )

    def _let_train(self, machine: iam.IRole) -> None:
        stack = Stack.of(self)
        here = f"{stack.region}:{stack.account}"
        for actions, resource in (
            (
                [
                    "sagemaker:CreateTrainingJob",
                    "sagemaker:DescribeTrainingJob",
                    "sagemaker:StopTrainingJob",
                    "sagemaker:AddTags",
                ],
                f"arn:{stack.partition}:sagemaker:{here}:training-job/{JOBS}",
            ),
            (
                ["events:PutTargets", "events:PutRule", "events:DescribeRule"],
                f"arn:{stack.partition}:events:{here}:rule/{SAGEMAKER_RULE}",
            ),
        ):
            machine.add_to_principal_policy(
                iam.PolicyStatement(actions=actions, resources=[resource])
            )
        machine.add_to_principal_policy(
            iam.PolicyStatement(
                actions=["iam:PassRole"],
                resources=[self.trainer.role_arn],
                conditions={"StringEquals": {"iam:PassedToService": "sagemaker.amazonaws.com"}},
            )
        )

    def _schedule(self, hour: int) -> None:
        events.Rule(
            self,
            "Daily",
            description="What was recorded is learned from once a day",
            schedule=events.Schedule.cron(hour=str(hour), minute="0"),
            targets=[
                targets.SfnStateMachine(
                    self.machine,
                    input=events.RuleTargetInput.from_object({}),
                    dead_letter_queue=self.undelivered,
                )
            ],
        )


def _resource(scope: Construct, action: str) -> str:
    return f"arn:{Stack.of(scope).partition}:states:::{action}"
