"""Passwords: argon2id with the parameters of RFC 9106's second choice, which is what argon2-cffi takes by itself."""

import unicodedata

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from orchestrator.errors import BadRequest
from orchestrator.limits import PASSWORD_LONGEST, PASSWORD_SHORTEST

_HASHER = PasswordHasher()
# Checked where there is no such person, so that the answer takes as long as a wrong password's.
_NOBODYS = _HASHER.hash("nobody has this password")


def checked_password(password: str) -> str:
    """Return a new password in the form that is hashed (NIST SP 800-63B, 5.1.1.2).

    Raises:
        BadRequest: it is too short or too long.

    """
    same = unicodedata.normalize("NFKC", password)
    if not PASSWORD_SHORTEST <= len(same) <= PASSWORD_LONGEST:
        raise BadRequest(f"A password has {PASSWORD_SHORTEST} to {PASSWORD_LONGEST} characters.", code="bad_password")
    return same


def hashed(password: str) -> str:
    """Return the hash of a new password. Blocks (about 50 ms, 64 MiB)."""
    return _HASHER.hash(checked_password(password))


def verify(stored: str | None, password: str) -> bool:
    """Tell whether this is the password; it takes as long when there is none. Blocks (about 50 ms, 64 MiB)."""
    if len(password) > PASSWORD_LONGEST:
        return False
    try:
        _HASHER.verify(stored or _NOBODYS, unicodedata.normalize("NFKC", password))
    except (VerificationError, InvalidHashError):
        return False
    return stored is not None
