"""What can go wrong, in words a person can act on.

Every error matinee raises on purpose is a `MatineeError` whose message says in
one or two lines what is wrong, where, and what to do. Anything else that
escapes is a bug.
"""

import unicodedata

UNPRINTABLE = ("Cc", "Cf", "Zl", "Zp", "Cs")
"""Categories of Unicode that a terminal acts on - escape sequences, writing backwards, new lines -
and halves of characters, which are no text: so Python spells the odd bytes of a folder's name."""


class MatineeError(Exception):
    """Base of all errors that are raised on purpose."""


class DataError(MatineeError):
    """A ratings table or catalogue cannot be read, or holds a bad row."""


class ArchiveError(MatineeError):
    """An archive or a download is refused: truncated, hostile or not the published one."""


class UnknownIdError(MatineeError):
    """A user or a movie that the dataset or model does not know."""


class RunError(MatineeError):
    """A saved run is missing, incomplete, altered, or newer than this version."""


class SettingError(MatineeError):
    """A hyperparameter or an argument has a value that makes no sense."""


class ExtraError(MatineeError, ImportError):
    """A part of matinee needs a package that is not installed."""


class DivergedWarning(UserWarning):
    """Training broke down, and what it had learned before is what one gets."""


def printable(text: str) -> str:
    r"""Text with `?` for what a terminal would act on or cannot show: one line, whatever it was.

    Names of folders, files and columns may be anybody's.

    Examples
    --------
    >>> printable("runs/\x1b[31mred\nrun")
    'runs/?[31mred?run'
    """
    return "".join("?" if unicodedata.category(c) in UNPRINTABLE else c for c in text)
