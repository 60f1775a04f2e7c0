"""The relay: everybody gets every picture, a slow viewer loses only its own, keyframes are shared."""

from __future__ import annotations

from server.relay import KeyframeBroker, Picture, Relay


class Line:
    """A viewer's line that takes pictures while it is `open`."""

    def __init__(self) -> None:
        self.open = True
        self.sent: list[Picture] = []

    def send(self, picture: Picture) -> bool:
        if self.open:
            self.sent.append(picture)
        return self.open


def picture(number: int, is_keyframe: bool = False) -> Picture:
    return Picture(number * 3000, is_keyframe, (bytes([number % 256]),))


def new_relay() -> Relay:
    return Relay(keyframe_interval_s=0.5)


def test_every_viewer_gets_the_same_picture_objects() -> None:
    relay = new_relay()
    lines = [Line() for _ in range(3)]
    subscriptions = [relay.subscribe(line) for line in lines]
    key = picture(0, is_keyframe=True)
    relay.publish(key)
    assert all(line.sent == [key] for line in lines)
    for subscription in subscriptions:
        subscription.stop()
        subscription.stop()
    assert relay.viewers == 0


def test_a_viewer_starts_at_a_keyframe() -> None:
    relay, line = new_relay(), Line()
    relay.subscribe(line)
    assert relay.keyframes.due(), "joining asks for one"
    key = picture(3, is_keyframe=True)
    for each in (picture(1), picture(2), key):
        relay.publish(each)
    assert line.sent == [key]
    assert relay.dropped == 2


def test_a_viewer_joining_just_after_a_keyframe_shares_it() -> None:
    relay, late = new_relay(), Line()
    relay.subscribe(Line())
    sent = [picture(0, is_keyframe=True), picture(1), picture(2)]
    for each in sent:
        relay.publish(each)
    relay.subscribe(late)
    assert late.sent == sent
    assert not relay.keyframes.due()


def test_a_slow_viewer_skips_to_the_next_keyframe_and_the_others_lose_nothing() -> None:
    relay, slow, quick = new_relay(), Line(), Line()
    subscription = relay.subscribe(slow)
    relay.subscribe(quick)
    pictures = [picture(number, is_keyframe=number in (0, 8)) for number in range(10)]
    for each in pictures:
        slow.open = each.timestamp != 4 * 3000
        relay.publish(each)
    assert quick.sent == pictures
    assert slow.sent == [*pictures[:4], *pictures[8:]]
    assert relay.dropped == 4
    assert subscription.delivered == len(slow.sent)


def test_a_viewer_may_leave_while_a_picture_is_handed_out() -> None:
    relay, stays = new_relay(), Line()

    class Leaving(Line):
        def send(self, picture: Picture) -> bool:
            subscription.stop()
            return super().send(picture)

    subscription = relay.subscribe(Leaving())
    relay.subscribe(stays)
    relay.publish(picture(0, is_keyframe=True))
    relay.publish(picture(1))
    assert len(stays.sent) == 2


def test_the_first_viewer_wakes_the_encoder() -> None:
    woken: list[int] = []
    relay = Relay(keyframe_interval_s=0.5, on_first=lambda: woken.append(1))
    relay.subscribe(Line())
    relay.subscribe(Line())
    assert woken == [1]


def test_keyframes_are_granted_at_most_once_in_the_interval() -> None:
    now = [100.0]
    broker = KeyframeBroker(0.5, clock=lambda: now[0])
    assert not broker.due()
    for _ in range(100):
        broker.request()
    assert broker.due()
    broker.granted()
    assert not broker.due()
    broker.request()
    assert not broker.due(), "too soon after the last one"
    now[0] += 0.5
    assert broker.due(), "the wish is kept"


def test_a_class_that_joins_at_once_shares_two_keyframes() -> None:
    """Sixty-five within a second, one every 16 ms: the first is served at once, all others together."""
    now = 100.0
    broker = KeyframeBroker(0.5, clock=lambda: now)
    granted = []
    for tick in range(300):
        now = 100.0 + tick / 128
        if tick % 2 == 0 and tick <= 128:
            broker.join()
        if broker.due():
            broker.granted()
            granted.append(tick)
    assert granted == [0, 128 + 39], "0.3 s after the last one"


def test_nobody_waits_long_for_others_to_join_and_a_lost_picture_does_not_wait_for_them() -> None:
    now = 100.0
    broker = KeyframeBroker(0.5, clock=lambda: now)
    broker.join()
    assert broker.due(), "the last keyframe is long ago"
    broker.granted()
    granted = []
    for tick in range(1, 250):
        now = 100.0 + tick / 128
        broker.join()
        if tick == 200:
            broker.request()
        if broker.due():
            broker.granted()
            granted.append(tick)
    assert granted == [180, 180 + 64], "1.4 s; then 0.5 s, because a picture was lost"
