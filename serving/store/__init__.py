"""What the server keeps: feedback and all that becomes of it, in SQLite or PostgreSQL.

The functions take a SQLAlchemy connection inside a transaction and run in threads (threads.py), never in the event
loop.
"""
