"""The page's own delay, in a real Chromium before the page's container: see page_loads, page_streams and the others."""

from collections.abc import Sequence

from bench.figures import Measured
from bench.page_conversation import measure_conversation
from bench.page_loads import measure_loads
from bench.page_site import running_browser, running_empty_page, running_page
from bench.page_streams import measure_streams
from bench.provider import running_provider
from bench.stack import Stack

NAMES = ("page_first_load", "page_next_load", "page_event_to_pixels", "page_long_conversation", "page_scroll_frame")


def measure_page(stack: Stack, *, quick: bool) -> Sequence[Measured]:
    """Measure all that is asked of the page, one after the other: nothing else runs meanwhile."""
    measured: list[Measured] = []
    with running_provider(stack.provider_port) as provider, running_browser() as browser, running_page(stack) as url:
        with running_empty_page(stack) as empty:
            measured += measure_loads(browser, url, empty, quick=quick)
        measured += measure_streams(stack, browser, url, provider, quick=quick)
        measured += measure_conversation(stack, browser, url, provider, quick=quick)
    return measured
