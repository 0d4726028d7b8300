"""What happened, how often and how long it took: counters that any part may use, shown by `GET /metrics`.

They are of the process, as Prometheus expects. Whatever a label's value comes from, its values stay few: see `tallies`.
"""

from collections.abc import Mapping

from prometheus_client import Gauge, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

from orchestrator.tallies import REGISTRY, Label, Tally, TallyByMany, Timing

CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4
_QUICK = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_SLOW = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)

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
SANDBOX_STARTS = Timing(
    "glovebox_sandbox_start_seconds",
    "From the need for a sandbox to its kernel's answer, by where it came from",
    "how",
    ("cold", "warm", "adopted", "woken"),
    buckets=_QUICK,
)
CELL_TIMES = Timing(
    "glovebox_cell_seconds",
    "What cells took in their kernels, by the status that they ended with",
    "status",
    ("ok", "error", "timeout", "interrupted", "out_of_memory", "sandbox_lost"),
    buckets=_SLOW,
)
CELL_WAITS = Timing(
    "glovebox_cell_wait_seconds",
    "What cells waited before they ran: for the cells before them, or for their sandbox",
    "what_for",
    ("turn", "sandbox"),
    buckets=_SLOW,
)
FILE_BYTES = Tally("glovebox_file_bytes", "Bytes of workspaces' files, by the API", "direction", ("up", "down"))
MODEL_TOKENS = TallyByMany(
    "glovebox_model_tokens",
    "Tokens that models were told and said",
    Label("model", grows=True),
    Label("direction", ("in", "out")),
)
MODEL_COST = Tally(
    "glovebox_model_cost", "What these tokens cost, in the currency of the config's prices", "model", grows=True
)
MODEL_ERRORS = Tally("glovebox_model_errors", "Replies that a provider failed to give, by code", "code", grows=True)
MODEL_TIMES = Timing(
    "glovebox_model_reply_seconds", "What whole replies of models took", "model", grows=True, buckets=_SLOW
)
HTTP_REQUESTS = TallyByMany(
    "glovebox_http_requests",
    "Requests that were answered, by the route's template",
    Label("route", grows=True),
    Label("method", ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "WEBSOCKET")),
    Label("status", grows=True),
)
HTTP_TIMES = Timing(
    "glovebox_http_request_seconds",
    "From a request's head to the end of its answer, by the route's template",
    "route",
    grows=True,
    buckets=_QUICK,
)
SPAWNER_TIMES = Timing(
    "glovebox_spawner_call_seconds",
    "What the spawner's answers took, by the request's verb",
    "verb",
    ("create", "stop", "inspect", "stats", "list", "check"),
    grows=True,
    buckets=_QUICK,
)
_SESSIONS = Gauge("glovebox_sessions", "Sessions by state", ["state"], registry=REGISTRY)
_WARM = Gauge(
    "glovebox_warm_sandboxes", "Sandboxes that wait for a session, by profile", ["profile"], registry=REGISTRY
)


def exposition(sessions: Mapping[str, int], warm: Mapping[str, int]) -> bytes:
    """Return all counters as Prometheus' text, with the sessions in each state and the warm sandboxes by profile."""
    for profile, number in warm.items():
        _WARM.labels(profile).set(number)
    for state, number in sessions.items():
        _SESSIONS.labels(state).set(number)
    return generate_latest(REGISTRY)
