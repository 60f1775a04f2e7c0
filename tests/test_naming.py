"""One face, several looks: when it has a name, and when the name goes."""

from __future__ import annotations

import numpy as np
import pytest

from server.recognition.gallery import Embedding, Gallery, Known, KnownFace
from server.recognition.naming import Naming
from server.recognition.options import RecogniserOptions
from server.recognition.quality import Quality


def face(person: int, off: float = 0.0) -> Embedding:
    """Some person's face: people are 1.0 and more apart, the same person `off`."""
    vector = np.zeros(128)
    vector[person] = 0.75
    vector[100] = off
    return vector


def gallery(*people: int, hidden: int = 0) -> Gallery:
    return Gallery(
        Known(tuple(KnownFace(each, f"Person {each}", face(each), each == hidden) for each in people)), 0.5, 0.04
    )


PEOPLE = gallery(1, 2)
GOOD = Quality(0.5, None, 80.0)


def naming(*looks: Embedding, known: Gallery = PEOPLE, needed: int = 3, of: int = 5) -> Naming:
    made = Naming(RecogniserOptions(looks=needed, looks_of=of))
    for look in looks:
        made.add(look, GOOD, b"crop", known)
    return made


def test_a_name_needs_several_agreeing_looks() -> None:
    assert not naming(face(1), face(1)).is_named
    named = naming(face(1), face(1, 0.3), face(1))
    assert (named.settled.person_id, named.settled.name, named.agreeing()) == (1, "Person 1", 3)
    assert named.settled.distance == pytest.approx(0.1)
    assert named.settled.margin == pytest.approx(np.hypot(0.75, 0.75) - 0.1, abs=0.01)


def test_looks_without_a_name_in_between_do_not_matter() -> None:
    far = face(1, 0.55)
    assert naming(face(1), far, face(1), far, face(1)).is_named
    assert not naming(face(1), far, face(1), far, far, face(1)).is_named, "only the newest five count"


def test_how_many_looks_are_needed_is_a_setting() -> None:
    assert naming(face(1), needed=1, of=1).is_named
    assert not naming(*[face(1)] * 4, needed=5, of=5).is_named


def test_a_name_stays_until_as_many_looks_in_a_row_are_against_it() -> None:
    far = face(1, 0.55)
    named = naming(*[face(1)] * 3)
    for _ in range(2):
        named.add(far, GOOD, b"crop", PEOPLE)
        assert named.is_named
        assert named.is_shaky
    named.add(far, GOOD, b"crop", PEOPLE)
    assert not named.is_named


def between(share: float) -> Embedding:
    """A face between the first two people."""
    return face(1) * (1 - share) + face(2) * share


def test_two_people_on_one_face_are_unknown() -> None:
    twins = Gallery(Known((KnownFace(1, "A", between(0.0)), KnownFace(2, "B", between(0.4)))), 0.5, 0.04)
    a, b = between(0.0), between(0.4)
    assert naming(a, a, a, b, known=twins).settled.person_id == 1, "one stray look"
    assert not naming(a, a, a, b, b, known=twins).is_named
    assert not naming(a, b, a, b, a, known=twins).is_named


def test_a_look_of_another_face_withholds_the_name_and_a_second_one_begins_anew() -> None:
    named = naming(*[face(1)] * 5)
    named.add(face(2), GOOD, b"crop", PEOPLE)
    assert named.is_doubtful
    assert not named.is_named
    named.add(face(2), GOOD, b"crop", PEOPLE)
    assert (named.looks, named.is_doubtful, named.is_named) == (1, False, False)
    for _ in range(2):
        named.add(face(2), GOOD, b"crop", PEOPLE)
    assert named.settled.person_id == 2


def test_a_spoilt_look_gives_the_name_back_with_the_next_good_one() -> None:
    named = naming(*[face(1)] * 5)
    named.add(face(9), GOOD, b"crop", PEOPLE)
    assert not named.is_named
    named.add(face(1), GOOD, b"crop", PEOPLE)
    assert named.settled.person_id == 1


def test_a_face_is_nobody_after_all_its_looks() -> None:
    assert not naming(*[face(7)] * 4).is_nobody
    assert naming(*[face(7)] * 5).is_nobody
    assert not naming(*[face(7, 0.1)] * 3, *[face(1)] * 2).is_nobody
    assert not naming(*[face(1)] * 5).is_nobody


def test_one_look_is_enough_to_hide_a_face() -> None:
    hidden = gallery(1, 2, hidden=1)
    assert naming(face(1), known=hidden).is_hidden
    assert not naming(face(2), known=hidden).is_hidden
    profile = naming(face(1), *[face(1, 0.55)] * 5, known=hidden)
    assert profile.is_hidden, "looks of a profile are like nobody, and do not show the face again"
    for _ in range(3):
        profile.add(face(2), GOOD, b"crop", hidden)
    assert profile.is_hidden
    profile.add(face(2), GOOD, b"crop", hidden)
    assert (profile.is_hidden, profile.settled.person_id) == (False, 2)


def test_of_a_hidden_face_no_picture_is_kept() -> None:
    hidden = gallery(1, 2, hidden=1)
    assert naming(face(1), known=hidden).best().crop == b""
    assert naming(face(7), face(7), known=hidden).best().crop == b"crop"


def test_the_best_look_is_one_that_agrees() -> None:
    named = naming(*[face(1)] * 3)
    named.add(face(1, 0.1), Quality(0.7, None, 80.0), b"best", PEOPLE)
    named.add(face(1, 0.55), Quality(0.9, None, 80.0), b"stray", PEOPLE)
    assert named.best().crop == b"best"


def test_a_doubted_name_comes_back_with_the_next_look_that_fits() -> None:
    named = naming(*[face(1)] * 4)
    named.doubt()
    assert not named.is_named
    named.add(face(1), GOOD, b"crop", PEOPLE)
    assert named.settled.person_id == 1
    named.doubt()
    named.add(face(2), GOOD, b"crop", PEOPLE)
    assert (named.looks, named.is_named) == (1, False), "another face: it begins anew at once"


def test_the_embedding_is_the_mean_of_the_looks_that_agree() -> None:
    named = naming(face(1), face(1, 0.3), face(1, 0.55), face(1))
    assert named.embedding()[100] == pytest.approx(0.1)
    assert naming(face(7), face(7, 0.2)).embedding()[100] == pytest.approx(0.1)


def test_another_gallery_is_asked_about_the_looks_there_are() -> None:
    known = naming(*[face(3)] * 3)
    assert not known.is_named
    known.change_gallery(gallery(3))
    assert known.settled.name == "Person 3"
    known.change_gallery(gallery(1))
    assert not known.is_named
