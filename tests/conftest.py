"""How long the tests attack by machine: `short` in `make test`, the same inputs each time; `long` is `make fuzz`."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

# A server is shared by all inputs of a test on purpose, and what takes long here is judged by the tests themselves.
_SHARED = settings(deadline=None, suppress_health_check=tuple(HealthCheck), print_blob=True)

settings.register_profile("short", _SHARED, max_examples=150, derandomize=True, database=None)
settings.register_profile("long", _SHARED, max_examples=10_000)
settings.load_profile("short")
