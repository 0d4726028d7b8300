"""A message that is the user's own Python: it begins with `!` or `/run`. No I/O."""

import textwrap

from orchestrator.errors import BadRequest

_BEGINNINGS = ("!", "/run ", "/run\n", "/run\t", "/run\r")


def own_code(content: str) -> str | None:
    """Return the code of a message that is to run as it is; None for one that is for the model.

    Raises:
        BadRequest: there is no code in it.

    """
    if content == "/run":
        content = "/run "
    beginning = next((one for one in _BEGINNINGS if content.startswith(one)), None)
    if beginning is None:
        return None
    code = textwrap.dedent(content[len(beginning) :]).strip()
    if not code:
        raise BadRequest(
            f"There is no code behind {beginning.strip()}. Write some, as in: !print(1 + 1)", code="no_code"
        )
    return code
