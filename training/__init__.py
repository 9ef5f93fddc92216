"""From labelled rows to a registered model. Imports pipeline and models."""
