"""The one base of every error that a user can cause, with a stable code.

A message says what was expected, what was found and what to do. It never holds the text of a comment.
"""


class FeedbackError(Exception):
    """A mistake in the input or the setting, told in one readable sentence.

    `code` is stable, lower-case with underscores: programs match on it, people read `message`.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class TextError(FeedbackError):
    """A comment that cannot be scored: empty, NUL, a lone surrogate, not a string."""


class SchemaError(FeedbackError):
    """A label schema, or a label, that does not fit."""


class DataError(FeedbackError):
    """An input file that cannot be read as labelled or unlabelled feedback."""


class BundleError(FeedbackError):
    """A model folder that is incomplete, altered or made for something else."""


class ModelError(FeedbackError):
    """A model that fails at a comment. `cause` is the type of what it raised, whose message may hold the comment."""

    def __init__(self, code: str, message: str, *, cause: str) -> None:
        super().__init__(code, message)
        self.cause = cause


class ConfigError(FeedbackError):
    """A setting that is unknown or out of range."""


class UsageError(FeedbackError):
    """A command line that asks for something impossible; the command exits with 2."""


class GateFailed(FeedbackError):  # noqa: N818  (the verdict is the name; the command exits with 3)
    """A model that does not pass the promotion gate."""
