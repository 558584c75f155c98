"""From a bundle on disk to what decides: its head, its embedder, and the proof that they work."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import field, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from ..call import Deployment
from ..dataclass import dataclass
from ..errors import BundleError
from ..settings import Settings
from ..settings.learned import LearnedArgs, located
from ..settings.strategies import LEARNED
from .bundles.manifest import Manifest, Training
from .bundles.reading import Bundle, Trust, read_bundle
from .bundles.weights import Weights
from .candidates_file import Described, read_candidates
from .embedding.embedder import Embedder, EmbedderError
from .heads.head import Head, HeadArgs, Query
from .labels import check_labels
from .trial import Trial

if TYPE_CHECKING:
    import numpy as np

MEBIBYTE = 1024 * 1024

CANARIES = (
    "What is the capital of France?",
    "Prove that the square root of 2 is irrational.",
    "def fibonacci(n):\n    # complete the function",
    "Wie spät ist es in Tokio, wenn es in Berlin Mittag ist?",
    "مرحبا، كيف حالك؟",
    "🙂",
    "\x00",
    "word " * 2000,
)
"""What a bundle must decide on before it serves."""


@dataclass(frozen=True, slots=True, eq=False)
class Loaded:
    """A bundle that is ready to decide.

    strategy: the name in force. version: told in headers and logs. digest: of its manifest.
    labels: names, in the order of the scores. described: what is known about each.
    trial: of another bundle beside it, if there is one.
    """

    strategy: str
    version: str
    digest: str
    labels: tuple[str, ...]
    head: Head = field(repr=False)
    embedder: Embedder | None = field(repr=False)
    described: Mapping[str, Described] = field(repr=False)
    manifest: Manifest = field(repr=False)
    trial: Trial | None = None

    @property
    def title(self) -> str:
        """What status and logs call it, with the candidate beside it."""
        trial = self.trial
        if trial is None or trial.candidate is None:
            return self.version
        return f"{self.version} ({trial.candidate.version} for {trial.share:.0%})"

    @property
    def blocking(self) -> bool:
        """Whether a decision takes milliseconds, and so has to be made off the event loop."""
        return self.head.blocking or (self.embedder is not None and self.embedder.blocking)

    def scores(self, text: str, user: str = "", cost_weight: float | None = None) -> np.ndarray:
        """float[labels]: the higher the better. Among equals the first label wins."""
        embedding = self.embedder.embed(text) if self.embedder is not None else None
        return self.head.scores(Query(text, embedding, user, cost_weight))


@dataclass(frozen=True, slots=True, eq=False)
class Loader:
    """Builds what a learned strategy decides with, as one configuration says.

    head: makes a bundle's head. embed: makes an embedder by its name and folder.
    """

    strategy: str
    args: LearnedArgs
    base: Path
    deployments: tuple[Deployment, ...]
    trust: Trust
    described: Mapping[str, Described]
    head: Callable[[Bundle, HeadArgs], Head]
    embed: Callable[[str, Path | None], Embedder]

    @classmethod
    def of(cls, settings: Settings, deployments: Iterable[Deployment]) -> Loader:
        """Raises BundleError for a key or a candidates file that can't be used."""
        # numpy and cryptography load where they are needed.
        from .bundles.signing import public_key  # noqa: PLC0415
        from .heads.table import head  # noqa: PLC0415

        general, args = settings.general_settings, settings.router_settings.learned
        assert args is not None
        base = settings.source.parent
        described = read_candidates(located(base, args.llm_data_path)) if args.llm_data_path else {}
        return cls(
            strategy=settings.router_settings.routing_strategy,
            args=args,
            base=base,
            deployments=tuple(deployments),
            trust=Trust(
                tuple(public_key(text, base) for text in general.bundle_public_keys),
                int(general.bundle_size_limit_mb * MEBIBYTE),
            ),
            described=described,
            head=head,
            embed=lru_cache(maxsize=1)(_embedder),  # a reload goes on with the same one
        )

    def load(self, path: Path | None) -> Loaded:
        """What decides by the bundle at a path; without one, by the candidates file alone.

        Raises BundleError. Takes up to seconds. What it gives is not tried yet: see `check`.
        """
        bundle = read_bundle(path, self.trust) if path else _of_candidates(self)
        try:
            return self._loaded(bundle)
        except BundleError as error:
            raise BundleError(f"{path}: {error}" if path else str(error)) from None

    def _loaded(self, bundle: Bundle) -> Loaded:
        bundle = _with_candidates(bundle, self.described)
        manifest = bundle.manifest
        _check_strategy(self.strategy, manifest)
        check_labels(self.deployments, bundle.labels)
        head = self.head(bundle, HeadArgs(self.args.cost_weight, self.args.all))
        return Loaded(
            strategy=self.strategy,
            version=manifest.version,
            digest=bundle.digest,
            labels=bundle.labels,
            head=head,
            embedder=self._embedder(manifest) if head.embeds else None,
            described={
                label.name: self.described.get(label.name, Described(label))
                for label in manifest.labels
            },
            manifest=manifest,
        )

    def _embedder(self, manifest: Manifest) -> Embedder:
        used = manifest.embedder
        if used is None:
            raise BundleError("manifest.json: the strategy needs an embedder, and none is named")
        folder = located(self.base, self.args.embedder_path) if self.args.embedder_path else None
        try:
            made = self.embed(self.args.embedder, folder)
        except EmbedderError as error:
            raise BundleError(str(error)) from None
        if (made.sha256, made.max_tokens, made.dimension) != (
            used.sha256,
            used.max_tokens,
            used.dimension,
        ):
            raise BundleError(
                f"it was trained with the embedder {used.id} ({used.sha256[:12]}…,"
                f" {used.dimension} dimensions, {used.max_tokens} tokens), and the one configured"
                f" is {made.id} ({made.sha256[:12]}…, {made.dimension}, {made.max_tokens})"
            )
        return made


