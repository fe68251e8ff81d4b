"""A cohort of diabetic patients from a minimal model of glucose, with steady and labile ones."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from deepwright.core.randomness import derive_seed
from deepwright.core.requirements import require_whole
from deepwright.data.windows import Stream

CHANNELS = ("glucose", "insulin on board", "carbs on board")
STEP = 5
"""Minutes from one sample to the next."""
_KA, _KG, _N, _P2 = 0.02, 0.02, 0.1, 0.025
_MEALS = ((7.5, 35.0), (12.5, 50.0), (19.0, 55.0))  # hour, grams
_FLOOR, _LOW, _HIGH = 35.0, 65.0, 220.0
_SENSOR, _SENSOR_SD, _RANGE = 0.7, 1.5, (40.0, 400.0)
_TAU_INSULIN, _TAU_CARBS = 90.0, 60.0


@dataclass(frozen=True)
class _Kind:
    """How a patient lives.

    Attributes:
        p1: glucose effectiveness, 1 / min.
        basal: range of the resting glucose, mg / dL.
        dose_error: relative deviation of a bolus.
        skip: probability that a bolus is forgotten.
        meal_sd: relative deviation of a meal.
        snack: probability of one, a day.
        disturbance: of glucose.
    """

    p1: float
    basal: tuple[float, float]
    dose_error: float
    skip: float
    meal_sd: float
    snack: float
    disturbance: float


_STABLE = _Kind(0.025, (86, 96), 0.1, 0.0, 0.1, 0.2, 0.2)
_OVERLAPPING = _Kind(0.02, (105, 120), 0.1, 0.0, 0.1, 0.2, 0.25)
_LABILE = _Kind(0.008, (130, 150), 0.45, 0.15, 0.35, 0.9, 0.55)


def make_glucose_cohort(
    n_stable: int = 6, n_labile: int = 6, days: int = 14, seed: int = 0, *, overlap: bool = False
) -> dict[str, Stream]:
    """Patients by name, sampled each five minutes: glucose (mg/dL), insulin (units) and carbs (g) on board.

    One step of Euler a minute of ds1 = -ka s1, ds2 = ka (s1 - s2), dI = ka s2 - n I, dX = -p2 X + p3 I,
    dq1 = -kg q1, dq2 = kg (q1 - q2), dg = -(p1 + X) g + p1 Gb + 0.9 kg q2 / V + w, all patients as one vector. Meals,
    boluses with their errors, corrections and rescue carbs are drawn; a meal is the `event` of a stream.

    Args:
        n_stable: patients ("stable 1", ...) with a mean of 103 to 120 mg/dL and a deviation of 20 to 28.
        n_labile: patients ("labile 1", ...) with a mean of 165 to 190 and a deviation of 51 to 67.
        days: of each.
        seed: of everything that is drawn.
        overlap: steady patients that rest just below what counts as high: risk by severity picks the wrong group.

    Raises:
        InputError: no patient, no day.

    Source: the minimal model of R. N. Bergman et al., 1979, with subcutaneous insulin and a gut of two compartments;
    the numbers are this house's, after arXiv 2603.26093's setting.
    """
    require_whole(0, n_stable=n_stable, n_labile=n_labile, seed=seed)
    require_whole(1, patients=n_stable + n_labile, days=days)
    kinds = [_OVERLAPPING if overlap else _STABLE] * n_stable + [_LABILE] * n_labile
    draws = np.random.default_rng(derive_seed("glucose cohort", seed=seed))
    glucose, bolus, carbs, meals = _lived(kinds, days, draws)
    noise = np.zeros(len(kinds))
    sensed = np.empty_like(glucose)
    fresh = draws.normal(0, _SENSOR_SD * np.sqrt(1 - _SENSOR**2), glucose.shape)
    for t in range(len(glucose)):
        noise = _SENSOR * noise + fresh[t]
        sensed[t] = glucose[t] + noise
    sensed = sensed.clip(*_RANGE)
    on_board = [_decaying(bolus, _TAU_INSULIN), _decaying(carbs, _TAU_CARBS)]
    values = torch.from_numpy(np.stack([sensed, *on_board], -1).astype(np.float32))
    names = [f"stable {i + 1}" for i in range(n_stable)] + [f"labile {i + 1}" for i in range(n_labile)]
    eaten = torch.from_numpy(meals)
    return {name: Stream(values[:, i], CHANNELS, 0, eaten[:, i], name.split()[0]) for i, name in enumerate(names)}


def _lived(
    kinds: list[_Kind], days: int, draws: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """(samples, patients) of glucose, of bolus units and carbs in that sample, and whether a meal was taken."""
    n, samples = len(kinds), days * 24 * 60 // STEP
    p1, skip, error, spread = (
        np.array([getattr(kind, name) for kind in kinds]) for name in ("p1", "skip", "dose_error", "disturbance")
    )
    basal = np.array([draws.uniform(*kind.basal) for kind in kinds])
    p3 = 5e-4 * draws.uniform(0.9, 1.1, n)
    volume = 1.7 * draws.uniform(60, 90, n)
    eaten, meals = _meals(kinds, days, draws)
    normal, chance = draws.normal(size=(samples, 2, n)), draws.random((samples, 3, n))
    glucose, dosed = np.empty((samples, n)), np.zeros((samples, n))
    g, w = basal.copy(), np.zeros(n)
    remote, insulin, s1, s2, q1, q2 = (np.zeros(n) for _ in range(6))
    for t in range(samples):
        w = 0.98 * w + 0.2 * spread * normal[t, 0]
        wanted = eaten[t] * (1 + error * normal[t, 1]) / 10 + np.maximum(-1, (g - 120) / 50)
        bolus = np.where((eaten[t] > 0) & (chance[t, 0] >= skip), np.maximum(wanted, 0), 0)
        bolus += np.where((g > _HIGH) & (chance[t, 1] < 0.03), (g - 130) / 60, 0)
        rescue = np.where((g < _LOW) & (chance[t, 2] < 0.25), 12.0, 0)
        eaten[t] += rescue
        s1, q1, dosed[t] = s1 + bolus, q1 + 1000 * eaten[t], bolus
        for _ in range(STEP):
            slope = -(p1 + remote) * g + p1 * basal + 0.9 * _KG * q2 / volume + w
            remote, insulin = remote - _P2 * remote + p3 * insulin, insulin + _KA * s2 - _N * insulin
            s1, s2 = s1 - _KA * s1, s2 + _KA * (s1 - s2)
            q1, q2 = q1 - _KG * q1, q2 + _KG * (q1 - q2)
            g = np.maximum(g + slope, _FLOOR)
        glucose[t] = g
    return glucose, dosed, eaten, meals


def _meals(kinds: list[_Kind], days: int, draws: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """(samples, patients) grams of meals and snacks, and whether there were any."""
    n, a_day = len(kinds), 24 * 60 // STEP
    grams = np.zeros((days * a_day, n))
    size, snack = (np.array([getattr(kind, name) for kind in kinds]) for name in ("meal_sd", "snack"))
    for day in range(days):
        for hour, usual in _MEALS:
            at = (hour + draws.normal(0, 0.5, n)) * 60 // STEP + day * a_day
            amount = np.maximum(usual * (1 + size * draws.normal(size=n)), 5)
            np.add.at(grams, (at.clip(0, len(grams) - 1).astype(int), np.arange(n)), amount)
        at = draws.uniform(9, 22, n) * 60 // STEP + day * a_day
        amount = np.where(draws.random(n) < snack, draws.uniform(15, 30, n), 0)
        np.add.at(grams, (at.astype(int), np.arange(n)), amount)
    return grams, grams > 0


def _decaying(given: np.ndarray, tau: float) -> np.ndarray:
    """What is left of all that was given, with the time constant `tau` in minutes."""
    from scipy.signal import lfilter

    return np.asarray(lfilter([1.0], [1.0, -np.exp(-STEP / tau)], given, axis=0))
