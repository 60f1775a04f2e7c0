"""The pages, and the files they load under `/static`. Whoever may not open one is sent to the sign-in page first."""

from __future__ import annotations

from datetime import date as Date  # noqa: N812 - the query's name is `date`
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from fastapi import APIRouter, Depends, FastAPI, Request
from fastapi.responses import RedirectResponse, Response
from starlette.exceptions import HTTPException
from starlette.staticfiles import StaticFiles
from starlette.templating import Jinja2Templates
from starlette.types import Scope

from ..callers import Caller, Right
from ..errors import Unauthorized
from .auth import find_caller, same_site_path
from .parts import PartsDep
from .parts import parts as parts_of

WEB = Path(__file__).resolve().parents[2] / "web"
SERVED = frozenset({".css", ".js", ".svg"})
WORDS = Path("locales")

# What the navigation leads to, and the pages that belong to another one.
PAGES = (
    ("/", "nav.live"),
    ("/people", "nav.people"),
    ("/attendance", "nav.attendance"),
    ("/visitors", "nav.visitors"),
    ("/system", "nav.system"),
)
SECTIONS = {"/calibration": "/people", "/connection": "/system"}

# Pictures that come with the live page, each an encode: what fits a screen.
MAX_POSTERS = 9

templates = Jinja2Templates(directory=WEB / "templates")
router = APIRouter(include_in_schema=False)


class SignInFirst(HTTPException):
    """The page needs somebody who may open it; carries the way to the sign-in page and back."""

    def __init__(self, request: Request) -> None:
        target = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        super().__init__(
            303, headers={"Location": f"/login?next={quote(target, safe='')}", "Cache-Control": "no-store"}
        )


async def require_visitor(request: Request, parts: PartsDep) -> None:
    """Let pass who may open the page that is asked for.

    Raises:
        SignInFirst: who asks may not.
    """
    try:
        caller = await find_caller(request, parts)
    except Unauthorized:
        raise SignInFirst(request) from None
    if not caller.may(_right(request.url.path)):
        raise SignInFirst(request)
    request.state.caller = caller


def _right(path: str) -> Right:
    """What opening a page needs."""
    return "view" if path in ("/", "/connection") else "staff"


Visitor = Depends(require_visitor)


@router.get("/", dependencies=[Visitor])
async def live(request: Request, parts: PartsDep, kiosk: str = "") -> Response:
    """Every camera, and who is present today; `kiosk` 1: the cameras alone, for a wall screen."""
    caller: Caller = request.state.caller
    watched = [camera for camera in parts.cameras.all() if caller.may("view", camera.id)]
    cameras = [{"id": camera.id, "name": camera.name} for camera in watched]
    # A wall screen chooses its cameras in the browser, and stays for weeks: the first second does not matter to it.
    is_kiosk = kiosk == "1"
    posters = [] if is_kiosk else [camera.id for camera in watched if camera.state == "online"][:MAX_POSTERS]
    today = parts.attendance.today()
    has_roll = caller.may("staff")
    return _page(request, "live.html", cameras=cameras, posters=posters, today=today, kiosk=is_kiosk, has_roll=has_roll)


@router.get("/people", dependencies=[Visitor])
async def people(request: Request) -> Response:
    """Who is enrolled."""
    return _page(request, "people.html")


@router.get("/attendance", dependencies=[Visitor])
async def attendance(request: Request, parts: PartsDep, date: str = "") -> Response:
    """One day's attendance; a day that is none shows today."""
    today = parts.attendance.today()
    return _page(request, "attendance.html", today=today, day=_day(date) or today)


@router.get("/visitors", dependencies=[Visitor])
async def visitors(request: Request, parts: PartsDep) -> Response:
    """Unknown faces, and for how long they are kept."""
    settings = parts.settings
    return _page(request, "visitors.html", is_on=settings.visitors, days=settings.visitors_days)


@router.get("/system", dependencies=[Visitor])
async def system(request: Request) -> Response:
    """How the server is, and what to do where something is wrong."""
    return _page(request, "system.html")


@router.get("/connection", dependencies=[Visitor])
async def connection(request: Request, parts: PartsDep) -> Response:
    """Test my connection."""
    caller: Caller = request.state.caller
    cameras = [camera for camera in parts.cameras.all() if caller.may("view", camera.id)]
    return _page(request, "connection.html", cameras=cameras)


@router.get("/calibration", dependencies=[Visitor])
async def calibration(request: Request) -> Response:
    """Will it work?"""
    return _page(request, "calibration.html")


@router.get("/login")
async def login(request: Request, parts: PartsDep, next: str = "/") -> Response:  # noqa: A002
    """The sign-in form, unless there is no need for it."""
    target, access = same_site_path(next), parts.access
    caller = access.by_cookie(request.cookies) or access.anyone(request.scope)
    if caller.may(_right(urlsplit(target).path)):
        return RedirectResponse(target, 303, {"Cache-Control": "no-store"})
    ways = {"by_name": access.has_accounts, "by_token": access.has_view_token}
    return _page(request, "login.html", next=target, signed_in_as=caller.name if caller.credential else "", **ways)


class Assets(StaticFiles):
    """The files the pages load, and nothing else of that folder; the browser asks each time whether they are new."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        """The file.

        Raises:
            HTTPException: there is no such file, or it is not for browsers.
        """
        file = Path(path)
        if file.suffix not in SERVED and (file.suffix != ".json" or file.parent != WORDS):
            raise HTTPException(404)
        response = await super().get_response(path, scope)
        response.headers["Cache-Control"] = "no-cache"
        return response


def mount_static(app: FastAPI) -> None:
    """Serve `web/` under `/static`."""
    app.mount("/static", Assets(directory=WEB), name="static")


def _page(request: Request, template: str, **content: Any) -> Response:
    """A page in its frame; `page` marks the place in the navigation, which the sign-in page does not have."""
    is_inside, parts = template != "login.html", parts_of(request)
    caller: Caller | None = request.state.caller if is_inside else None
    frame = {
        "t": parts.words,
        "pages": [(path, name) for path, name in PAGES if caller is not None and caller.may(_right(path))],
        "page": request.url.path if is_inside else None,
        "section": SECTIONS.get(request.url.path),
        "signed_in_as": caller.name if caller is not None and caller.credential else "",
    }
    return templates.TemplateResponse(request, template, {**frame, **content}, headers={"Cache-Control": "no-store"})


def _day(text: str) -> Date | None:
    try:
        return Date.fromisoformat(text)
    except ValueError:
        return None
