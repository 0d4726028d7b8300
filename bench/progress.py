"""What is said while measurements run; on stderr, since stdout is the table's."""

import sys


def say(text: str) -> None:
    """Say one line."""
    print(f"bench: {text}", file=sys.stderr, flush=True)
