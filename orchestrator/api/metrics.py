"""The door of the metrics."""

from fastapi import APIRouter, Response

from orchestrator.api.services import Admin, Wired
from orchestrator.metrics import CONTENT_TYPE, exposition

router = APIRouter(tags=["about"])


@router.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}})
async def metrics(services: Wired, _: Admin) -> Response:
    """Show the counters of this process as Prometheus reads them."""
    return Response(
        exposition(await services.sessions.count_by_state(), services.sessions.pool.count()), media_type=CONTENT_TYPE
    )
