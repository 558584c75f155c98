"""A manifest's `parameters`, taken one by one with a check, and tensors that hold label numbers."""

from __future__ import annotations

import math
from collections.abc import Collection
from typing import TYPE_CHECKING, Any

from ...errors import BundleError
from ..bundles.manifest import MANIFEST, WEIGHTS

if TYPE_CHECKING:
    import numpy as np

    from ..bundles.reading import Bundle


def number(bundle: Bundle, name: str, low: float = -math.inf, high: float = math.inf) -> float:
    """A finite number from low to high, both included. Raises BundleError."""
    found = _found(bundle, name)
    if not isinstance(found, int | float) or isinstance(found, bool) or not math.isfinite(found):
        raise _wrong(name, "a number", found)
    if not low <= found <= high:
        raise _wrong(name, f"from {low} to {high}", found)
    return float(found)


def whole(bundle: Bundle, name: str, low: int, high: int) -> int:
    """A whole number from low to high, both included. Raises BundleError."""
    found = _found(bundle, name)
    if not isinstance(found, int) or isinstance(found, bool) or not low <= found <= high:
        raise _wrong(name, f"a whole number from {low} to {high}", found)
    return found


def choice(bundle: Bundle, name: str, options: Collection[str]) -> str:
    """One of the options. Raises BundleError."""
    found = _found(bundle, name)
    if not isinstance(found, str) or found not in options:
        raise _wrong(name, f"one of {', '.join(sorted(options))}", found)
    return found


def switch(bundle: Bundle, name: str) -> bool:
    """True or false. Raises BundleError."""
    found = _found(bundle, name)
    if not isinstance(found, bool):
        raise _wrong(name, "true or false", found)
    return found


def names(bundle: Bundle, name: str) -> tuple[str, ...]:
    """A list of texts, each once. Raises BundleError."""
    found = _found(bundle, name)
    if not isinstance(found, list) or not all(isinstance(each, str) for each in found):
        raise _wrong(name, "a list of texts", found)
    if len(set(found)) != len(found):
        raise BundleError(f"{MANIFEST}: parameters.{name} holds a text twice")
    return tuple(found)


def label_numbers(bundle: Bundle, name: str, size: str) -> np.ndarray:
    """A tensor [size] whose numbers are places in the manifest's labels. Raises BundleError."""
    import numpy as np  # noqa: PLC0415 - only where a bundle is loaded

    found = bundle.weights.take(name, "I", size).astype(np.intp)
    if found.min() < 0 or found.max() >= len(bundle.labels):
        raise BundleError(
            f"{WEIGHTS}: {name!r} must hold numbers from 0 to {len(bundle.labels) - 1}, one a label"
        )
    return found


def _found(bundle: Bundle, name: str) -> Any:
    if name not in bundle.manifest.parameters:
        raise BundleError(f"{MANIFEST}: parameters.{name} is missing")
    return bundle.manifest.parameters[name]


def _wrong(name: str, wanted: str, found: Any) -> BundleError:
    shown = repr(found)
    return BundleError(
        f"{MANIFEST}: parameters.{name} must be {wanted}, not {shown[:60]}"
        + ("…" if len(shown) > 60 else "")
    )
