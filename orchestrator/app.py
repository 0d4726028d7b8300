"""The composition root: which parts make up the service, in which order they open and close."""

import asyncio
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path

import uvicorn
from fastapi import FastAPI

from orchestrator import host
from orchestrator.api import (
    about,
    accounts,
    admin,
    archive,
    executions,
    export,
    files,
    imports,
    keys,
    messages,
    metrics,
    problems,
    sessions,
    shares,
)
from orchestrator.api import settings as my_settings
from orchestrator.api.body_limit import BodyLimit
from orchestrator.api.early_answer import EarlyAnswer
from orchestrator.api.guard import Guard
from orchestrator.api.identity import Door, OnePerson, Team, TrustedProxy
from orchestrator.api.refusals import Refusals
from orchestrator.api.services import Services
from orchestrator.api.visits import Visits
from orchestrator.chat.contexts import Contexts
from orchestrator.chat.models import Models
from orchestrator.chat.service import Chat
from orchestrator.chat.tokens import encoding
from orchestrator.chat.usage import ModelUse
from orchestrator.config import Settings
from orchestrator.demo_model.server import demo_app
from orchestrator.disks_client import DisksClient
from orchestrator.people.elsewhere import Elsewhere
from orchestrator.people.first_admin import make_first_admin
from orchestrator.people.keys import OwnKeys
from orchestrator.people.oidc import SingleSignOn
from orchestrator.people.presence import Presence
from orchestrator.people.quotas import Quotas
from orchestrator.people.service import People
from orchestrator.sessions.activity import Activity
from orchestrator.sessions.admission import Room
from orchestrator.sessions.egress_audit import told_of_egress
from orchestrator.sessions.network import Networks
from orchestrator.sessions.service import Sessions
from orchestrator.spawner_client import SpawnerClient
from orchestrator.store.audit import AuditLog
from orchestrator.store.conversation import ConversationStore
from orchestrator.store.database import Database
from orchestrator.store.keys import KeyStore
from orchestrator.store.people import PeopleStore
from orchestrator.store.search import SearchStore
from orchestrator.store.sessions import SessionStore
from orchestrator.store.settings import SettingsStore
from orchestrator.store.shares import ShareStore
from orchestrator.store.summaries import SummaryStore
from orchestrator.store.usage import UsageStore

DOORS = (
    executions,  # looked for most often, so found first
    sessions,
    imports,
    files,
    archive,
    messages,
    export,
    about,
    metrics,
    accounts,
    keys,
    my_settings,
    shares,
    admin,
)


def make_app(settings: Settings) -> FastAPI:
    """Return the API, whose lifespan opens and closes everything behind it."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with opened_services(settings) as services:
            app.state.services = services
            yield

    app = problems.Api(
        title="Glovebox",
        summary="A self-hosted code interpreter",
        version="1",
        lifespan=lifespan,
        responses=problems.REFUSED,
        # FastAPI's own spans would tell paths, where ours tell what is in tracing.py.
        telemetry={"tracing": False, "metrics": False, "logs": False},
        # FastAPI's page for it runs a script from another site, which could do here what the user can.
        docs_url=None,
        redoc_url=None,
    )
    problems.install(app)
    for door in DOORS:
        app.take(door.router)
    app.add_middleware(BodyLimit)
    entrance: Door = OnePerson(settings.token)
    if settings.config.people.mode == "team":
        app.add_middleware(Visits, presence=lambda: app.state.services.presence)
        proxy = settings.config.people.proxy
        trusted = None
        if proxy is not None and settings.proxy_secret is not None:
            trusted = TrustedProxy(proxy, settings.proxy_secret, lambda: app.state.services.elsewhere)
        entrance = Team(lambda: app.state.services.people, trusted)
    app.add_middleware(Guard, door=entrance, allowed_hosts=settings.config.server.allowed_hosts)
    app.add_middleware(EarlyAnswer)
    return app


@asynccontextmanager
async def opened_services(settings: Settings) -> AsyncIterator[Services]:
    """Open the parts and services, and close them in the opposite order."""
    settings.data.mkdir(mode=0o750, parents=True, exist_ok=True)
    database = Database(settings.database_url)
    await database.open()
    audit = AuditLog(database)
    audit.open()
    refusals = Refusals(audit)
    people_store = PeopleStore(database)
    people, oidc = People(people_store), settings.config.people.oidc
    if settings.config.people.mode == "team":
        await make_first_admin(people, settings.admin_password, settings.data)
    presence = Presence(people)
    conversation = ConversationStore(database)
    spawner = SpawnerClient(settings.spawner_socket)
    disks = DisksClient(settings.disks_socket)
    store = SessionStore(database)
    user_settings = SettingsStore(database)
    networks = Networks(settings.config, settings.ca_bundle, store, told_of_egress(audit))
    capacity = Room(*settings.config.promisable(host.memory_mb(), host.cpus()))
    quotas = Quotas(settings.config.quotas, people_store)
    activity = Activity(audit)
    own_keys = OwnKeys(KeyStore(database), settings.data / "own-keys.seal", settings.config.providers)
    service = Sessions(
        settings.config, settings.data, store, conversation, spawner, disks, networks, capacity, quotas.of, activity
    )
    await service.open()
    async with asyncio.TaskGroup() as tasks, demo_model() as demo_socket:
        models = Models(settings.config, demo_socket, own_keys, ModelUse(UsageStore(database), quotas.of))
        contexts = Contexts(settings.config.chat, models, SummaryStore(database))
        chat = Chat(settings.config.chat, models, service, conversation, user_settings, contexts, refusals.of_turn)
        background = [
            tasks.create_task(service.put_idle_ones_to_sleep(), name="idle sandboxes"),
            tasks.create_task(presence.watch_for_ever(), name="who may be here"),
            tasks.create_task(service.pool.keep_filled(), name="warm sandboxes"),
            tasks.create_task(asyncio.to_thread(encoding), name="token encoding"),
        ]
        try:
            yield Services(
                settings,
                database,
                conversation,
                service,
                chat,
                models,
                spawner,
                audit,
                refusals,
                people,
                ShareStore(database),
                user_settings,
                SearchStore(database),
                presence,
                Elsewhere(people_store, people),
                None if oidc is None else SingleSignOn(oidc, settings.oidc_secret),
                activity,
                own_keys,
            )
        finally:
            for task in background:
                task.cancel()
            await service.let_go()
            await chat.close()
            await models.close()
            await service.close()
            await audit.close()
            await database.close()


@asynccontextmanager
async def demo_model() -> AsyncIterator[Path]:
    """Serve the demo model on a unix socket of its own; real HTTP, so that it is asked as any provider is."""
    with tempfile.TemporaryDirectory(prefix="glovebox-demo-") as folder:
        socket = Path(folder) / "demo.sock"
        config = uvicorn.Config(demo_app(), uds=str(socket), log_level="warning", lifespan="off", access_log=False)
        server = _QuietServer(config)
        task = asyncio.create_task(server.serve(), name="demo model")
        while not server.started and not task.done():  # noqa: ASYNC110 - uvicorn has no event for it
            await asyncio.sleep(0.01)
        try:
            yield socket
        finally:
            server.should_exit = True
            server.force_exit = True
            with suppress(asyncio.CancelledError):
                await task


class _QuietServer(uvicorn.Server):
    """A second server in this process: signals belong to the first."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield
