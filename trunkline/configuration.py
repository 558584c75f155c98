"""A configuration that lives: where it comes from, how it is checked, and what watches it.

`config check`, the start, and every reload read it by `build`, so that all three say the same.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import field
from hashlib import sha256
from pathlib import Path

from .dataclass import dataclass
from .errors import BundleError, ConfigError
from .live.bundles import copies_folder, share
from .live.config_files import ConfigFiles
from .live.depot import FOLLOWED
from .live.last_good import LastGood
from .live.places import is_remote, source_of
from .live.secrets_manager import SecretsManager
from .live.sources import NotNow, Source, SourceError
from .live.steps import Steps
from .live.versions import Versions
from .live.watch import Held, Watch
from .settings import Settings, load
from .settings.certificates import unusable
from .settings.document import MOST_BYTES
from .settings.files import LIST, Alone, Copied, Files
from .settings.managed import SecretsError, Unread
from .telemetry.metrics import Metrics

log = logging.getLogger("trunkline.live")

WATCHED = "configuration"
"""What status and metrics call it."""

Refuses = Callable[[Settings], str | None]
"""Why a configuration can't be served here, however sound it is; None where it can."""


class Refused(BundleError):
    """A configuration that can't be served: a line for each reason."""


@dataclass(frozen=True, slots=True)
class Read:
    """A configuration as it was read.

    digest: of the files, for people. exported: what the process's environment is to have beside its
    own. secret: what no log may show.
    """

    settings: Settings
    digest: str
    exported: Mapping[str, str] = field(default_factory=dict, repr=False)
    secret: frozenset[str] = field(default=frozenset(), repr=False)


