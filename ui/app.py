"""Puts the page together: settings in, an ASGI application out."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from fastapi import FastAPI
from starlette.types import ASGIApp

from ui.settings import Settings, cache_folder

# Before Gradio is imported: it reads these then.
os.environ.setdefault("GRADIO_TEMP_DIR", str(cache_folder() / "uploads"))
os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
os.environ["HF_HUB_OFFLINE"] = "1"

import gradio as gr

from ui import words
from ui.actions import Actions
from ui.admin_page import admin_doors
from ui.api_client import Api
from ui.assets import GRADIO_INDEX, Assets, told_of
from ui.bundles import needed
from ui.doors import doors
from ui.front import FIRST, Front
from ui.guards import Guards
from ui.in_language import InLanguage
from ui.intake import Intake
from ui.live import live_doors
from ui.login_doors import LoginDoors
from ui.logins import Logins
from ui.luggage import sweep
from ui.nudges import Nudges
from ui.page import lay_out
from ui.places import Beneath, set_prefix
from ui.relay import relay
from ui.rerunning import rerunning
from ui.sending import sending
from ui.shelf import Shelf
from ui.sides import sides
from ui.spoken_blocks import SpokenBlocks, in_every_language
from ui.theme import HEAD, theme
from ui.turns import Turns
from ui.wiring import wire

_HERE = Path(__file__).parent
STYLES = [_HERE / name for name in ("style.css", "style_conversation.css", "browser/panels.css")]
# Cached uploads that nobody sent: looked for every ten minutes, gone after an hour.
CACHE_SWEEP_S = (600, 3600)


def build(settings: Settings) -> ASGIApp:
    """Make the application."""
    set_prefix(settings.prefix)
    api = Api(settings.api, settings.token)
    logins = Logins(api)
    shelf = Shelf(cache_folder() / "shelf")
    intake, nudges = Intake(shelf), Nudges()

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        await asyncio.to_thread(sweep, Path(os.environ["GRADIO_TEMP_DIR"]))
        async with api:
            yield

    parent = FastAPI(title=words.TITLE, lifespan=lifespan, docs_url=None, redoc_url=None, openapi_url=None)
    parent.include_router(LoginDoors(api, logins).router())
    parent.include_router(doors(logins, shelf))
    parent.include_router(live_doors(logins, intake, nudges))
    parent.include_router(rerunning(logins, nudges))
    parent.include_router(sides(logins))
    parent.include_router(sending(logins, nudges, Path(os.environ["GRADIO_TEMP_DIR"])))
    parent.include_router(relay(logins))
    parent.include_router(admin_doors(logins))
    demo = in_every_language(lambda: blocks(logins, nudges))
    bundles = needed(GRADIO_INDEX, {component["type"] for component in demo.config["components"]})
    mounted = gr.mount_gradio_app(
        parent,
        demo,
        path="/",
        root_path=settings.prefix or None,
        theme=theme(),
        css_paths=STYLES,
        head=HEAD,
        app_kwargs={"docs_url": None, "redoc_url": None, "openapi_url": None},
        footer_links=[],
        run_history=False,
        ssr_mode=False,
        mcp_server=False,
        pwa=False,
        enable_monitoring=False,
        show_error=False,
        # The session's disk limit decides, which the API knows.
        max_file_size=None,
    )
    assets = Assets(Front(mounted, logins, told_of(bundles, FIRST)))
    assets.pack(bundles)
    guarded = Guards(assets, settings.hosts, settings.token, logins, reached_by_others=settings.reached_by_others)
    return Beneath(InLanguage(guarded), settings.prefix)


def blocks(logins: Logins, nudges: Nudges) -> SpokenBlocks:
    """Make the Gradio part."""
    demo = SpokenBlocks(
        title=words.TITLE, analytics_enabled=False, fill_height=True, fill_width=True, delete_cache=CACHE_SWEEP_S
    )
    with demo:
        page = lay_out()
        wire(demo, page, Actions(logins, page), Turns(logins, page, nudges))
    demo.queue(api_open=False, max_size=None, default_concurrency_limit=None)
    return demo
