"""Counters and gauges, for Prometheus and for the pages. Every drop on purpose has one here.

Each application makes its own `Metrics`, so that two servers in one process (as in the tests) do not mix.
"""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Summary, generate_latest

# Seconds, closest where it begins to show: at 30 pictures a second there are 33 ms for each.
LAG_BUCKETS = (0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.015, 0.02, 0.025, 0.03, 0.04, 0.05, 0.075, 0.1, 0.2, 0.5, 1)


class Metrics:
    """All of one server's numbers. Thread-safe: prometheus_client locks each value."""

    def __init__(self) -> None:
        registry = self._registry = CollectorRegistry()

        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(f"surveillx_{name}", text, labels, registry=registry)

        def gauge(name: str, text: str, *labels: str) -> Gauge:
            return Gauge(f"surveillx_{name}", text, labels, registry=registry)

        encoding = ("camera", "codec", "rendition", "picture")
        self.frames_received = counter("frames_received", "Pictures decoded from a publisher", "camera")
        self.frames_recognised = counter("frames_recognised", "Pictures that went through recognition", "camera")
        self.frames_dropped = counter(
            "frames_dropped", "Pictures replaced by a newer one before use", "camera", "stage"
        )
        self.frames_encoded = counter("frames_encoded", "Pictures encoded, once for all viewers", *encoding)
        self.keyframes = counter("keyframes", "Keyframes encoded", *encoding)
        self.encodes_active = gauge("encodes_active", "Encoders running now", *encoding)
        self.stage_seconds = Summary(
            "surveillx_stage_seconds", "Time a picture spent in a stage", ("camera", "stage"), registry=registry
        )
        self.relay_drops = counter("relay_dropped_packets", "Packets skipped for a slow viewer", "camera")
        self.jpeg_frames = counter("jpeg_frames", "Pictures encoded for the JPEG path", "camera")
        self.jpeg_skipped = counter("jpeg_skipped", "JPEG pictures a slow client did not take", "camera")
        self.sessions = gauge("sessions", "Peer connections open now", "kind")
        self.offers = counter("offers", "Offers by outcome", "kind", "outcome")
        self.strange_datagrams = counter("strange_datagrams", "Datagrams from unknown senders, ignored")
        self.recognition_restarts = counter("recognition_restarts", "Times the recognition process was restarted")
        self.recognition_seconds = gauge("recognition_seconds", "Duration of the latest recognition")
        self.loop_blocked = counter("loop_blocked", "Times the event loop stood still for more than 0.3 s")
        self.loop_lag = Histogram(
            "surveillx_loop_lag_seconds",
            "How late the event loop was, asked ten times a second",
            buckets=LAG_BUCKETS,
            registry=registry,
        )
        self.tasks = gauge("tasks", "Tasks on the event loop now")
        self.picture_age = gauge(
            "picture_age_seconds", "Age of the median picture when it left for its viewers, of the worst camera"
        )
        self.degradation = gauge("degradation", "Steps by which the server does less because it is busy; 0: none")
        self.attendance_marked = counter("attendance_marked", "Attendance rows written")
        self.webhook_events = counter("webhook_events", "Attendance events for the webhook by outcome", "outcome")
        self.webhook_retries = counter("webhook_retries", "Attempts at the webhook that failed and are made again")
        self.attendance_waiting = gauge("attendance_waiting", "Marks that wait for the database")
        self.attendance_refused = counter("attendance_refused", "Marks not taken because too many waited already")

    def render(self) -> bytes:
        """The Prometheus text format."""
        return generate_latest(self._registry)
