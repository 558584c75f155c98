"""Whether an upload can be served, by the very code that serves it."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Final, Protocol

from ..call import Deployment
from ..configuration import Configuration, Refuses
from ..dataclass import dataclass
from ..errors import BundleError
from ..live.depot import EVALUATION, Depot
from ..live.pointer import Target
from ..live.snapshot import build_snapshot
from ..live.sources import NotNow
from ..routing.bundles.reading import SIZE_LIMIT, Trust, read_bundle
from ..routing.bundles.signing import public_key
from ..routing.embedding.embedder import Embedder
from ..routing.loading import Loaded, Loader, check
from ..settings import Settings
from ..settings.document import MOST_BYTES
from ..settings.schema import RouterSettings
from . import gate, in_force
from .gate import Evaluation
from .margins import USUAL, Margins
from .outcomes import Refused, RolloutError


class Judge(Protocol):
    """size_limit: bytes of an upload that is read at all."""

    @property
    def size_limit(self) -> int: ...

    def check(self, file: Path, key: str) -> str:
        """What an upload calls itself; empty for none. Raises Refused."""
        ...

    def compare(self, file: Path, current: Target, depot: Depot) -> str:
        """How it compares with what is in force, in words. Raises Refused."""
        ...


@dataclass(frozen=True, slots=True)
class BundleJudge:
    """settings: the configuration in force; None where none is known, so that labels aren't looked
    up. keys: whose signatures are accepted, in the place of the configuration's."""

    settings: Settings | None = None
    keys: Sequence[str] = ()
    margins: Margins = USUAL

    @property
    def size_limit(self) -> int:
        if self.settings is None:
            return SIZE_LIMIT
        return int(self.settings.general_settings.bundle_size_limit_mb * 1024 * 1024)

    def check(self, file: Path, key: str) -> str:
        try:
            loaded = self._load(file)
            check(loaded)
        except BundleError as error:
            raise Refused(str(error).replace(str(file), key)) from None
        return loaded.version

    def compare(self, file: Path, current: Target, depot: Depot) -> str:
        keys = [key for key in depot.listed(EVALUATION) if key.endswith(".jsonl")]
        if not keys:
            return ""
        with tempfile.TemporaryDirectory() as folder:
            before = Path(folder) / "current"
            depot.fetch(current, before, self.size_limit)
            evaluation = _evaluation(depot, keys, Path(folder))
            try:
                in_force = self._load(before)
            except BundleError as error:
                # What can't be served any more is no measure.
                return f"not compared: what is in force can't be used ({error})"
            return gate.check(evaluation, in_force, self._load(file), self.margins)

    def _load(self, file: Path) -> Loaded:
        """Raises BundleError."""
        settings = _without_keys(self.settings) if self.keys else self.settings
        if settings is not None and settings.router_settings.learned is not None:
            loader = Loader.of(settings, build_snapshot(settings, version=1).models)
        else:
            loader = self._loader_of(file)
        trust = self._trust(loader.trust)
        return replace(loader, trust=trust, embed=_embedder).load(file)

    def _loader_of(self, file: Path) -> Loader:
        """One that takes any strategy, and each label for a deployment's name."""
        manifest = read_bundle(file, self._trust(Trust(size_limit=self.size_limit))).manifest
        router = RouterSettings(routing_strategy=manifest.strategy)
        return Loader.of(Settings(router_settings=router), map(_named, manifest.names))

    def _trust(self, own: Trust) -> Trust:
        keys = tuple(public_key(text) for text in self.keys) or own.keys
        return Trust(keys, self.size_limit)


def _without_keys(settings: Settings | None) -> Settings | None:
    """The same; its keys may be files that are where gateways run."""
    if settings is None:
        return None
    general = settings.general_settings.model_copy(update={"bundle_public_keys": []})
    return settings.model_copy(update={"general_settings": general})


@lru_cache(maxsize=1)
def _embedder(name: str, folder: Path | None) -> Embedder:
    """The same for all that is judged."""
    from ..routing.embedding.known import embedder  # noqa: PLC0415 - only where one is needed

    return embedder(name, folder)


def _named(label: str) -> Deployment:
    return Deployment(label, label, label, "", label, {}, {})


def _evaluation(depot: Depot, keys: Sequence[str], folder: Path) -> Evaluation:
    files = []
    for number, key in enumerate(keys):
        file = folder / f"{number}.jsonl"
        depot.fetch(depot.look(key), file, SIZE_LIMIT)
        files.append(file)
    return gate.read(files)


@dataclass(frozen=True, slots=True)
class ConfigurationJudge:
    """environ: of those who will serve it, with the names of their secrets. refuses: see
    `Configuration`. assuming: see `in_force.read`."""

    environ: Mapping[str, str]
    refuses: Refuses = lambda settings: None
    assuming: bool = False
    size_limit: int = MOST_BYTES

    def check(self, file: Path, key: str) -> str:
        def by(environ: Mapping[str, str]) -> Settings:
            return Configuration(key, environ, refuses=self.refuses).build(file).settings

        try:
            settings = in_force.read(by, self.environ, assuming=self.assuming)
            build_snapshot(settings, version=1)
            _try(settings)
        except NotNow as error:
            raise RolloutError(str(error)) from None
        except BundleError as error:
            raise Refused(str(error)) from None
        return ""

    def compare(self, file: Path, current: Target, depot: Depot) -> str:
        return ""


def _try(settings: Settings) -> None:
    from ..learning import try_bundle  # noqa: PLC0415 - numpy loads only where it is needed

    asyncio.run(try_bundle(settings))


SUFFIXES: Final[Mapping[str, str]] = {
    ".tar": "bundle",
    ".yaml": "configuration",
    ".yml": "configuration",
}


def kind_of(key: str) -> str:
    """What an upload is by its name: "bundle", "configuration". Raises RolloutError."""
    try:
        return SUFFIXES[Path(key).suffix]
    except KeyError:
        known = ", ".join(SUFFIXES)
        raise RolloutError(f"{key}: nothing that is rolled out ends so ({known} do)") from None
