"""Secrets that stand for a person: API tokens and the logins of browsers. They are shown once, and kept as hashes."""

import re
import secrets
from dataclasses import dataclass
from hashlib import sha256
from hmac import compare_digest

from orchestrator.store.people import API, LOGIN

_FORM = re.compile(rf"({API}|{LOGIN})_([0-9a-f]{{16}})_([A-Za-z0-9_-]{{43}})")


@dataclass(frozen=True, slots=True)
class Secret:
    """A secret in its parts: what it is for, the public id of its row, and the part that proves it."""

    kind: str
    id: str
    proof: str

    def told(self) -> str:
        """Return the whole, for its owner alone."""
        return f"{self.kind}_{self.id}_{self.proof}"

    def kept(self) -> str:
        """Return what the database keeps. The proof has 256 bits of chance: no slow hash could make it any safer."""
        return sha256(self.proof.encode()).hexdigest()

    def proves(self, kept: str) -> bool:
        """Tell whether the row with this hash is meant, in a time that tells nothing about it."""
        return compare_digest(self.kept(), kept)


def new_secret(kind: str) -> Secret:
    """Return a secret that nobody knows yet."""
    return Secret(kind, secrets.token_hex(8), secrets.token_urlsafe(32))


def parse_secret(presented: str) -> Secret | None:
    """Return the parts of what somebody presents, or None where it cannot be one."""
    found = _FORM.fullmatch(presented)
    return None if found is None else Secret(*found.groups())
