"""Minimal sufficient representations: which variables a network needs, which combinations of them, how much of itself."""
from deepwright.interpret.deepin.estimators import DeepInClassifier, DeepInCox, DeepInRegressor
