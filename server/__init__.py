"""SurveillX FastRTC: a camera's picture in every browser, live, with names on the faces."""

__version__ = "0.1.0"
