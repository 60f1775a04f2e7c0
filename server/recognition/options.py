"""What the recognition process is told of the settings, once, when it starts."""

from __future__ import annotations

from dataclasses import dataclass

from ..config import Settings


@dataclass(frozen=True, slots=True)
class RecogniserOptions:
    """Thresholds of naming, and what to keep of a look; see `Settings` for what each means."""

    yunet: str = ""
    max_distance: float = 0.5
    margin: float = 0.04
    not_them_distance: float = 0.35
    looks: int = 3
    looks_of: int = 5
    confirm_s: float = 5.0
    min_face_px: float = 40.0
    min_sharpness: float = 0.06
    evidence: bool = True
    visitors: bool = True

    @classmethod
    def of(cls, settings: Settings) -> RecogniserOptions:
        """The options that `settings` ask for."""
        return cls(
            yunet=settings.recognition_yunet,
            max_distance=settings.recognition_distance,
            margin=settings.recognition_margin,
            not_them_distance=settings.recognition_not_them,
            looks=settings.recognition_looks,
            looks_of=settings.recognition_looks_of,
            confirm_s=settings.recognition_confirm_s,
            min_face_px=settings.recognition_min_face_px,
            min_sharpness=settings.recognition_min_sharpness,
            evidence=settings.evidence,
            visitors=settings.visitors,
        )
