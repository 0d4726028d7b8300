"""Where Gradio keeps KaTeX, which draws formulas: its files have a hash in their names. Found once, at the start."""

from __future__ import annotations

from importlib.metadata import distribution
from pathlib import Path


def katex_files() -> tuple[str, str] | None:
    """Return the addresses of KaTeX's script and style, or None where there are none: formulas show their source."""
    folder = Path(str(distribution("gradio").locate_file("gradio/templates/frontend/assets")))
    scripts, styles = sorted(folder.glob("katex-*.js")), sorted(folder.glob("katex-*.css"))
    # Its only export is the library itself; were that to change, nothing would be drawn, and a test would say so.
    scripts = [path for path in scripts if path.read_text(encoding="utf-8").rstrip().endswith("as default};")]
    return (f"assets/{scripts[0].name}", f"assets/{styles[0].name}") if scripts and styles else None
