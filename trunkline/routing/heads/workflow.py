"""What ranks models where a strategy that talks to them can't: no conversation to answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ...errors import BundleError
from ..strength import by_strength
from ..workflows.confidence import rule_of
from .constant import Constant
from .head import HeadArgs

if TYPE_CHECKING:
    from ..bundles.reading import Bundle


class StrongestHead(Constant):
    """The strongest model first. Needs no tensors."""

    strongest_first = True

    def __init__(self, bundle: Bundle, args: HeadArgs) -> None:
        try:
            order = by_strength(bundle.manifest.labels, strongest_first=self.strongest_first)
        except ValueError as error:
            raise BundleError(str(error)) from None
        places = [order.index(name) for name in bundle.labels]
        super().__init__(-np.array(places, np.float32))


class AutomixHead(StrongestHead):
    """The weakest model first, which is asked first. Parameters: those of `rule_of`."""

    strongest_first = False

    def __init__(self, bundle: Bundle, args: HeadArgs) -> None:
        super().__init__(bundle, args)
        rule_of(bundle.manifest.parameters, args.args, bundle.labels)
