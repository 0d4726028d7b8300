"""What happened, and how often: counters that any part may use, shown by `GET /metrics`.

They are of the process, as Prometheus expects. A label's values are few whoever sends what: each set is named here, or
grows by first use up to a bound, and all beyond it are counted as "other".
"""

from collections.abc import Iterable, Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, ProcessCollector, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4
_OTHER = "other"
_MOST_CODES = 100
_REGISTRY = CollectorRegistry()  # not the library's global one, where any import may add its own
ProcessCollector(registry=_REGISTRY)


class Tally:
    """A counter of one kind of event, told apart by at most one label."""

    def __init__(
        self, name: str, about: str, label: str | None = None, values: Iterable[str] = (), *, grows: bool = False
    ) -> None:
        self._name, self._label = name, label
        self._counter = Counter(name, about, [label] if label else [], registry=_REGISTRY)
        self._series = {value: self._counter.labels(value) for value in values} if label else {"": self._counter}
        self._grows = grows

    def count(self, value: str = "", amount: float = 1) -> None:
        """Count events; `value` is the label's."""
        self._named(value).inc(amount)

    def read(self, value: str = "") -> float:
        """Return what was counted since the process began."""
        labels = {self._label: value} if self._label else {}
        return _REGISTRY.get_sample_value(f"{self._name}_total", labels) or 0.0

    def _named(self, value: str) -> Counter:
        if (known := self._series.get(value)) is not None:
            return known
        if not self._grows or len(self._series) >= _MOST_CODES:
            value = _OTHER
        return self._series.setdefault(value, self._counter.labels(value))


REFUSALS = Tally("glovebox_refusals", "Problem documents answered, by their code", "code", grows=True)
GATEWAY_MESSAGES_DROPPED = Tally(
    "glovebox_gateway_messages_dropped", "Messages of gateways that did not fit and were dropped"
)
GATEWAY_VIOLATIONS = Tally(
    "glovebox_gateway_violations",
    "Connections to gateways that were ended, by what the gateway did",
    "kind",
    ("protocol", "message_too_big", "flood", "socket_replaced", "peer_uid"),
)
EGRESS_REQUESTS = Tally(
    "glovebox_egress_requests", "Requests of sandboxes to the network", "decision", ("allowed", "denied", "failed")
)
EGRESS_BYTES = Tally("glovebox_egress_bytes", "Bytes between sandboxes and the network", "direction", ("up", "down"))
CELLS = Tally(
    "glovebox_cells",
    "Cells that ended",
    "status",
    ("ok", "error", "timeout", "interrupted", "out_of_memory", "sandbox_lost"),
)
LIMITS_HIT = Tally(
    "glovebox_limits_hit", "Limits that ended or cut a cell", "limit", ("time", "memory", "disk", "output")
)
ADMISSIONS = Tally(
    "glovebox_admissions", "Sandboxes that were asked for", "outcome", ("at_once", "waited", "refused", "over_quota")
)
AUDIT_LOST = Tally(
    "glovebox_audit_lost", "Entries that are missing in the audit log", "reason", ("queue_full", "flood", "not_stored")
)
_SESSIONS = Gauge("glovebox_sessions", "Sessions by state", ["state"], registry=_REGISTRY)
_WARM = Gauge(
    "glovebox_warm_sandboxes", "Sandboxes that wait for a session, by profile", ["profile"], registry=_REGISTRY
)


def exposition(sessions: Mapping[str, int], warm: Mapping[str, int]) -> bytes:
    """Return all counters as Prometheus' text, with the sessions in each state and the warm sandboxes by profile."""
    for profile, number in warm.items():
        _WARM.labels(profile).set(number)
    for state, number in sessions.items():
        _SESSIONS.labels(state).set(number)
    return generate_latest(_REGISTRY)
