"""Trained models at work: bundles, predictions, contributions, champions, the registry."""
