from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import pytest

from server.recognition.gallery import Embedding, Gallery, Known, KnownFace
from server.recognition.options import RecogniserOptions
from server.recognition.pictures import Detection
from server.recognition.quality import Quality
from server.recognition.tracks import Track, Tracks

STEP_S = 1 / 6
OPTIONS = RecogniserOptions()
GOOD = Quality(0.5, None, 80.0)


def embedding(person: int, blur: float = 0.0) -> Embedding:
    """Some person's face: people are 1.0 and more apart, the same person at most `blur`."""
    vector = np.zeros(128)
    vector[person] = 1.0
    vector[100] = blur
    return vector


def gallery(*people: int) -> Gallery:
    return Gallery(Known(tuple(KnownFace(each, f"Person {each}", embedding(each)) for each in people)), 0.5, 0.04)


def at(x: float, y: float = 100, size: float = 80, confidence: float = 0.9) -> Detection:
    return Detection((x, y, size, size), confidence)


def tracks_of(known: Gallery | None = None) -> Tracks:
    return Tracks(itertools.count(1), known or gallery(), OPTIONS)


def look(tracks: Tracks, track: Track, face: Embedding, quality: float = 0.5) -> None:
    tracks.look(track, face, Quality(quality, None, 80.0), b"crop %d" % track.id)


def name(tracks: Tracks, track: Track, person: int) -> None:
    for _ in range(3):
        look(tracks, track, embedding(person))


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
    cameras = [Tracks(numbers, gallery(), OPTIONS) for _ in range(2)]
    for camera in cameras:
        camera.update([at(100)], 0.0)
    assert [ids(camera) for camera in cameras] == [[7], [8]]


def test_three_looks_that_agree_name_a_face() -> None:
    tracks = tracks_of(gallery(1, 2))
    tracks.update([at(100)], 0.0)
    (track,) = tracks.waiting()
    for _ in range(2):
        look(tracks, track, embedding(2, 0.3))
        assert [(face.person_id, face.name) for face in tracks.faces()] == [(None, "Unknown")]
    look(tracks, track, embedding(2, 0.3))
    face = tracks.faces()[0]
    assert (face.person_id, face.name) == (2, "Person 2")
    assert face.distance == pytest.approx(0.3)


def test_a_face_on_the_way_to_its_name_comes_first_then_new_ones_then_who_looks_like_nobody() -> None:
    tracks = tracks_of(gallery(1))
    tracks.update([at(100, size=60), at(400, size=90), at(700, size=70)], 0.0)
    assert [track.id for track in tracks.waiting()] == [2, 3, 1], "the larger first"
    look(tracks, tracks.waiting()[0], embedding(7))
    assert [track.id for track in tracks.waiting()] == [3, 1, 2]
    look(tracks, tracks.waiting()[0], embedding(1))
    assert [track.id for track in tracks.waiting()] == [3, 1, 2]
    for _ in range(2):
        look(tracks, tracks.waiting()[0], embedding(1))
    assert [track.id for track in tracks.waiting()] == [1, 2]


def test_a_named_face_rests_until_it_is_to_be_confirmed() -> None:
    tracks = tracks_of(gallery(1))
    tracks.update([at(100)], 0.0)
    name(tracks, tracks.waiting()[0], 1)
    looked = []
    for index in range(1, 70):
        tracks.update([at(100)], index * STEP_S)
        for track in tracks.waiting():
            looked.append(round(index * STEP_S, 1))
            look(tracks, track, embedding(1))
    assert looked == [5.0, 10.0]


def test_a_named_face_whose_newest_look_disagrees_is_looked_at_at_once() -> None:
    tracks = tracks_of(gallery(1))
    tracks.update([at(100)], 0.0)
    name(tracks, tracks.waiting()[0], 1)
    play(tracks, [[at(100)]] * 30, start=STEP_S)
    (track,) = tracks.waiting()
    look(tracks, track, embedding(1, 0.55))
    assert tracks.faces()[0].person_id == 1, "one look that is too far does not take the name away"
    assert tracks.waiting() == [track]


def test_a_face_that_is_nobody_rests_unless_the_look_would_be_much_better() -> None:
    tracks = tracks_of(gallery(1))
    tracks.update([at(100)], 0.0)
    (track,) = tracks.waiting()
    for _ in range(5):
        assert tracks.is_worth(track, GOOD)
        look(tracks, track, embedding(7))
    tracks.update([at(100)], 1.0)
    assert tracks.waiting() == [track]
    assert not tracks.is_worth(track, GOOD)
    assert tracks.is_worth(track, Quality(0.8, None, 80.0))
    for second in (1.5, 2.0):
        tracks.update([at(100)], second)
    assert tracks.is_worth(track, GOOD)


