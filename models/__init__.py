"""Everything with weights: networks, bundles, predictors, the registry. Imports pipeline only."""
