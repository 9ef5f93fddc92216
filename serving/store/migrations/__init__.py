"""Alembic's folder: env.py says how, versions/ says what. Run at start by serving/store/migrating.py."""
