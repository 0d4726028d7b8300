"""The page's own delay, in a real Chromium before the page's container: each subject has both for itself."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from playwright.sync_api import Browser

from bench.figures import Measured
from bench.page_conversation import measure_conversation
from bench.page_loads import measure_loads
from bench.page_site import running_browser, running_empty_page, running_page
from bench.page_streams import measure_streams
from bench.provider import Provider, running_provider
from bench.stack import Stack


def measure_page_loads(stack: Stack, *, quick: bool) -> Sequence[Measured]:
    """Measure `page_first_load` and `page_next_load`."""
    with _seen(stack) as (_, browser, url), running_empty_page(stack) as empty:
        return measure_loads(browser, url, empty, quick=quick)


def measure_page_streams(stack: Stack, *, quick: bool) -> Sequence[Measured]:
    """Measure `page_event_to_pixels`."""
    with _seen(stack) as (provider, browser, url):
        return measure_streams(stack, browser, url, provider, quick=quick)


def measure_page_conversation(stack: Stack, *, quick: bool) -> Sequence[Measured]:
    """Measure `page_long_conversation` and `page_scroll_frame`."""
    with _seen(stack) as (provider, browser, url):
        return measure_conversation(stack, browser, url, provider, quick=quick)


@contextmanager
def _seen(stack: Stack) -> Iterator[tuple[Provider, Browser, str]]:
    with running_provider(stack.provider_port) as provider, running_browser() as browser, running_page(stack) as url:
        yield provider, browser, url
