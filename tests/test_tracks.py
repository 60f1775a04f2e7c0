from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import pytest

from server.recognition.gallery import Embedding, Gallery, KnownFace
from server.recognition.pictures import Detection
from server.recognition.tracks import Track, Tracks

STEP_S = 1 / 6


def embedding(person: int, blur: float = 0.0) -> Embedding:
    """Some person's face: people are 1.0 and more apart, the same person at most `blur`."""
    vector = np.zeros(128)
    vector[person] = 1.0
    vector[100] = blur
    return vector


def gallery(*people: int) -> Gallery:
    return Gallery([KnownFace(person, f"Person {person}", embedding(person)) for person in people], 0.5, 0.04)


def at(x: float, y: float = 100, size: float = 80, confidence: float = 0.9) -> Detection:
    return Detection((x, y, size, size), confidence)


def tracks_of(known: Gallery | None = None) -> Tracks:
    return Tracks(itertools.count(1), known or gallery())


def wanted(tracks: Tracks) -> Track:
    track = tracks.wanting_a_look()
    assert track is not None
    return track


def ids(tracks: Tracks) -> list[int]:
    return [face.track_id for face in tracks.faces()]


def play(tracks: Tracks, moments: Sequence[Sequence[Detection]], start: float = 0.0) -> None:
    for index, found in enumerate(moments):
        tracks.update(found, start + index * STEP_S)


def test_a_face_keeps_its_number_while_it_moves() -> None:
    tracks = tracks_of()
    play(tracks, [[at(100 + 30 * n), at(900 - 30 * n)] for n in range(12)])
    assert ids(tracks) == [1, 2]


def test_a_quick_face_that_left_its_old_box_keeps_its_number() -> None:
    tracks = tracks_of()
    play(tracks, [[at(100 + 75 * n)] for n in range(6)])
    assert ids(tracks) == [1]


def test_faces_that_cross_keep_their_numbers_by_their_motion() -> None:
    tracks = tracks_of()
    play(tracks, [[at(100 + 40 * n, y=100), at(580 - 40 * n, y=130)] for n in range(13)])
    boxes = {face.track_id: face.box[0] for face in tracks.faces()}
    assert boxes[1] == pytest.approx(580, abs=15)
    assert boxes[2] == pytest.approx(100, abs=15)


def test_velocity_is_in_pixels_a_second() -> None:
    tracks = tracks_of()
    play(tracks, [[at(100 + 20 * n, y=300 - 10 * n)] for n in range(10)])
    assert tracks.faces()[0].velocity == pytest.approx((120, -60), rel=0.02)


def test_a_still_face_does_not_drift_with_the_detectors_noise() -> None:
    tracks = tracks_of()
    play(tracks, [[at(100 + 2 * (n % 2))] for n in range(40)])
    face = tracks.faces()[0]
    assert face.box[0] == pytest.approx(101, abs=2)
    assert abs(face.velocity[0]) < 15


def test_a_missed_face_goes_on_as_it_did_and_ends_after_half_a_second() -> None:
    tracks = tracks_of()
    play(tracks, [[at(100 + 20 * n)] for n in range(6)])
    tracks.update([], 6 * STEP_S)
    assert tracks.faces()[0].box[0] == pytest.approx(220, abs=5)
    tracks.update([], 8 * STEP_S - 0.01)
    assert ids(tracks) == [1]
    tracks.update([], 8 * STEP_S + 0.01)
    assert ids(tracks) == []


def test_a_face_that_comes_back_has_a_new_number() -> None:
    tracks = tracks_of()
    play(tracks, [[at(100)], [], [], [], [], [at(100)]])
    assert ids(tracks) == [2]


def test_slow_recognition_does_not_end_tracks() -> None:
    tracks = tracks_of()
    for second in range(4):
        tracks.update([at(100 + 5 * second)], float(second))
    assert ids(tracks) == [1]


def test_a_doubtful_detection_continues_a_track_but_begins_none() -> None:
    tracks = tracks_of()
    tracks.update([at(100, confidence=0.45)], 0.0)
    assert ids(tracks) == []
    play(tracks, [[at(100)], *([[at(100, confidence=0.45)]] * 6)], start=1.0)
    assert ids(tracks) == [1]


def test_a_sure_detection_goes_before_a_doubtful_one() -> None:
    tracks = tracks_of()
    play(tracks, [[at(100)], [at(100, confidence=0.45), at(110, confidence=0.9)]])
    assert ids(tracks) == [1]
    assert tracks.faces()[0].confidence == 0.9


