"""Coverage-guided attacks with atheris: `python -m tests.fuzz TARGET [-max_total_time=60]`; Linux, in `make fuzz`."""
