"""The tensors of a bundle, taken one by one with a check of everything that a head relies on."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ...errors import BundleError
from .manifest import WEIGHTS

if TYPE_CHECKING:
    import numpy as np

KINDS = {"F": "float16 or float32", "I": "an integer type"}
_DTYPES = {
    "F": frozenset({"float16", "float32"}),
    "I": frozenset({"int8", "int16", "int32", "int64", "uint8", "uint16", "uint32"}),
}


class Weights:
    """Tensors by name. Sizes that a shape names by a letter must agree over all that are taken.

        weights = read(data, {"labels": 9})
        points = weights.take("points", "F", "n", 256)
        scores = weights.take("scores", "F", "n", "labels")

    sizes: what each name of a dimension stands for so far. No dimension may be empty.
    """

    def __init__(self, tensors: Mapping[str, Any], sizes: Mapping[str, int]) -> None:
        self._tensors = dict(tensors)
        self.sizes = dict(sizes)

    def has(self, name: str) -> bool:
        return name in self._tensors

    def shapes(self) -> dict[str, str]:
        """Type and shape of every tensor, in words."""
        return {
            name: f"{tensor.dtype}{list(tensor.shape)}" for name, tensor in self._tensors.items()
        }

    def take(self, name: str, kind: str, *shape: str | int) -> np.ndarray:
        """A tensor, checked, read-only, contiguous; floats as float32, integers as they are.

        kind: "F" for floats, "I" for integers. shape: each dimension's size, or a name for it.

        Raises BundleError where it is missing, of another type or shape, or not finite.
        """
        import numpy as np  # noqa: PLC0415 - only where a bundle is loaded

        tensor = self._tensors.get(name)
        if tensor is None:
            raise BundleError(f"{WEIGHTS}: the tensor {name!r} is missing")
        if str(tensor.dtype) not in _DTYPES[kind]:
            raise BundleError(f"{WEIGHTS}: {name!r} must be {KINDS[kind]}, not {tensor.dtype}")
        self._bind(name, tensor.shape, shape)
        if kind == "F":
            tensor = np.ascontiguousarray(tensor, dtype=np.float32)
            if not np.isfinite(tensor).all():
                raise BundleError(f"{WEIGHTS}: {name!r} holds numbers that are not finite")
        tensor.flags.writeable = False
        return tensor

    def _bind(self, name: str, found: tuple[int, ...], shape: tuple[str | int, ...]) -> None:
        sizes = dict(self.sizes)
        fits = len(found) == len(shape) and 0 not in found
        for size, here in zip(shape, found, strict=False):
            wanted = sizes.setdefault(size, here) if isinstance(size, str) else size
            fits = fits and wanted == here
        if not fits:
            written = ", ".join(map(str, shape))
            known = {
                size: self.sizes[size]
                for size in shape
                if isinstance(size, str) and size in self.sizes
            }
            where = f" with {known}" if known else ""
            raise BundleError(
                f"{WEIGHTS}: {name!r} must have the shape ({written}){where}, not {found}"
            )
        self.sizes = sizes


def read(data: bytes, sizes: Mapping[str, int]) -> Weights:
    """The tensors in the bytes of a safetensors file. Raises BundleError.

    sizes: of dimensions that are known already.
    """
    from safetensors import SafetensorError  # noqa: PLC0415
    from safetensors.numpy import load  # noqa: PLC0415

    try:
        return Weights(load(data), sizes)
    except (SafetensorError, KeyError, ValueError, TypeError, json.JSONDecodeError) as error:
        raise BundleError(f"{WEIGHTS} can't be read: {error}") from None