def test_looks_with_a_flaw_are_not_worth_it_and_the_flaw_is_remembered() -> None:
    tracks = tracks_of()
    tracks.update([at(100)], 0.0)
    (track,) = tracks.waiting()
    assert not tracks.is_worth(track, Quality(0.0, "blurred", 80.0))
    assert track.flaw == "blurred"
    assert tracks.is_worth(track, GOOD)
    assert track.flaw is None


def test_doubtful_and_absent_faces_are_not_looked_at() -> None:
    tracks = tracks_of()
    tracks.update([at(100), at(400)], 0.0)
    tracks.update([at(400, confidence=0.5)], STEP_S)
    assert tracks.waiting() == []


def test_nobody_is_in_two_places() -> None:
    tracks = tracks_of(gallery(1))
    tracks.update([at(100), at(400)], 0.0)
    for track in tracks.waiting():
        name(tracks, track, 1)
    assert [(face.person_id, face.name) for face in tracks.faces()] == [(None, "Unknown")] * 2
    assert not any(tracks.shall_tell(track) for track in (tracks.find(1), tracks.find(2)) if track)
    tracks.update([at(400)], STEP_S)
    assert [face.person_id for face in tracks.faces()] == [None, 1], "the lost face gives way to the one in sight"


def test_a_new_gallery_names_faces_at_once_and_has_them_looked_at_again() -> None:
    tracks = tracks_of(gallery())
    tracks.update([at(100)], 0.0)
    name(tracks, tracks.waiting()[0], 3)
    assert tracks.faces()[0].name == "Unknown"
    tracks.change_gallery(gallery(3))
    assert tracks.faces()[0].name == "Person 3"
    assert [track.id for track in tracks.waiting()] == [1]
    tracks.change_gallery(gallery())
    assert tracks.faces()[0].name == "Unknown"


def test_a_name_is_told_with_each_look_and_nobody_only_now_and_then() -> None:
    tracks = tracks_of(gallery(1))
    tracks.update([at(100), at(400)], 0.0)
    known, nobody = tracks.waiting()
    name(tracks, known, 1)
    assert tracks.shall_tell(known)
    assert tracks.shall_tell(known)
    assert not tracks.shall_tell(nobody), "it has no look yet"
    for _ in range(5):
        look(tracks, nobody, embedding(7))
    told = []
    for index in range(60):
        tracks.update([at(100), at(400)], index * STEP_S)
        if tracks.shall_tell(nobody):
            told.append(round(index * STEP_S, 1))
    assert told == [0.0, 5.0]


def test_a_hidden_person_has_no_name_and_no_crop_from_the_first_look_on() -> None:
    hidden = Gallery(Known((KnownFace(1, "Person 1", embedding(1), is_hidden=True),)), 0.5, 0.04)
    tracks = tracks_of(hidden)
    tracks.update([at(100)], 0.0)
    (track,) = tracks.waiting()
    for _ in range(4):
        look(tracks, track, embedding(1))
        face = tracks.faces()[0]
        assert (face.person_id, face.name, face.is_hidden) == (None, "Unknown", True)
        assert track.naming.best().crop == b""
        assert not tracks.shall_tell(track)


def test_a_named_face_that_was_out_of_sight_has_no_name_until_it_is_looked_at() -> None:
    tracks = tracks_of(gallery(1))
    tracks.update([at(100)], 0.0)
    (track,) = tracks.waiting()
    name(tracks, track, 1)
    play(tracks, [[], [at(100)]], start=STEP_S)
    assert tracks.faces()[0].person_id == 1, "missed once"
    play(tracks, [[], [], [at(100)]], start=3 * STEP_S)
    assert tracks.faces()[0].person_id is None, "missed twice: someone else may stand there now"
    assert tracks.waiting() == [track]
    look(tracks, track, embedding(1))
    assert tracks.faces()[0].person_id == 1


def test_a_face_that_was_missed_and_is_back_elsewhere_has_no_name_either() -> None:
    tracks = tracks_of(gallery(1))
    play(tracks, [[at(100)]] * 2)
    name(tracks, tracks.waiting()[0], 1)
    play(tracks, [[], [at(165)]], start=2 * STEP_S)
    assert ids(tracks) == [1]
    assert tracks.faces()[0].person_id is None
