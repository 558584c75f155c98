"""Which deployments a bundle's labels stand for: by exact name only, never by a guess.

For each label the first of these that any deployment has:

    1. `model_info.llmrouter_name`, which takes the place of the deployment's other names
    2. the model group, `model_name`
    3. LiteLLM's name of the model, `litellm_params.model`, with or without the provider
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from ..call import Deployment
from ..errors import BundleError

NAME = "llmrouter_name"

_OTHERS: tuple[Callable[[Deployment], Sequence[str]], ...] = (
    lambda deployment: (deployment.group,),
    lambda deployment: (deployment.model, deployment.upstream_model),
)


def by_label(
    deployments: Iterable[Deployment], labels: Iterable[str]
) -> dict[str, tuple[Deployment, ...]]:
    """The deployments of each label that has any."""
    own: dict[str, list[Deployment]] = {}
    others: list[Deployment] = []
    for deployment in deployments:
        name = deployment.info.get(NAME)
        if name is None:
            others.append(deployment)
        else:
            own.setdefault(str(name), []).append(deployment)
    indexes = [own, *(_index(others, names) for names in _OTHERS)]
    found: dict[str, tuple[Deployment, ...]] = {}
    for label in labels:
        members = next((index[label] for index in indexes if label in index), None)
        if members:
            found[label] = tuple(members)
    return found


def check_labels(deployments: Iterable[Deployment], labels: Sequence[str]) -> None:
    """Raises BundleError where a label stands for no deployment."""
    known = tuple(deployments)
    found = by_label(known, labels)
    strange = [label for label in labels if label not in found]
    if strange:
        groups = ", ".join(sorted({each.group for each in known})[:20]) or "none"
        raise BundleError(
            f"no deployment is called {', '.join(map(repr, strange))}: a label is the"
            f" model_info.{NAME}, the model_name or the litellm_params.model of a deployment"
            f" (model names: {groups})"
        )


def label_of(found: Mapping[str, Iterable[Deployment]]) -> dict[str, str]:
    """The label of each deployment, by the deployment's id; the first where it has several."""
    labels: dict[str, str] = {}
    for label, members in found.items():
        for deployment in members:
            labels.setdefault(deployment.id, label)
    return labels


def _index(
    deployments: Iterable[Deployment], names: Callable[[Deployment], Sequence[str]]
) -> dict[str, list[Deployment]]:
    index: dict[str, list[Deployment]] = {}
    for deployment in deployments:
        for name in dict.fromkeys(names(deployment)):
            index.setdefault(name, []).append(deployment)
    return index