@pytest.mark.parametrize("jump", [-3.0, 60.0])
def test_a_clock_that_jumps_begins_anew(jump: float) -> None:
    tracks = tracks_of()
    tracks.update([at(100)], 10.0)
    tracks.update([at(100)], 10.0 + jump)
    assert ids(tracks) == [2]


def test_the_same_moment_twice_changes_nothing() -> None:
    tracks = tracks_of()
    tracks.update([at(100)], 1.0)
    tracks.update([at(400)], 1.0)
    assert [face.box[0] for face in tracks.faces()] == [100]


def test_cameras_share_the_numbers() -> None:
    numbers = itertools.count(7)
    cameras = [Tracks(numbers, gallery()) for _ in range(2)]
    for camera in cameras:
        camera.update([at(100)], 0.0)
    assert [ids(camera) for camera in cameras] == [[7], [8]]


def test_one_good_look_names_a_face() -> None:
    tracks = tracks_of(gallery(1, 2))
    tracks.update([at(100)], 0.0)
    assert [(face.person_id, face.name) for face in tracks.faces()] == [(None, "Unknown")]
    tracks.look(wanted(tracks), embedding(2, 0.3))
    face = tracks.faces()[0]
    assert (face.person_id, face.name) == (2, "Person 2")
    assert face.distance == pytest.approx(0.3)


def test_new_faces_are_looked_at_first_and_the_larger_before_the_smaller() -> None:
    tracks = tracks_of(gallery(1))
    tracks.update([at(100, size=60), at(400, size=90)], 0.0)
    first = wanted(tracks)
    assert first.id == 2
    tracks.look(first, embedding(1))
    second = wanted(tracks)
    assert second.id == 1
    tracks.look(second, embedding(5))
    assert tracks.wanting_a_look() is None


def test_a_named_face_is_confirmed_every_few_seconds_and_an_unknown_one_sooner() -> None:
    tracks = tracks_of(gallery(1))
    tracks.update([at(100), at(400)], 0.0)
    tracks.look(wanted(tracks), embedding(1))
    tracks.look(wanted(tracks), embedding(5))
    looked: dict[int, list[float]] = {1: [], 2: []}
    for index in range(1, 40):
        now = index * STEP_S
        tracks.update([at(100), at(400)], now)
        track = tracks.wanting_a_look()
        if track is not None:
            looked[track.id].append(round(now, 2))
            tracks.look(track, embedding({1: 1, 2: 5}[track.id]))
    assert looked[1] == [3.0, 6.0]
    assert looked[2] == [0.5, 1.0, 1.5, 2.0, 4.0, 6.17]  # after five looks it is left alone longer


def test_small_doubtful_and_hidden_faces_are_not_looked_at() -> None:
    tracks = tracks_of()
    tracks.update([at(100, size=30), at(400)], 0.0)
    tracks.update([at(100, size=30), at(400, confidence=0.5)], STEP_S)
    assert tracks.wanting_a_look() is None
    tracks.update([at(100, size=30)], 2 * STEP_S)
    assert tracks.wanting_a_look() is None


def test_nobody_is_in_two_places() -> None:
    tracks = tracks_of(gallery(1))
    tracks.update([at(100, size=90), at(400)], 0.0)
    tracks.look(wanted(tracks), embedding(1, 0.4))
    tracks.look(wanted(tracks), embedding(1, 0.1))
    assert [face.person_id for face in tracks.faces()] == [None, 1]


def test_a_new_gallery_names_faces_at_once_and_has_them_looked_at_again() -> None:
    tracks = tracks_of(gallery())
    tracks.update([at(100)], 0.0)
    tracks.look(wanted(tracks), embedding(3))
    assert tracks.faces()[0].name == "Unknown"
    tracks.change_gallery(gallery(3))
    assert tracks.faces()[0].name == "Person 3"
    assert wanted(tracks).id == 1
    tracks.change_gallery(gallery())
    assert tracks.faces()[0].name == "Unknown"


def test_a_track_that_jumped_to_somebody_else_forgets_its_looks() -> None:
    tracks = tracks_of(gallery(1, 2))
    tracks.update([at(100)], 0.0)
    track = wanted(tracks)
    for _ in range(5):
        tracks.look(track, embedding(1))
    tracks.look(track, embedding(2))
    assert [face.person_id for face in tracks.faces()] == [2]
