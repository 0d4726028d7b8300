"""Which quota is whose: one of the person's own where the config has one, else their role's."""

from orchestrator.config_quotas import Quota
from orchestrator.config_quotas import Quotas as QuotasConfig
from orchestrator.people.service import LOCAL
from orchestrator.store.people import PeopleStore

_NO_LIMITS = Quota()
_NOBODYS = Quota(sessions_running=1, cells_per_minute=1)  # an owner without an account has nothing to run


class Quotas:
    """The quotas of the config, by the id of the person."""

    def __init__(self, config: QuotasConfig, store: PeopleStore) -> None:
        self._config = config
        self._store = store
        self._any = config != QuotasConfig()

    async def of(self, person_id: str) -> Quota:
        """Return what this person may use."""
        if not self._any:
            return _NO_LIMITS
        if person_id == LOCAL.id:
            return self._config.people.get(LOCAL.name, self._config.admin)
        user = await self._store.with_id(person_id)
        if user is None:
            return _NOBODYS
        return self._config.people.get(user.name, self._config.admin if user.role == "admin" else self._config.member)
