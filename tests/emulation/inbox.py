"""Who is told by the alarms' topic: a queue that is subscribed to it."""

from __future__ import annotations

import json
from dataclasses import dataclass, field

from .emulated import AWS
from .progress import until

NAME = "people-who-are-told"


@dataclass
class Inbox:
    """heard: every message so far."""

    aws: AWS
    heard: list[str] = field(default_factory=list)
    _url: str = ""

    def subscribe(self, topic: str) -> None:
        queues = self.aws.client("sqs")
        self._url = queues.create_queue(QueueName=NAME)["QueueUrl"]
        wanted = queues.get_queue_attributes(QueueUrl=self._url, AttributeNames=["QueueArn"])
        arn = wanted["Attributes"]["QueueArn"]
        allowed = {
            "Effect": "Allow",
            "Principal": {"Service": "sns.amazonaws.com"},
            "Action": "sqs:SendMessage",
            "Resource": arn,
        }
        policy = json.dumps({"Version": "2012-10-17", "Statement": [allowed]})
        queues.set_queue_attributes(QueueUrl=self._url, Attributes={"Policy": policy})
        self.aws.client("sns").subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)

    def told(self, text: str) -> str:
        """Waits for a message that holds the text; the first line of it."""
        until(lambda: self._found(text), f"SNS tells of {text}")
        return self._found(text).splitlines()[0]

    def _found(self, text: str) -> str:
        answer = self.aws.client("sqs").receive_message(QueueUrl=self._url, MaxNumberOfMessages=10)
        for message in answer.get("Messages", []):
            self.heard.append(json.loads(message["Body"])["Message"])
        return next((heard for heard in self.heard if text in heard), "")
