"""How the orchestrator asks its privileged processes: one JSON line of request, one of answer, over a unix socket."""
