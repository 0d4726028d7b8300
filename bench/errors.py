"""What can go wrong with a measurement."""


class CannotMeasure(Exception):
    """Something that the measurements need is missing; the text says what, and what to do."""


class WrongResult(Exception):
    """What was measured gave a wrong result, so that its speed means nothing."""


class PeerFailed(Exception):
    """A peer did not do what it was asked for; the text says why. Its figures are left out then."""