class Configuration:
    """place: a path, `s3://bucket/key`, `gs://bucket/object`, or `…/active.json`, a pointer.

    environ: of the process, as it was started. refuses: see `Refuses`. fit: makes it fit for this
    kind of process.
    """

    def __init__(
        self,
        place: str,
        environ: Mapping[str, str],
        *,
        refuses: Refuses = lambda settings: None,
        fit: Callable[[Settings], Settings] = lambda settings: settings,
    ) -> None:
        self.place = place
        self.environ = dict(environ)
        self.vault = SecretsManager(environ)
        self._refuses = refuses
        self._fit = fit
        self._held: Held[Read] | None = None
        self._error: Exception | None = None

    @property
    def fetched(self) -> bool:
        """Whether a copy is read: what is there isn't a file of this machine, or may be another."""
        return is_remote(self.place) or self.place.endswith(FOLLOWED)

    def is_watched(self, settings: Settings) -> bool:
        """Whether it may change while the process runs."""
        return self.fetched or self.vault.used or settings.general_settings.config_hot_reload

    # At the start

    def read(self) -> Settings:
        """What is there now. Raises ConfigError, Refused, and BundleError where it can't be had."""
        if not self.fetched:
            return self._checked(Path(self.place), None)
        with share() as folder:
            try:
                fetched = self._source().fetch(None, Path(folder) / "copy")
            except SourceError as error:
                raise Refused(str(error)) from None
            assert fetched is not None
            return self._built(fetched.path).settings

    def begin(self, shared: Path) -> Read:
        """What to serve; where that is elsewhere and can't be had, the last good copy.

        For the process that others are forked from. shared: see `live.bundles.share`. Raises what
        `read` raises.
        """
        if not self.fetched:
            settings = self._checked(Path(self.place), None)
            if not self.is_watched(settings):
                return self._told(settings, "")
        return self._load(shared, copies=copies_folder(self.environ))

    def _load(self, shared: Path, copies: Path | None) -> Read:
        async def load() -> Read:
            watch = self._watch(shared, copies, Metrics(), lambda read: None, None)
            read = await watch.load()
            self._held, self._error = watch.held, None
            if problem := watch.status().last_error:
                self.problem = problem
            return read

        # What goes wrong is told by who asked, once.
        log.disabled = True
        try:
            return asyncio.run(load())
        except BundleError as error:
            if self._error is not None and str(self._error) == str(error):
                raise self._error from None
            raise
        finally:
            log.disabled = False

    problem: str | None = None
    """Why `begin` took a copy of an earlier run; None where it didn't."""

    # While it is served

    def watch(
        self,
        shared: Path,
        metrics: Metrics,
        swap: Callable[[Read], None],
        ready: Callable[[Read], Awaitable[None]],
    ) -> Watch[Read]:
        """What watches it in one process; `load` it, then `start` it, and `stop` it in the end.

        Raises ValueError for a URL that names no object.
        """
        watch = self._watch(shared, copies_folder(self.environ), metrics, swap, ready)
        watch.begin_with(self._held)
        return watch

    def _watch(
        self,
        shared: Path,
        copies: Path | None,
        metrics: Metrics,
        swap: Callable[[Read], None],
        ready: Callable[[Read], Awaitable[None]] | None,
    ) -> Watch[Read]:
        key = sha256(f"{WATCHED}\n{self.place}".encode()).hexdigest()[:16]
        steps = Steps(self.build, lambda read: None, swap, lambda read: read.digest, ready)
        kept = LastGood(copies / key) if self.fetched and copies is not None else None
        return Watch(
            WATCHED,
            self._source(),
            Versions(shared / key),
            steps,
            last_good=kept,
            interval=None,
            metrics=metrics,
        )

    def _source(self) -> Source:
        if not self.fetched:
            return ConfigFiles(Path(self.place))
        try:
            return source_of(self.place, MOST_BYTES)
        except ValueError as error:
            raise Refused(str(error)) from None

    # Reading

    def build(self, copy: Path) -> Read:
        """What a copy of the configuration's files says. Raises BundleError with every fault."""
        try:
            return self._built(copy)
        except ConfigError as error:
            self._error = error
            kind = NotNow if isinstance(error, Unread) else BundleError
            raise kind(str(error)) from None
        except BundleError as error:
            self._error = error
            raise

    def _built(self, copy: Path) -> Read:
        files: Files = Copied(copy) if (copy / LIST).is_file() else Alone(self.place, copy)
        # Nothing lies beside an object: what it names starts from where the process was started.
        path = Path.cwd() / "config.yaml" if files.alone else Path(self.place)
        return self._told(self._checked(path, files), _digest(copy))

    def _checked(self, path: Path, files: Files | None) -> Settings:
        """Raises ConfigError, Refused; NotNow where secrets can't be read."""
        try:
            known = {**self.vault.environment(), **self.environ}
        except SecretsError as error:
            raise NotNow(f"TRUNKLINE_SECRETS: {error}") from None
        settings = self._fit(load(path, known, files=files, vault=self.vault))
        environ = {**known, **settings.environment}
        problems = [*unusable(settings.litellm_settings, environ)]
        if problem := self._refuses(settings):
            problems.append(problem)
        if problems:
            raise Refused("\n".join(problems))
        return settings

    def _told(self, settings: Settings, digest: str) -> Read:
        more = {n: v for n, v in self.vault.environment().items() if n not in self.environ}
        exported = {**more, **settings.environment}
        return Read(settings, digest, exported, frozenset(self.vault.values()))


def unguarded(settings: Settings) -> str | None:
    """Why a configuration can't be served to everybody who reaches it; None where it can."""
    general = settings.general_settings
    if general.master_key or general.allow_unauthenticated:
        return None
    return (
        "no general_settings.master_key is configured, so anybody who reaches the API could use"
        " every provider key: set one, or general_settings.allow_unauthenticated: true"
    )


def _digest(copy: Path) -> str:
    return sha256(b"".join(_contents(copy))).hexdigest()[:12]


def _contents(copy: Path) -> Iterator[bytes]:
    if copy.is_file():
        yield copy.read_bytes()
        return
    for each in sorted(copy.iterdir()):
        yield each.read_bytes()
