"""The models of a config on a database, with nobody's keys and no quota."""

from pathlib import Path

from orchestrator.chat.models import Models
from orchestrator.chat.usage import ModelUse
from orchestrator.config import Config
from orchestrator.config_quotas import Quota
from orchestrator.people.keys import OwnKeys
from orchestrator.store.database import Database
from orchestrator.store.keys import KeyStore
from orchestrator.store.usage import UsageStore


async def _no_quota(_: str) -> Quota:
    return Quota()


def models_on(database: Database, config: Config, folder: Path, socket: Path | None = None) -> Models:
    keys = OwnKeys(KeyStore(database), folder / "seal", config.providers)
    return Models(config, socket or folder / "no.sock", keys, ModelUse(UsageStore(database), _no_quota), {})
