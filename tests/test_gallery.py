"""Whose face it is: the gallery's arithmetic."""

from __future__ import annotations

import pickle
import subprocess
import sys

import numpy as np
import pytest

from server.recognition.gallery import DIMENSIONS, Embedding, Gallery, Known, KnownFace, Match, as_embedding


def at(*coordinates: float) -> Embedding:
    """A point with these first coordinates and zeros after them."""
    embedding = np.zeros(DIMENSIONS)
    embedding[: len(coordinates)] = coordinates
    return embedding


def gallery(
    *faces: KnownFace, max_distance: float = 0.5, margin: float = 0.04, not_them: tuple[KnownFace, ...] = ()
) -> Gallery:
    return Gallery(Known(faces, not_them), max_distance, margin, not_them_distance=0.2)


ANN, BEN = KnownFace(7, "Ann", at(0.0)), KnownFace(3, "Ben", at(1.0))


def test_nearest_person_within_the_distance() -> None:
    assert gallery(ANN, BEN).match(at(0.25)) == Match(7, "Ann", 0.25, margin=0.5)
    assert gallery(ANN, BEN).match(at(0.75)) == Match(3, "Ben", 0.25, margin=0.5)


def test_too_far_from_everybody_is_unknown() -> None:
    match = gallery(ANN).match(at(0.0, 0.51))
    assert (match.person_id, match.name) == (None, "Unknown")
    assert match.distance == pytest.approx(0.51)


@pytest.mark.parametrize(("distance", "known"), [(0.5, True), (0.500001, False)])
def test_the_distance_itself_still_counts(distance: float, known: bool) -> None:
    assert (gallery(ANN).match(at(distance)).person_id == 7) is known


def test_between_two_people_is_unknown() -> None:
    assert gallery(ANN, BEN).match(at(0.49)).person_id is None
    assert gallery(ANN, BEN, margin=0.0).match(at(0.49)).person_id == 7


def test_photos_of_one_person_do_not_compete() -> None:
    again = KnownFace(7, "Ann", at(0.01))
    assert gallery(again, BEN, ANN).match(at(0.0)) == Match(7, "Ann", 0.0, margin=1.0)


def test_two_people_with_one_face_are_unknown() -> None:
    twin = KnownFace(9, "Ann's twin", at(0.0))
    assert gallery(ANN, twin).match(at(0.0)) == Match(None, "Unknown", 0.0, margin=0.0)


def test_empty_gallery_knows_nobody() -> None:
    empty = gallery()
    assert len(empty) == 0
    assert empty.match(at(0.0)) == Match(None, "Unknown", None)


def test_who_gave_no_consent_is_told() -> None:
    match = gallery(KnownFace(7, "Ann", at(0.0), is_hidden=True), BEN).match(at(0.1))
    assert (match.person_id, match.is_hidden) == (7, True)


def test_between_someone_hidden_and_someone_else_is_hidden() -> None:
    known = gallery(KnownFace(7, "Ann", at(0.0), is_hidden=True), KnownFace(3, "Ben", at(0.2)))
    assert known.match(at(0.11)) == Match(None, "Unknown", pytest.approx(0.09), pytest.approx(0.02), is_hidden=True)  # type: ignore[arg-type]
    assert known.match(at(0.2)).is_hidden is False


def test_a_face_that_was_told_not_to_be_someone_is_not_named_so_again() -> None:
    known = gallery(ANN, BEN, not_them=(KnownFace(7, "Ann", at(0.0, 0.4)),))
    assert known.match(at(0.0, 0.38)).person_id is None, "the face itself"
    assert known.match(at(0.0, 0.25)).person_id is None, "nearer to that face than to Ann"
    assert known.match(at(0.0, 0.1)).person_id == 7, "Ann herself"
    assert known.match(at(0.9, 0.1)).person_id == 3, "Ben has nothing to do with it"


def test_the_second_best_does_not_take_the_place_of_who_it_is_not() -> None:
    near = KnownFace(9, "Cid", at(0.1))
    known = gallery(ANN, near, not_them=(KnownFace(7, "Ann", at(0.0)),))
    assert known.match(at(0.0)) == Match(None, "Unknown", 0.0, margin=0.1)


def test_a_face_of_nobody_enrolled_any_more_changes_nothing() -> None:
    assert gallery(BEN, not_them=(KnownFace(7, "Ann", at(1.0)),)).match(at(1.0)).person_id == 3


def test_it_crosses_a_process_border() -> None:
    copy = pickle.loads(pickle.dumps(gallery(ANN, BEN)))
    assert len(copy) == 2
    assert copy.match(at(1.0)) == Match(3, "Ben", 0.0, margin=1.0)


@pytest.mark.parametrize("wrong", [np.zeros(127), np.zeros((1, DIMENSIONS)), at(float("nan")), at(float("inf"))])
def test_what_is_no_embedding_is_refused(wrong: Embedding) -> None:
    with pytest.raises(ValueError, match="128 finite numbers"):
        as_embedding(wrong)
    with pytest.raises(ValueError, match="128 finite numbers"):
        gallery(KnownFace(1, "x", wrong))
    with pytest.raises(ValueError, match="128 finite numbers"):
        gallery(ANN).match(wrong)


def test_it_needs_numpy_only() -> None:
    """The recognition process and the server both import it; neither should get dlib or SQLAlchemy through it."""
    program = "import sys, server.recognition.gallery; print(*{'dlib', 'sqlalchemy', 'cv2'} & set(sys.modules))"
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == ""
