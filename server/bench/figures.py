"""From judged clips to figures: what goes into the JSON file, and the same as text."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from ..events import UNKNOWN
from .judging import SIZES, Appearance, Judgement, Track
from .playing import Played
from .report import table

# Of the recognised frames. At rest a job is done before the next frame comes, unless many faces are new at once.
TOO_MANY_DROPPED = 0.5

Figures = dict[str, Any]
Judged = tuple[Played, Judgement | None]


def of_clip(played: Played, judgement: Judgement | None, is_fast: bool) -> Figures:
    """One clip's figures."""
    judged = _judged([judgement]) if judgement is not None else {"seen": _seen(played)}
    return {
        "clip": str(played.file),
        "width": played.width,
        "height": played.height,
        "frames": len(played.times_s),
        "fps": round(played.fps, 2),
        **_speed([played], is_fast),
        **judged,
    }


def of_everything(clips: Sequence[Judged], is_fast: bool) -> Figures:
    """All clips together."""
    judgements = [judgement for _, judgement in clips if judgement is not None]
    played = [each for each, _ in clips]
    frames = sum(len(each.times_s) for each in played)
    return {"frames": frames, **_speed(played, is_fast), **(_judged(judgements) if judgements else {})}


def _speed(played: Sequence[Played], is_fast: bool) -> Figures:
    """What it cost; a clip that waited for its results has nothing to say about that."""
    recognised = sum(len(each.recognised) for each in played)
    if is_fast:
        return {"recognised": recognised}
    seconds = sum(each.lasted_s for each in played)
    return {
        "recognised": recognised,
        "recognitions_per_s": round(recognised / seconds, 2),
        "process_cores": round(sum(each.cpu_s for each in played) / seconds, 3),
        "result_age_ms": spread([age for each in played for age in each.ages_ms], 0),
        "dropped": sum(each.dropped for each in played),
    }


def _seen(played: Played) -> list[Figures]:
    """Without a truth: every track with its names and for how long it was there."""
    names: dict[int, Counter[str]] = {}
    times: dict[int, list[float]] = {}
    for result in played.results:
        for face in result.faces:
            names.setdefault(face.track_id, Counter())[face.name] += 1
            times.setdefault(face.track_id, []).append(played.times_s[result.frame])
    return [
        {
            "track": track,
            "names": sorted(set(count) - {UNKNOWN}),
            "from_s": round(times[track][0], 2),
            "to_s": round(times[track][-1], 2),
        }
        for track, count in names.items()
    ]


def _judged(judgements: Sequence[Judgement]) -> Figures:
    appearances = [each for judgement in judgements for each in judgement.appearances.values()]
    tracks = [each for judgement in judgements for each in judgement.tracks.values()]
    waits = [each.time_to_name_s for each in appearances if each.time_to_name_s is not None]
    return {
        "faces_found": _found(judgements),
        "appearances": _appearances(appearances),
        "tracks": _tracks(tracks),
        "time_to_name_s": spread(waits, 2),
        "box_iou": spread([iou for judgement in judgements for iou in judgement.ious], 3),
        "boxes": {
            "faces": sum(judgement.faces_shown for judgement in judgements),
            "with_box": sum(len(judgement.ious) for judgement in judgements),
            "shown": sum(judgement.boxes_shown for judgement in judgements),
            "on_nothing": sum(judgement.boxes_on_nothing for judgement in judgements),
        },
        "missed": [_missed(each) for each in appearances if each.person is not None and each.named_at_s is None],
        "wrong": [_wrong(each) for each in tracks if each.verdict == "wrong"],
    }


def _found(judgements: Sequence[Judgement]) -> Figures:
    result = {}
    for name, _, _ in SIZES:
        found, total = (sum(judgement.found[name][which] for judgement in judgements) for which in (0, 1))
        result[name] = {"found": found, "of": total, "share": round(found / total, 3) if total else None}
    return result


def _appearances(appearances: Sequence[Appearance]) -> Figures:
    known = [each for each in appearances if each.person is not None]
    strangers = [each for each in appearances if each.person is None]
    return {
        "known": len(known),
        "named_right": sum(each.named_at_s is not None for each in known),
        "large_enough": sum(each.good_at_s is not None for each in known),
        "named_wrong": sum(bool(each.wrong_names) for each in appearances),
        "strangers": len(strangers),
        "strangers_named": sum(bool(each.wrong_names) for each in strangers),
        "never_found": sum(not each.was_found for each in appearances),
    }


def _tracks(tracks: Sequence[Track]) -> Figures:
    """Of people who are enrolled: right, wrong and unknown. Of strangers: unknown, as they should be, and wrong."""

    def verdicts(some: Iterable[Track]) -> dict[str, int]:
        count = Counter(each.verdict for each in some)
        return {verdict: count[verdict] for verdict in ("right", "wrong", "unknown")}

    return {
        "known": verdicts(each for each in tracks if each.person is not None),
        "strangers": verdicts(each for each in tracks if each.people and each.person is None),
        "on_nothing": sum(not each.people for each in tracks),
    }


def _missed(appearance: Appearance) -> Figures:
    """Who was never named; the longer part of the reason is in the clip."""
    size = round(appearance.largest_px)
    if not appearance.was_found:
        why = "its face was never found"
    elif appearance.good_at_s is None:
        why = "its face was never large enough to be named"
    else:
        why = "no sure name"
    return {"person": appearance.person, "appearance": appearance.id, "largest_px": size, "why": why}


