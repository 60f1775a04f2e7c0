"""Changing from one encoding to another: nothing is missing, and time only rises."""

from __future__ import annotations

from server.relay import Picture, Relay
from server.switching import Switch

from .test_relay import Line, new_relay, picture


def publish(relay: Relay, number: int, is_keyframe: bool = False) -> Picture:
    made = picture(number, is_keyframe)
    relay.publish(made)
    return made


def test_the_old_relay_is_left_with_the_new_ones_keyframe() -> None:
    full, low, line = new_relay(), new_relay(), Line()
    switch = Switch(line)
    switch.to(full)
    sent = [publish(full, 0, True), publish(full, 1)]
    switch.to(low)
    assert low.keyframes.due()
    publish(low, 2)  # a delta of a chain that this viewer has not begun
    sent += [publish(full, 2), publish(low, 3, True), publish(low, 4)]
    publish(full, 4)
    assert line.sent == sent
    assert (full.viewers, low.viewers) == (0, 1)
    assert switch.relay is low
    assert switch.delivered == 5


def test_the_same_moment_of_the_new_relay_follows_one_tick_later() -> None:
    full, low, line = new_relay(), new_relay(), Line()
    switch = Switch(line)
    switch.to(full)
    publish(full, 1, True)
    switch.to(low)
    publish(full, 2)
    publish(low, 2, True)
    publish(low, 3)
    assert [each.timestamp for each in line.sent] == [3000, 6000, 6001, 9000]


def test_a_shared_keyframe_of_the_past_does_not_turn_time_back() -> None:
    full, low, line = new_relay(), new_relay(), Line()
    low.subscribe(Line())
    switch = Switch(line)
    switch.to(full)
    publish(full, 0, True)
    publish(low, 1, True)
    for number in (1, 2, 3):
        publish(full, number)
        publish(low, number + 1)
    switch.to(low)  # within 0.1 s of its keyframe: that and what followed come at once
    publish(low, 6)
    assert [each.timestamp for each in line.sent] == [0, 3000, 6000, 9000, 9001, 9002, 9003, 12000, 18000]
    assert full.viewers == 0


def test_a_change_of_mind_before_the_keyframe_changes_nothing() -> None:
    full, low, line = new_relay(), new_relay(), Line()
    switch = Switch(line)
    switch.to(full)
    publish(full, 0, True)
    switch.to(low)
    switch.to(full)
    publish(low, 1, True)
    after = publish(full, 1)
    assert line.sent[-1] is after
    assert (full.viewers, low.viewers) == (1, 0)


def test_a_line_that_takes_nothing_stays_where_it_is_until_it_does() -> None:
    full, low, line = new_relay(), new_relay(), Line()
    switch = Switch(line)
    switch.to(full)
    publish(full, 0, True)
    switch.to(low)
    line.open = False
    publish(low, 1, True)
    assert switch.relay is full
    line.open = True
    publish(low, 2, True)
    assert switch.relay is low


def test_a_lost_picture_is_asked_for_where_the_viewer_goes() -> None:
    full, low = new_relay(), new_relay()
    switch = Switch(Line())
    switch.request_keyframe()
    switch.to(full)
    publish(full, 0, True)
    switch.to(low)
    low.keyframes.granted()
    switch.request_keyframe()
    assert not full.keyframes.due()
    switch.stop()
    switch.stop()
    assert (full.viewers, low.viewers) == (0, 0)
