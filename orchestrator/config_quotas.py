"""The part of the config that says how much: of the host to all sandboxes together, and to each person."""

from pydantic import Field

from orchestrator.config_part import Part

HOSTS_OWN_MB = 1024  # for the orchestrator, the page, the engine and the kernel's caches
CPU_PROMISES = 16  # of one CPU: it can be shared, which memory cannot


class Quota(Part):
    """What one person may use; null: as much as the host has."""

    sessions_running: int | None = Field(default=None, ge=1, description="sandboxes at a time")
    cpus: float | None = Field(default=None, gt=0, description="CPUs of all running sandboxes together")
    memory_mb: int | None = Field(default=None, ge=256, description="MiB of memory of all running sandboxes together")
    disk_mb: int | None = Field(default=None, ge=1, description="MiB that all sessions together may take on disk")
    tokens_per_day: int | None = Field(default=None, ge=1, description="tokens of models in a day (UTC)")
    cost_per_day: float | None = Field(default=None, gt=0, description="what models may cost in a day (UTC)")
    cells_per_minute: int | None = Field(default=None, ge=1, description="cells that may be begun in a minute")


class Quotas(Part):
    """Quotas by role, and by name for those who need others."""

    admin: Quota = Quota()
    member: Quota = Quota()
    people: dict[str, Quota] = Field(default={}, description="by name; stands for the role's whole quota")


class Capacity(Part):
    """How much may be promised to all running sandboxes together."""

    memory_mb: int | None = Field(default=None, ge=256, description="MiB; null: the host's less 1024")
    cpus: float | None = Field(default=None, gt=0, description="CPUs; null: 16 for each that the host has")
