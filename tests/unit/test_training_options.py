"""What the trainers of `trunkline-…` strategies take as a configuration."""

from __future__ import annotations

import pytest

from mlops.training.configured import configured

DEFAULTS = {"model": "ensemble", "alpha": "auto", "epochs": 3, "dropout": 0.5}
CHOICES = {"model": ("ensemble", "ridge")}


def test_what_is_not_said_has_its_default():
    found = configured("it", {"model": "ridge", "alpha": 20, "dropout": 0}, DEFAULTS, CHOICES)
    assert found == {"model": "ridge", "alpha": 20, "epochs": 3, "dropout": 0}
    assert configured("it", {"alpha": "auto"}, DEFAULTS, CHOICES) == DEFAULTS


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"model": "forest"}, "it: model must be one of ensemble, ridge, not 'forest'"),
        ({"alpha": -1}, "it: alpha must be a number from 0 or 'auto', not -1"),
        ({"alpha": "much"}, "it: alpha must be a number from 0 or 'auto', not 'much'"),
        ({"alpha": float("nan")}, "it: alpha must be a number from 0 or 'auto', not nan"),
        ({"epochs": 2.5}, "it: epochs must be a whole number from 1, not 2.5"),
        ({"epochs": 0}, "it: epochs must be a whole number from 1, not 0"),
        ({"epochs": True}, "it: epochs must be a whole number from 1, not True"),
        ({"depth": 2}, "it has no hyperparameter 'depth'; it has model, alpha, epochs, dropout"),
    ],
)
def test_a_wrong_hyperparameter_is_named(config, said):
    with pytest.raises(ValueError, match="it") as error:
        configured("it", config, DEFAULTS, CHOICES)
    assert str(error.value) == said