def _wrong(track: Track) -> Figures:
    people = sorted("a stranger" if person is None else person for person in track.people)
    return {"track": track.id, "names": dict(track.names), "really": people, "wrong_results": track.wrongs}


def spread(values: Sequence[float], digits: int) -> Figures:
    """Count, mean, median, 10th and 95th percentile; None where there are no values."""
    if not values:
        return {"n": 0, "mean": None, "median": None, "p10": None, "p95": None}
    low, middle, high = (round(float(each), digits) for each in np.percentile(values, (10, 50, 95)))
    return {"n": len(values), "mean": round(float(np.mean(values)), digits), "median": middle, "p10": low, "p95": high}


def rendered(result: Figures) -> str:
    """The result as text: a line a clip, then all together, then what went wrong and what was missed."""
    people = result["people"]
    lines = [
        f"  people    {len(people['enrolled'])} with {people['photos']} photos, {len(people['refused'])} refused",
        f"  mode      {result['mode']}, n = {len(result['clips'])} clips, {result['all']['frames']} frames",
        *(f"  refused   {each['photo']}: {each['why']}" for each in people["refused"]),
        "",
    ]
    judged = [clip for clip in result["clips"] if "tracks" in clip]
    if judged:
        lines += [table(_HEADER, [_row(clip["clip"].replace("\\", "/").rsplit("/", 1)[-1], clip) for clip in judged])]
    lines += [line for clip in result["clips"] if "seen" in clip for line in _told(clip)]
    return "\n".join([*lines, "", *_totals(result["all"]), *_faults(judged)])


_HEADER = ("clip", *(f"found {name}" for name, _, _ in SIZES), "named", "wrong", "strangers", "to name s", "IoU", "p10")


def _row(name: str, clip: Figures) -> tuple[str, ...]:
    appearances = clip["appearances"]
    return (
        name,
        *(_share(clip["faces_found"][size]) for size, _, _ in SIZES),
        f"{appearances['named_right']}/{appearances['known']}",
        str(appearances["named_wrong"]),
        f"{appearances['strangers_named']}/{appearances['strangers']}",
        _number(clip["time_to_name_s"]["median"]),
        _number(clip["box_iou"]["mean"]),
        _number(clip["box_iou"]["p10"]),
    )


def _told(clip: Figures) -> list[str]:
    lines = [f"{clip['clip']}: {clip['frames']} frames, {len(clip['seen'])} faces followed"]
    for seen in clip["seen"]:
        names = ", ".join(seen["names"]) or UNKNOWN
        lines.append(f"  track {seen['track']:<4} {seen['from_s']:6.1f} to {seen['to_s']:6.1f} s  {names}")
    return lines


def _totals(figures: Figures) -> list[str]:
    lines = []
    if "tracks" in figures:
        lines += _judged_totals(figures)
    if "process_cores" in figures:
        age = figures["result_age_ms"]
        lines += [
            f"recognitions        {figures['recognitions_per_s']} a second, {figures['dropped']} dropped",
            f"recognition process {figures['process_cores']} cores",
            f"age of a result     median {_number(age['median'])} ms, p95 {_number(age['p95'])} ms (n = {age['n']})",
        ]
        if figures["dropped"] > TOO_MANY_DROPPED * figures["recognised"]:
            lines.append("too slow            more frames were dropped than this machine at rest would; measure again")
    return lines


def _judged_totals(figures: Figures) -> list[str]:
    found = ", ".join(f"{size} px {_share(figures['faces_found'][size])}" for size, _, _ in SIZES)
    seen, tracks, waits = figures["appearances"], figures["tracks"], figures["time_to_name_s"]
    known, strangers, iou, boxes = tracks["known"], tracks["strangers"], figures["box_iou"], figures["boxes"]
    rows = {
        "faces found": found,
        "appearances": f"{seen['named_right']} of {seen['known']} people named right "
        f"({seen['known'] - seen['large_enough']} never large enough), {seen['named_wrong']} wrong; "
        f"{seen['strangers_named']} of {seen['strangers']} strangers named",
        "tracks of people": f"{known['right']} right, {known['wrong']} wrong, {known['unknown']} unknown",
        "tracks of strangers": f"{strangers['unknown']} unknown, {strangers['wrong']} wrong; "
        f"on no face: {tracks['on_nothing']}",
        "time to name": f"median {_number(waits['median'])} s, p95 {_number(waits['p95'])} s (n = {waits['n']})",
        "box IoU": f"mean {_number(iou['mean'])}, p10 {_number(iou['p10'])} (n = {iou['n']})",
        "boxes": f"{boxes['with_box']} of {boxes['faces']} faces have one; {boxes['on_nothing']} are on nothing",
    }
    return [f"{name:<19} {value}" for name, value in rows.items()]


def _faults(clips: Sequence[Figures]) -> list[str]:
    wrong = [
        f"WRONG   {clip['clip']}: track {each['track']} named {each['names']}, really {each['really']}"
        for clip in clips
        for each in clip["wrong"]
    ]
    missed = [
        f"missed  {clip['clip']}: {each['person']} (at most {each['largest_px']} px): {each['why']}"
        for clip in clips
        for each in clip["missed"]
    ]
    return [*wrong, *missed]


def _share(found: Figures) -> str:
    return "-" if found["share"] is None else f"{100 * found['share']:.0f} %"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:g}"
