"""The HTTP server. Imports pipeline and models."""
