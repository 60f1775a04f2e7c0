"""Tokens and the cookie made of one."""

from __future__ import annotations

import pytest

import server.access
from server.access import GUESS_WINDOW_S, GUESSES, Access, Guesses


def test_without_tokens_everything_is_open() -> None:
    access = Access("", "")
    assert access.view_is_open
    assert access.may_publish(None)
    assert access.may_view(None, None)
    assert access.may_view("Bearer whatever", "whatever")


@pytest.mark.parametrize("header", ["Bearer pub-1", "bearer pub-1", "BEARER  pub-1 "])
def test_the_right_token_opens(header: str) -> None:
    access = Access("pub-1", "view-1")
    assert access.may_publish(header)
    assert access.may_view(header.replace("pub-1", "view-1"), None)


@pytest.mark.parametrize(
    "header",
    [None, "", "Bearer", "Bearer ", "pub-1", "view-1", "Basic pub-1", "Bearer pub-", "Bearer pub-1x", "Bearer \udcff€"],
)
def test_anything_else_does_not(header: str | None) -> None:
    access = Access("pub-1", "view-1")
    assert not access.may_publish(header)
    assert not access.may_view(header, None)


def test_one_token_does_not_open_the_other_door() -> None:
    access = Access("pub-1", "view-1")
    assert not access.may_publish("Bearer view-1")
    assert not access.may_view("Bearer pub-1", None)
    assert Access("", "view-1").may_publish(None)
    assert not Access("", "view-1").may_view(None, None)


def test_the_cookie_opens_viewing_and_hides_the_token() -> None:
    access = Access("pub-1", "view-1")
    cookie = access.view_cookie()
    assert access.may_view(None, cookie)
    assert access.may_view("Basic by-a-proxy", cookie)
    assert "view-1" not in cookie
    assert not access.may_view(None, "view-1")
    assert not access.may_view("Bearer " + cookie, None)
    assert not Access("pub-1", "view-2").may_view(None, cookie), "a new token voids old cookies"


def test_guessing_too_often_means_waiting() -> None:
    now = 100.0
    guesses = Guesses(lambda: now)
    for _ in range(GUESSES):
        assert guesses.wait_s("10.0.0.1") == 0
        guesses.add("10.0.0.1")
    assert guesses.wait_s("10.0.0.1") == GUESS_WINDOW_S
    assert guesses.wait_s("10.0.0.2") == 0, "others do not wait"
    now += GUESS_WINDOW_S
    assert guesses.wait_s("10.0.0.1") == 0
    guesses.add("10.0.0.1")
    assert guesses.wait_s("10.0.0.1") == 0


def test_guesses_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server.access, "MAX_ADDRESSES", 3)
    guesses = Guesses()
    for each in range(10):
        guesses.add(str(each))
    assert len(guesses._wrong) == 3
