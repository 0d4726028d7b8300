"""Vega, Vega-Lite and Vega-Embed as one script, out of the package that holds them: made once, and kept beside it.

The package is a renderer with an engine of its own, of which nothing but this script is used: when the image is built
the script is written, and the rest is thrown away. Elsewhere it is made when it is first asked for.
"""

from __future__ import annotations

import tempfile
from contextlib import suppress
from importlib.metadata import distribution
from pathlib import Path

# The one that the sandbox's Altair writes for; it reads what Vega-Lite 5 wrote, too.
VEGA_LITE = "6.4"
PACKAGE = "vl-convert-python"


def vega_script() -> str:
    """Return the script, as one that leaves nothing behind but `vegaEmbed`."""
    kept = _place()
    if kept.is_file():
        return kept.read_text(encoding="utf-8")
    script = _bundle()
    with suppress(OSError):  # whoever may not write there makes it again
        _keep(script, kept)
    return script


def _place() -> Path:
    return Path(str(distribution(PACKAGE).locate_file(f"vl_convert/vega-lite-{VEGA_LITE}.min.js")))


def _bundle() -> str:
    import vl_convert  # here: the image of the page has only what came of it

    made = vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;", vl_version=VEGA_LITE)
    # Its short names would be those of the scripts that follow.
    return f"(() => {{{made}}})();\n"


def _keep(script: str, kept: Path) -> None:
    with tempfile.NamedTemporaryFile("w", encoding="utf-8", dir=kept.parent, delete=False) as new:
        new.write(script)
    Path(new.name).chmod(0o644)
    Path(new.name).replace(kept)


if __name__ == "__main__":
    vega_script()
