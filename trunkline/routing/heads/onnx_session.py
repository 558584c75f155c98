"""A bundle's neural network, run by onnxruntime, and the tokenizer that reads texts for it."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np

from ...errors import BundleError

if TYPE_CHECKING:
    from tokenizers import Encoding, Tokenizer

    from ..bundles.reading import Bundle

TOKENIZER = "tokenizer.json"
INPUT = "input_ids"
FLOATS = {"tensor(float)", "tensor(float16)", "tensor(double)"}


class OnnxNetwork:
    """From token ids, int64[1, tokens], to one vector, float[1, width], of a text.

    Runs on one thread of the CPU; threads may share it. file: its name in the bundle. output: the
    name of what it computes.
    """

    def __init__(self, bundle: Bundle, file: str, output: str) -> None:
        self._file, self._output = file, output
        self._session = _session(file, _bytes(bundle, file))
        self._check()

    def __call__(self, ids: list[int]) -> np.ndarray:
        """float32[width]. Raises BundleError where it fails or a number isn't finite."""
        try:
            found = self._session.run([self._output], {INPUT: np.array([ids], dtype=np.int64)})[0]
        except Exception as error:  # noqa: BLE001 - onnxruntime's errors have no base class
            raise BundleError(f"{self._file} can't be run: {_first_line(error)}") from None
        if found.ndim != 2 or len(found) != 1:
            raise BundleError(f"{self._file}: {self._output} has the shape {found.shape}")
        vector: np.ndarray = found[0].astype(np.float32, copy=False)
        if not np.isfinite(vector).all():
            raise BundleError(f"{self._file}: {self._output} holds numbers that are not finite")
        return vector

    def _check(self) -> None:
        inputs, outputs = self._session.get_inputs(), self._session.get_outputs()
        if [(each.name, each.type) for each in inputs] != [(INPUT, "tensor(int64)")]:
            raise BundleError(
                f"{self._file} must take {INPUT!r} of int64 alone, not {_listed(inputs)}"
            )
        if len(inputs[0].shape) != 2 or isinstance(inputs[0].shape[1], int):
            raise BundleError(
                f"{self._file}: {INPUT!r} must have the shape (1, any number of tokens), not"
                f" {tuple(inputs[0].shape)}"
            )
        given = next((each for each in outputs if each.name == self._output), None)
        if given is None or given.type not in FLOATS:
            raise BundleError(
                f"{self._file} must give {self._output!r} of floats, not {_listed(outputs)}"
            )


def tokenizer(bundle: Bundle) -> Tokenizer:
    """The bundle's tokenizer, which neither pads nor cuts. Raises BundleError."""
    from tokenizers import Tokenizer  # noqa: PLC0415 - only where a bundle needs it

    try:
        made: Tokenizer = Tokenizer.from_str(_bytes(bundle, TOKENIZER).decode())
    except BundleError:
        raise
    except Exception as error:  # noqa: BLE001 - tokenizers raises nothing narrower
        raise BundleError(f"{TOKENIZER} can't be read: {_first_line(error)}") from None
    made.no_padding()
    made.no_truncation()
    return made


def encode(tokenizer: Tokenizer, text: str) -> Encoding:
    """A text's tokens with those that the tokenizer adds; of halves of surrogates as of "?"."""
    return tokenizer.encode(text.encode("utf-8", "replace").decode())


def _bytes(bundle: Bundle, file: str) -> bytes:
    if file not in bundle.files:
        raise BundleError(f"the file {file!r} is missing, which {bundle.manifest.strategy} needs")
    return bundle.files[file]


def _session(file: str, model: bytes) -> Any:
    try:
        onnxruntime = import_module("onnxruntime")
    except ImportError:
        raise BundleError(
            f"{file} is run by onnxruntime, which isn't installed: pip install 'trunkline[onnx]'"
        ) from None
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4
    try:
        return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # noqa: BLE001 - onnxruntime's errors have no base class
        raise BundleError(f"{file} can't be loaded: {_first_line(error)}") from None


def _listed(found: Any) -> str:
    return ", ".join(f"{each.name!r} of {each.type}" for each in found) or "nothing"


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
