"""The firewall in front of the API: bad addresses, known attacks, floods."""

from __future__ import annotations

from aws_cdk import ArnFormat, Stack
from aws_cdk import aws_apigateway as apigateway
from aws_cdk import aws_wafv2 as wafv2
from constructs import Construct

from ..settings import Settings
from .logs import log_group

COUNTED_ONLY = ("AWSManagedRulesCommonRuleSet", "AWSManagedRulesSQLiRuleSet")
"""They look into bodies, and refuse those over 8 KB, or that hold SQL or HTML: as prompts do. So
they count, for somebody to look at, and block nothing."""
BLOCKING = ("AWSManagedRulesAmazonIpReputationList", "AWSManagedRulesKnownBadInputsRuleSet")
BODY_RULES = ("Log4JRCE_BODY", "JavaDeserializationRCE_BODY", "ReactJSRCE_BODY")
"""Of those that block, what looks into bodies: a prompt may ask what such an attack does."""
WINDOW = 300
"""Seconds over which an address's requests are counted."""
LOG_PREFIX = "aws-waf-logs-"
"""Which the service demands."""
HIDDEN = ("authorization", "x-api-key", "api-key", "x-goog-api-key", "cookie")
"""Headers that hold keys."""


class Firewall(Construct):
    """acl: the rules."""

    def __init__(
        self, scope: Construct, id: str, settings: Settings, stage: apigateway.Stage
    ) -> None:
        super().__init__(scope, id)
        rules = [_rate(0, settings.rate_per_address)]
        rules += [_managed(len(rules) + n, name, BODY_RULES) for n, name in enumerate(BLOCKING)]
        rules += [_counted(len(rules) + n, name) for n, name in enumerate(COUNTED_ONLY)]
        self.acl = wafv2.CfnWebACL(
            self,
            "Acl",
            scope="REGIONAL",
            default_action=wafv2.CfnWebACL.DefaultActionProperty(allow={}),
            visibility_config=_visible("Firewall"),
            rules=rules,
        )
        wafv2.CfnWebACLAssociation(
            self, "Association", resource_arn=stage.stage_arn, web_acl_arn=self.acl.attr_arn
        )
        self._log(settings)

    def _log(self, settings: Settings) -> None:
        stack = Stack.of(self)
        group = log_group(self, "Log", settings, f"{LOG_PREFIX}{stack.stack_name.lower()}")
        wafv2.CfnLoggingConfiguration(
            self,
            "Logging",
            resource_arn=self.acl.attr_arn,
            log_destination_configs=[
                # The group's own ARN ends with `:*`, which the service refuses.
                stack.format_arn(
                    service="logs",
                    resource="log-group",
                    resource_name=group.log_group_name,
                    arn_format=ArnFormat.COLON_RESOURCE_NAME,
                )
            ],
            redacted_fields=[
                *({"singleHeader": {"Name": name}} for name in HIDDEN),
                {"queryString": {}},
            ],
            logging_filter={
                "DefaultBehavior": "DROP",
                "Filters": [
                    {
                        "Behavior": "KEEP",
                        "Requirement": "MEETS_ANY",
                        "Conditions": [
                            {"ActionCondition": {"Action": action}} for action in ("BLOCK", "COUNT")
                        ],
                    }
                ],
            },
        )


def _rate(priority: int, limit: int) -> wafv2.CfnWebACL.RuleProperty:
    return wafv2.CfnWebACL.RuleProperty(
        name="RatePerAddress",
        priority=priority,
        action=wafv2.CfnWebACL.RuleActionProperty(block={}),
        statement=wafv2.CfnWebACL.StatementProperty(
            rate_based_statement=wafv2.CfnWebACL.RateBasedStatementProperty(
                aggregate_key_type="IP", limit=limit, evaluation_window_sec=WINDOW
            )
        ),
        visibility_config=_visible("RatePerAddress"),
    )


def _managed(
    priority: int, name: str, counted: tuple[str, ...] = ()
) -> wafv2.CfnWebACL.RuleProperty:
    """A rule group of AWS's that blocks, but for some rules that count."""
    overrides = counted if name == "AWSManagedRulesKnownBadInputsRuleSet" else ()
    return _group(priority, name, {"none": {}}, overrides)


def _counted(priority: int, name: str) -> wafv2.CfnWebACL.RuleProperty:
    return _group(priority, name, {"count": {}}, ())


def _group(
    priority: int, name: str, action: dict[str, object], counted: tuple[str, ...]
) -> wafv2.CfnWebACL.RuleProperty:
    acl = wafv2.CfnWebACL
    return acl.RuleProperty(
        name=name,
        priority=priority,
        override_action=acl.OverrideActionProperty(**action),
        statement=acl.StatementProperty(
            managed_rule_group_statement=acl.ManagedRuleGroupStatementProperty(
                vendor_name="AWS",
                name=name,
                rule_action_overrides=[
                    acl.RuleActionOverrideProperty(
                        name=rule, action_to_use=acl.RuleActionProperty(count={})
                    )
                    for rule in counted
                ]
                or None,
            )
        ),
        visibility_config=_visible(name),
    )


def _visible(name: str) -> wafv2.CfnWebACL.VisibilityConfigProperty:
    return wafv2.CfnWebACL.VisibilityConfigProperty(
        cloud_watch_metrics_enabled=True, metric_name=name, sampled_requests_enabled=False
    )
