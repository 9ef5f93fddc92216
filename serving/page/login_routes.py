"""Signing in to the page and out again."""

from typing import Annotated
from urllib.parse import parse_qs

from fastapi import APIRouter, Query, Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from serving.access import LOGIN, PAGE
from serving.api_keys import READ
from serving.page.routes import BoardDep, with_language
from serving.page.sessions import COOKIE, HOURS, from_this_site, is_https
from serving.page.wording import language_of, words

router = APIRouter(prefix="/dashboard", include_in_schema=False)

_LONGEST = 1024  # bytes of the form


@router.get("/login")
async def login_page(request: Request, board: BoardDep, lang: Annotated[str | None, Query()] = None) -> Response:
    """The form that asks for a key; where none is needed, the page itself."""
    if not request.app.state.ring.asked:
        return RedirectResponse(PAGE, status_code=303)
    return with_language(_form(request, board, lang=lang), lang)


@router.post("/login")
async def login(request: Request, board: BoardDep) -> Response:
    """A key for a session. Its scope read is enough; what more it may do the session may, up to write."""
    headers = request.scope["headers"]
    if not from_this_site(headers):
        return _form(request, board, told="login.site", status=403)
    body = await request.body()
    form = parse_qs(body[:_LONGEST].decode("utf-8", "replace"))
    shown = form.get("key", [""])[0].strip().encode("utf-8", "replace")
    ring = request.app.state.ring
    if not ring.asked:
        return RedirectResponse(PAGE, status_code=303)
    key = await ring.find(shown)
    if key is None:
        return _form(request, board, told="login.invalid", status=401)
    if key.rate is not None and (wait := request.app.state.limits.take(key.id, key.rate)):
        return _form(request, board, told="login.rate", status=429, n=wait)
    if not key.may({READ}):
        return _form(request, board, told="login.scope", status=403)
    answer = RedirectResponse(PAGE, status_code=303)
    answer.set_cookie(
        COOKIE,
        board.sessions.open(shown, key),
        max_age=HOURS * 3600,
        path="/",  # the API's paths take it too
        secure=is_https(request.scope["scheme"], headers),
        httponly=True,
        samesite="strict",
    )
    return answer


@router.post("/logout")
async def logout() -> Response:
    """Forget the session in this browser."""
    answer = Response(status_code=204)
    answer.delete_cookie(COOKIE, path="/", httponly=True, samesite="strict")
    return answer


def _form(
    request: Request, board: BoardDep, *, told: str = "", status: int = 200, lang: str | None = None, n: int = 0
) -> Response:
    language = language_of(request.scope["headers"], lang)
    known = words(language)
    message = known[told].replace("{n}", str(n)) if told else ""
    html = board.assets.render("login.html", w=known, language=language, message=message, action=LOGIN)
    return HTMLResponse(html, status_code=status)
