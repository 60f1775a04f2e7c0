"""Multipart forms with photos. Routes read them: FastAPI would take in the body before asking who sends it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import Request
from starlette.datastructures import FormData, UploadFile

from ..errors import TooLarge, Unprocessable, UnsupportedMediaType
from ..recognition.photos import MAX_BYTES, ExaminedPhoto
from .parts import Parts

MAX_PHOTOS = 10
MAX_FIELDS = 10

_YES, _NO = {"1", "true", "yes", "on"}, {"", "0", "false", "no", "off"}


class PhotoForm:
    """A form with `photo` files and some fields."""

    def __init__(self, form: FormData) -> None:
        self._form = form

    def text(self, field: str) -> str:
        """A field's value; empty where there is none."""
        value = self._form.get(field)
        return value if isinstance(value, str) else ""

    def flag(self, field: str, *, default: bool) -> bool:
        """A field that is yes or no.

        Raises:
            Unprocessable: it is something else; the reason is the field.
        """
        value = self.text(field).strip().casefold() if field in self._form else str(default).casefold()
        if value not in _YES | _NO:
            raise Unprocessable(f"The field {field} must be yes or no.", reason=field)
        return value in _YES

    async def examined(self, parts: Parts) -> list[ExaminedPhoto]:
        """Every photo, examined one after the other.

        Raises:
            Unprocessable: there is none, or one cannot serve; the member `photo` is its place, from 1.
            TooLarge: one has too many bytes.
            Unavailable: recognition is off or busy.
        """
        files = [part for part in self._form.getlist("photo") if isinstance(part, UploadFile)]
        if not files:
            raise Unprocessable("At least one photo is needed.", reason="no_photo")
        return [await _examined(parts, file, place, len(files)) for place, file in enumerate(files, 1)]


@asynccontextmanager
async def photo_form(request: Request) -> AsyncIterator[PhotoForm]:
    """Read the request's form; its files are closed when the block ends.

    Raises:
        UnsupportedMediaType: it is no multipart form.
    """
    if not request.headers.get("content-type", "").startswith("multipart/form-data"):
        raise UnsupportedMediaType("Send the photos and fields as multipart/form-data.")
    async with request.form(max_files=MAX_PHOTOS, max_fields=MAX_FIELDS) as form:
        yield PhotoForm(form)


async def _examined(parts: Parts, file: UploadFile, place: int, count: int) -> ExaminedPhoto:
    """One photo, or a refusal that says which it is: its file name is the client's, and is not repeated."""
    which = f"Photo {place}: " if count > 1 else ""
    if (file.size or 0) > MAX_BYTES:
        raise TooLarge(
            f"{which}This file is larger than {MAX_BYTES // 1_000_000} MB. Please save the photo smaller.",
            members={"photo": place},
        )
    try:
        return await parts.recognition.examine(await file.read())
    except Unprocessable as error:
        raise Unprocessable(which + error.detail, reason=error.reason, members={"photo": place}) from error