def _embedder(name: str, folder: Path | None) -> Embedder:
    from .embedding.cached import Cached  # noqa: PLC0415
    from .embedding.known import embedder  # noqa: PLC0415

    return Cached(embedder(name, folder))


def check(loaded: Loaded) -> None:
    """Lets it decide on every canary. Raises BundleError where a score isn't a finite number."""
    import numpy as np  # noqa: PLC0415

    for text in CANARIES:
        scores = loaded.scores(text)
        if scores.shape != (len(loaded.labels),) or not np.isfinite(scores).all():
            raise BundleError("it gives no finite score for each label to a canary query")


def _check_strategy(strategy: str, manifest: Manifest) -> None:
    # A workflow routes what it asks by a bundle of the strategy that it is built upon.
    accepted = {strategy, strategy.replace("-multiround", "")}
    if manifest.strategy not in accepted:
        raise BundleError(
            f"manifest.json: it is a bundle of {manifest.strategy}, and the configuration says"
            f" {strategy}"
        )


def _with_candidates(bundle: Bundle, described: Mapping[str, Described]) -> Bundle:
    """The bundle with the candidates file's prices and sizes in the place of its own."""
    labels = tuple(
        label.model_copy(update=described[label.name].label.model_dump(exclude_none=True))
        if label.name in described
        else label
        for label in bundle.manifest.labels
    )
    return replace(bundle, manifest=bundle.manifest.model_copy(update={"labels": labels}))


def _of_candidates(loader: Loader) -> Bundle:
    """A bundle without numbers, of the models that the candidates file describes.

    Those that have no deployment are left out: such files list more than one gateway has.
    """
    from .labels import by_label  # noqa: PLC0415

    known = by_label(loader.deployments, loader.described)
    labels = tuple(each.label for name, each in loader.described.items() if name in known)
    if not labels:
        raise BundleError(f"{loader.args.llm_data_path}: it names no model that is deployed")
    assert LEARNED[loader.strategy].bundle == "optional"
    manifest = Manifest.model_construct(
        format_version=1,
        strategy=loader.strategy,
        version="candidates",
        created="1970-01-01",
        labels=labels,
        embedder=None,
        parameters={},
        libraries={},
        training=Training(sha256="0" * 64, queries=0, rows=0),
        evaluation={},
        files={},
    )
    return Bundle(manifest, Weights({}, {"labels": len(labels)}), "")
