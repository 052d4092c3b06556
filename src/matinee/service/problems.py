"""Errors of one shape, problem details as RFC 9457 has them, whatever went wrong."""

from http import HTTPStatus
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from matinee.errors import ConflictError, MatineeError, StoreError, UnknownIdError, cut
from matinee.service import openapi

MEDIA_TYPE = "application/problem+json"
RESPONSES: dict[int | str, dict[str, Any]] = {
    status: {
        "description": HTTPStatus(status).phrase,
        "content": {MEDIA_TYPE: {"schema": {"$ref": openapi.PROBLEM}}},
    }
    for status in (400, 401, 403, 404, 408, 409, 413, 421, 422, 429, 503)
}
STATUSES = {UnknownIdError: 404, ConflictError: 409}
log = structlog.get_logger("matinee.service")


class ProblemError(Exception):
    """An answer that is an error."""

    def __init__(self, status: int, detail: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(detail)
        self.status, self.detail, self.headers = status, detail, headers


def answer(
    status: int, detail: str, headers: dict[str, str] | None = None, **more: Any
) -> JSONResponse:
    """The response that tells of a problem."""
    content = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        **more,
    }
    return JSONResponse(content, status, headers, media_type=MEDIA_TYPE)


def install(app: FastAPI) -> None:
    """Make all errors of an application problems."""

    @app.exception_handler(ProblemError)
    def of_ours(_: Request, problem: ProblemError) -> JSONResponse:
        return answer(problem.status, problem.detail, problem.headers)

    @app.exception_handler(HTTPException)
    def of_routes(request: Request, problem: HTTPException) -> JSONResponse:
        headers = dict(problem.headers or {})
        if problem.status_code == HTTPStatus.METHOD_NOT_ALLOWED:  # of all routes, not of one
            headers["Allow"] = ", ".join(openapi.methods_of(app, request.url.path))
        return answer(problem.status_code, str(problem.detail), headers)

    @app.exception_handler(RequestValidationError)
    def of_requests(_: Request, problem: RequestValidationError) -> JSONResponse:
        errors = [
            {"at": ".".join(str(part) for part in error["loc"]), "problem": cut(error["msg"], 200)}
            for error in problem.errors()[:20]
        ]
        first = errors[0] if errors else {"at": "", "problem": "not valid"}
        return answer(422, f"{cut(first['at'])}: {first['problem']}", errors=errors)

    @app.exception_handler(MatineeError)
    def of_matinee(_: Request, problem: MatineeError) -> JSONResponse:
        if isinstance(problem, StoreError):
            log.error("store away", problem=str(problem))
            return answer(503, "What users tell cannot be kept just now.", {"Retry-After": "5"})
        status = next((s for kind, s in STATUSES.items() if isinstance(problem, kind)), 422)
        return answer(status, str(problem))

    @app.exception_handler(Exception)
    def of_bugs(request: Request, problem: Exception) -> JSONResponse:
        log.error(
            "failed",
            route=getattr(request.scope.get("route"), "path", "none"),
            problem=type(problem).__name__,
            exc_info=problem,
        )
        return answer(500, "This should not have happened; the log of the service says more.")
