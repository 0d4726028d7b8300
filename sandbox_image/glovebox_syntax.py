"""IPython's own syntax (magics, `!commands`, `help?`), looked for only where a cell has a character that begins it.

IPython reads each cell into tokens for that, twice: a tenth of the time of a small cell, in which there is most often
nothing to find.
"""

import re

from IPython.core.inputtransformer2 import TransformerManager

# What the token transformers look for: `%`, `!` and `?` anywhere, and a line that begins with `,`, `;` or `/`.
MAY_BEGIN = re.compile(r"[%!?]|^\s*[,;/]", re.MULTILINE)


class SyntaxWhereItMayBe(TransformerManager):  # type: ignore[misc]
    """Transforms cells as IPython does, and those that have none of its syntax sooner."""

    def __init__(self) -> None:
        super().__init__()
        self._usual = list(self.token_transformers)

    def do_token_transforms(self, lines: list[str]) -> list[str]:
        """Return the lines with IPython's syntax as Python; whoever has added a transformer has it asked always."""
        if self.token_transformers == self._usual and not any(map(MAY_BEGIN.search, lines)):
            return lines
        transformed: list[str] = super().do_token_transforms(lines)
        return transformed
