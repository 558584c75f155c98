"""Routers' figures on cases small enough to work out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from mlops import frontier

QUALITY = np.array([[1.0, 1.0], [0.0, 1.0], [1.0, 0.0], [0.0, 1.0]])
"""Four queries to a cheap and a dear model: means 0.5 and 0.75."""
COST = np.array([1.0, 4.0])


def test_the_baselines_are_what_simple_deciders_reach():
    found = frontier.baselines(QUALITY, COST)
    assert found["random"] == frontier.Baseline(0.625, 2.5)
    assert found["best_single"] == frontier.Baseline(0.75, 4.0, 1)
    assert found["cheapest"] == frontier.Baseline(0.5, 1.0, 0)
    # Two queries are answered as well by the cheap model.
    assert found["oracle"] == frontier.Baseline(1.0, 2.5)


def test_the_best_single_model_is_the_one_that_training_data_told():
    assert frontier.baselines(QUALITY, COST, best=0)["best_single"].quality == 0.5


def test_a_weight_gives_up_quality_for_the_cost_of_the_dearest_answer():
    expected = np.array([[0.5, 0.6], [0.1, 0.9]])
    assert frontier.choose(expected, COST, 0.0).tolist() == [1, 1]
    # The dear model costs 0.75 more of itself: 0.2 of that is worth 0.15.
    assert frontier.choose(expected, COST, 0.2).tolist() == [0, 1]
    assert frontier.choose(expected, COST, 2.0).tolist() == [0, 0]


def test_the_frontier_leads_from_quality_to_cost():
    points = frontier.frontier_of(QUALITY, COST, QUALITY)
    assert points.quality[0] == 1.0
    assert points.cost[0] == 1.0 + 3.0 * 2 / 4
    assert points.cost[-1] == 1.0
    assert points.quality[-1] == 0.5
    assert (np.diff(points.cost) <= 0).all()
    assert frontier.cost_at_quality(points, 0.75) == 2.5
    assert frontier.quality_at_cost(points, 4.0) == 1.0
    assert np.isnan(frontier.cost_at_quality(points, 1.1))
    assert np.isnan(frontier.quality_at_cost(points, 0.5))


def test_costs_may_differ_by_query():
    cost = np.array([[1.0, 2.0], [1.0, 10.0], [0.0, 0.0], [3.0, 4.0]])
    assert frontier.mean_cost(cost, np.array([1, 1, 0, 0])) == (2 + 10 + 0 + 3) / 4
    assert frontier.relative_cost(cost)[1].tolist() == [0.1, 1.0]
    assert frontier.relative_cost(cost)[2].tolist() == [0.0, 0.0]


def test_what_was_not_measured_does_not_count():
    quality = np.array([[np.nan, 1.0], [0.5, np.nan], [0.0, 1.0]])
    assert frontier.mean_quality(quality, np.array([0, 0, 1])) == 0.75
    assert frontier.oracle(quality, COST).tolist() == [1, 0, 1]
    assert frontier.regret(quality, np.array([1, 0, 0])) == pytest.approx(1 / 3)
    assert frontier.oracle_accuracy(quality, np.array([1, 0, 0])) == pytest.approx(2 / 3)


def test_the_oracle_has_no_regret_and_the_opposite_has_all():
    best = frontier.oracle(QUALITY, COST)
    assert frontier.regret(QUALITY, best) == 0
    assert frontier.oracle_accuracy(QUALITY, best) == 1
    worst = np.argmin(QUALITY, axis=1)
    assert frontier.regret(QUALITY, worst) == 0.75


WEAK, STRONG = QUALITY[:, 0], QUALITY[:, 1]
"""What the strong model adds: 0, 1, -1, 1."""


def test_apgr_of_no_preference_is_a_half():
    assert frontier.apgr(WEAK, STRONG, np.zeros(4)) == 0.5
    assert frontier.cpt(WEAK, STRONG, np.zeros(4), 0.8) == pytest.approx(0.8)


def test_apgr_of_random_preferences_is_a_half_on_average():
    generator = np.random.default_rng(0)
    found = [frontier.apgr(WEAK, STRONG, generator.random(4)) for _ in range(4000)]
    assert np.mean(found) == pytest.approx(0.5, abs=0.03)


def test_apgr_of_the_oracle_is_the_area_below_its_curve():
    calls, recovered = frontier.gap_recovered(WEAK, STRONG, STRONG - WEAK)
    # Both gains at once, then the query that makes no difference, then the loss.
    assert calls.tolist() == [0.0, 0.5, 0.75, 1.0]
    assert recovered.tolist() == [0.0, 2.0, 2.0, 1.0]
    assert frontier.apgr(WEAK, STRONG, STRONG - WEAK) == pytest.approx(0.5 + 0.5 + 0.375)
    assert frontier.cpt(WEAK, STRONG, STRONG - WEAK, 0.5) == pytest.approx(0.125)
    assert frontier.cpt(WEAK, STRONG, STRONG - WEAK, 0.8) == pytest.approx(0.2)


def test_apgr_of_the_opposite_of_the_oracle_mirrors_it():
    opposite = frontier.apgr(WEAK, STRONG, WEAK - STRONG)
    assert opposite == pytest.approx(1 - frontier.apgr(WEAK, STRONG, STRONG - WEAK))


def test_a_gap_that_only_all_strong_calls_recover_has_the_threshold_one():
    assert frontier.cpt(np.array([0.0, 0.0]), np.ones(2), np.array([1.0, 2.0]), 1.0) == 1.0


def test_two_equal_models_have_no_gap():
    with pytest.raises(ValueError, match="equally good"):
        frontier.apgr(WEAK, WEAK, np.zeros(4))


def test_intervals_are_the_same_for_a_seed_and_hold_the_mean():
    values = np.random.default_rng(1).random(400)
    first, second = (
        frontier.bootstrap(lambda rows: float(values[rows].mean()), 400, seed=3) for _ in range(2)
    )
    assert first == second
    low, high = first
    assert low < values.mean() < high
    # About two standard errors to each side: 0.29 / 20.
    assert high - low == pytest.approx(4 * values.std() / 20, rel=0.15)
