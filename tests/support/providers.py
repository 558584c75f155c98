"""Fake providers that the tests of a module share."""

from __future__ import annotations

from typing import Any, TypeVar

from tests.fakes import FakeProvider

Provider = TypeVar("Provider", bound=FakeProvider)


class Providers:
    """Starts fakes and ends all that it started: `openai = fakes(FakeOpenAI, keys=["k"])`."""

    def __init__(self) -> None:
        self.started: list[FakeProvider] = []

    def __call__(self, kind: type[Provider], **options: Any) -> Provider:
        """Start one; the options are the fake's own."""
        fake = kind(**options).start()
        self.started.append(fake)
        return fake

    def reset(self) -> None:
        """Forget what earlier tests sent, scripted and broke."""
        for fake in self.started:
            fake.reset()

    def stop_all(self) -> None:
        for fake in self.started:
            fake.stop()
