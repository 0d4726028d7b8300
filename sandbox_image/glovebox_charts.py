"""How an Altair chart leaves a kernel: as what it is made of, which the page draws.

By itself Altair shows HTML with a script that asks another site for Vega: nothing would be seen of it here.
"""

import sys
from typing import Any

MODULES = ("altair.vegalite.v6.api", "altair.vegalite.v5.api")
BASE = "TopLevelMixin"


def show_specifications(formatter: Any) -> None:
    """Have IPython's formatter of bundles show charts so. Altair is imported by whoever makes one, not by this."""
    for module in MODULES:
        formatter.for_type_by_name(module, BASE, bundle)


def bundle(chart: Any, include: Any = None, exclude: Any = None) -> Any:
    """Return what a chart is shown as; where somebody chose a renderer, what that one makes."""
    renderers = sys.modules["altair"].renderers
    if renderers.active != "default":
        return chart._repr_mimebundle_(include=include, exclude=exclude)
    with renderers.enable("mimetype"):
        made = chart._repr_mimebundle_(include=include, exclude=exclude)
    data, about = made if isinstance(made, tuple) else (made, {})
    # Its own text says that something is wrong where this is seen.
    return {**data, "text/plain": f"altair.{type(chart).__name__}(…)"}, about
