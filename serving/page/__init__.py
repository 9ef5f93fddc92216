"""The live page, /dashboard: what comes in, what is due, and why, for people at a desk or before a wall screen.

Plain templates and scripts without a build step, nothing from outside (static/, templates/). Present where the server
has a store.
"""
