"""What a publisher's line carries: upstream's estimate, without its false alarms."""

from __future__ import annotations

from collections import deque
from functools import cached_property

from aiortc.rate import AimdRateControl, BandwidthUsage, OveruseDetector, RemoteBitrateEstimator

# A line that is full makes packets wait, and goes on to. Less than this is a busy processor or Wi-Fi taking turns, and
# so is more that is over sooner: whoever stood still for half a second then finds all packets of that time at once.
STANDING_QUEUE_MS = 40.0
STANDING_FOR_MS = 150
# A queue as long as this is there to stay, unless less is sent; not told more often than it takes to see an effect.
FULL_QUEUE_MS = 200.0
TELL_AGAIN_MS = 1000
# Nothing has waited for so long: the line is not near its limit.
CALM_MS = 2000
# What came fades by so much with each estimate, twice a second: by half in seven seconds.
FADING = 0.95
# The least delay of so long is taken for that of the empty line; clocks drift by less than 1 ms in it.
MEMORY_S = 20
_TICK_MS = 1000 / (1 << 18)  # abs-send-time counts 2**-18 s in 24 bits
_WRAP = 1 << 24


class SteadyEstimator(RemoteBitrateEstimator):
    """aiortc/rate.py looks at how delays change, not at how long they are, which is wrong three times.

    It calls a line overused when delays grow for 10 ms, as they do on a busy machine all the time; the publisher then
    goes down to 0.85 of what it sends. It sees nothing amiss in a queue that is full and stays so. And once a line has
    been full, it goes up by a packet a second instead of 8 %. Here a line is overused while packets wait.
    """

    def __init__(self) -> None:
        super().__init__()
        self.queue = StandingQueue()
        self.detector = _CalmDetector(self.queue)
        self.rate_control = _RateControl()
        self._waited_at_ms = self._told_at_ms = 0

    def add(
        self, arrival_time_ms: int, abs_send_time: int, payload_size: int, ssrc: int
    ) -> tuple[int, list[int]] | None:
        """Take a packet; a new estimate in bit/s and the SSRCs it is for, when there is one."""
        self.queue.add(arrival_time_ms, abs_send_time)
        if self.queue.waiting_ms > STANDING_QUEUE_MS:
            self._waited_at_ms = arrival_time_ms
        elif arrival_time_ms - self._waited_at_ms > CALM_MS:
            self.rate_control.near_max = False
        if self.queue.waiting_ms > FULL_QUEUE_MS and arrival_time_ms - self._told_at_ms > TELL_AGAIN_MS:
            self._told_at_ms = arrival_time_ms
            self.detector.hypothesis = BandwidthUsage.OVERUSING
        return super().add(arrival_time_ms, abs_send_time, payload_size, ssrc)


class _RateControl(AimdRateControl):
    """Upstream's, which never estimates more than 1.5 times what comes just now. A picture in which little moves takes
    little, and held the estimate where it was: here the most that came in the last seconds counts."""

    def __init__(self) -> None:
        super().__init__()
        self._most_came = 0.0

    def _clamp_bitrate(self, new_bitrate: int, estimated_throughput: int) -> int:
        self._most_came = max(float(estimated_throughput), self._most_came * FADING)
        return super()._clamp_bitrate(new_bitrate, round(self._most_came))

    def _multiplicative_rate_increase(self, new_bitrate: int, last_ms: int, now_ms: int) -> int:
        # Twice as fast: upstream must not overshoot, for it notices a full queue late or never.
        return 2 * super()._multiplicative_rate_increase(new_bitrate, last_ms, now_ms)


class StandingQueue:
    """How long packets wait on the line: their delay above the least of the last seconds.

    `waiting_ms` is 0 until they have waited for `STANDING_FOR_MS` on end.
    """

    def __init__(self) -> None:
        self._least: deque[tuple[int, float]] = deque(maxlen=MEMORY_S)  # one a second
        self._sent_ms = 0.0
        self._last_ticks: int | None = None
        self._waited_since_ms: int | None = None
        self.waiting_ms = 0.0

    def add(self, arrival_time_ms: int, abs_send_time: int) -> None:
        """Take a packet. A repeated one carries the time of its first sending and says nothing."""
        if self._last_ticks is None:
            self._last_ticks = abs_send_time
        ahead = (abs_send_time - self._last_ticks) % _WRAP
        if ahead > _WRAP // 2:
            return
        self._last_ticks = abs_send_time
        self._sent_ms += ahead * _TICK_MS
        delay_ms = arrival_time_ms - self._sent_ms
        second = arrival_time_ms // 1000
        if not self._least or self._least[-1][0] != second:
            self._least.append((second, delay_ms))
        elif delay_ms < self._least[-1][1]:
            self._least[-1] = (second, delay_ms)
        waited_ms = delay_ms - min(least for _, least in self._least)
        if waited_ms < STANDING_QUEUE_MS:
            self._waited_since_ms = None
        elif self._waited_since_ms is None:
            self._waited_since_ms = arrival_time_ms
        since_ms = self._waited_since_ms
        self.waiting_ms = waited_ms if since_ms is not None and arrival_time_ms - since_ms >= STANDING_FOR_MS else 0.0


class LateEstimator:
    """aiortc's estimator, made with the first packet.

    aiortc/rtcrtpreceiver.py RTCRtpReceiver.__init__ makes one for every receiver, which is over a thousand objects
    (rate.py RateCounter, one for each millisecond). The receiver of a viewer's connection never gets a packet.
    """

    @cached_property
    def _estimator(self) -> RemoteBitrateEstimator:
        return RemoteBitrateEstimator()

    def add(
        self, arrival_time_ms: int, abs_send_time: int, payload_size: int, ssrc: int
    ) -> tuple[int, list[int]] | None:
        """Take a packet; a new estimate in bit/s and the SSRCs it is for, when there is one."""
        return self._estimator.add(arrival_time_ms, abs_send_time, payload_size, ssrc)


class _CalmDetector(OveruseDetector):
    def __init__(self, queue: StandingQueue) -> None:
        super().__init__()
        self._queue = queue

    def detect(self, offset: float, timestamp_delta_ms: float, num_of_deltas: int, now_ms: int) -> BandwidthUsage:
        super().detect(offset, timestamp_delta_ms, num_of_deltas, now_ms)
        if self._queue.waiting_ms < STANDING_QUEUE_MS:
            # Nothing waits, so nothing drains either: upstream calls that underuse, and stays where it is for seconds.
            self.hypothesis = BandwidthUsage.NORMAL
        return self.hypothesis
