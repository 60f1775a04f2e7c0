"""Will it work? Calibration against people whose distances are known, against simulated days, and on real faces."""

from __future__ import annotations

import asyncio
import json
import math
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from server import cli
from server.config import Settings
from server.database import open_database
from server.errors import Unprocessable
from server.recognition.calibration import HIGHEST, LOWEST, Assumptions, Calibration, calibrate
from server.recognition.chart import chart
from server.recognition.comparison import compare
from server.recognition.gallery import Gallery, Known, KnownFace
from server.recognition.people import PeopleStore
from server.recognition.photos import ExaminedPhoto
from server.recognition.spread import DIFFERENT_PEOPLE, SAME_PERSON, Spread
from server.recognition.wording import often
from tests.faces import astronaut, jpeg

Faces = list[KnownFace]


def people(count: int, photos: int = 3, *, within: float = 0.3, between: float = 0.78, seed: int = 1) -> Faces:
    """Made-up people: two photos of one are about `within` apart, two people about `between`.

    Faces vary in 64 of the 128 directions, so that distances scatter as real ones do (0.07).
    """
    rng = np.random.default_rng(seed)
    middles, noise = np.zeros((2, count, photos, 128))
    middles[..., :64] = rng.normal(size=(count, 1, 64)) * math.sqrt((between**2 - within**2) / 128)
    noise[..., :64] = rng.normal(size=(count, photos, 64)) * within / math.sqrt(128)
    return [
        KnownFace(person, f"Person {person}", face) for person, own in enumerate(middles + noise, 1) for face in own
    ]


def calibrated(faces: Faces, threshold: float = 0.5, **assumed: float) -> Calibration:
    return calibrate(compare(Known(tuple(faces))), Assumptions(threshold, 0.04, **assumed))


def moved(face: KnownFace, distance: float, *, person_id: int | None = None, name: str = "") -> KnownFace:
    """A face in a direction of its own, at an exact distance of another."""
    away = np.random.default_rng(77).normal(size=128)
    embedding = face.embedding + distance * away / np.linalg.norm(away)
    return KnownFace(person_id or face.person_id, name or face.name, embedding)


def test_a_class_with_good_photos_is_ready() -> None:
    found = calibrated(people(30))
    assert found.ready == 30
    assert found.words[0] == "Ready: 30 of 30 people."
    assert not found.is_thin
    assert found.alike == ()
    assert all(person.distance == pytest.approx(0.3, abs=0.1) for person in found.people)
    assert all(person.missed < 0.05 for person in found.people)


def test_one_photo_or_copies_of_one_cannot_be_checked() -> None:
    [first, *others] = people(3, 2)
    single = [face for face in others if face.person_id != first.person_id]
    alone = calibrated([first, *single]).people[0]
    assert (alone.status, alone.distance) == ("unchecked", None)
    assert alone.reasons == ("Only one photo, so it cannot be checked. Add one of another day.",)
    copies = calibrated([first, moved(first, 0.01), *single])
    assert copies.people[0].status == "unchecked"
    assert "the others are copies" in copies.people[0].reasons[0]
    assert copies.words[1] == "One has only one photo and cannot be checked."


def test_a_photo_unlike_the_others_is_named() -> None:
    faces = people(5)
    faces.insert(2, moved(faces[0], 0.58))
    person = calibrated(faces).people[0]
    assert (person.status, person.photos) == ("at_risk", 4)
    assert person.reasons[0].startswith("Photo 3 would not be recognised by the others")
    assert calibrated(faces, threshold=0.7).people[0].status == "ready"


def test_photos_near_the_limit_are_a_risk() -> None:
    [first, *_] = people(1)
    [person] = calibrated([first, moved(first, 0.47)]).people
    assert person.status == "at_risk"
    assert person.reasons == ("The photos are up to 0.47 apart, near the limit of 0.50. Add one or two more.",)


def test_twins_are_a_pair_and_photos_nearer_to_the_other_are_named() -> None:
    faces = people(6, 2)
    faces.append(moved(faces[0], 0.25, person_id=99, name="Zoë"))
    found = calibrated(faces)
    [pair] = found.alike
    assert {pair.first_name, pair.second_name} == {"Person 1", "Zoë"}
    assert pair.distance == pytest.approx(0.25)
    assert pair.false_marks > 1, "four passes a day each, and every other one is a coin's throw"
    assert any(words.startswith("One pair of people looks alike, which makes most") for words in found.words)
    first = next(person for person in found.people if person.id == 1)
    assert first.status == "at_risk"
    assert "Photo 1 is nearer to Zoë (0.25). Check it, or add clearer ones." in first.reasons
    assert found.suggested is None
    assert (
        found.words[-1]
        == "No threshold of 0.30 or more keeps false marks to about one in 100 days: see who looks alike."
    )


def test_people_without_consent_are_checked_but_nobody_is_marked_as_them() -> None:
    open_ = people(10)
    hidden = [replace(face, is_hidden=True) for face in open_]
    found = calibrated(hidden)
    assert found.ready == 10
    assert found.now.false_marks == 0
    assert calibrated(open_).now.false_marks > 0


def test_false_marks_grow_with_threshold_people_and_strangers() -> None:
    small, large = calibrated(people(20)), calibrated(people(80))
    for found in (small, large):
        rates = [each.false_marks for each in found.curve]
        assert rates == sorted(rates)
        assert all(each.low <= each.false_marks <= each.high for each in found.curve)
        assert [found.curve[0].threshold, found.curve[-1].threshold] == [LOWEST, HIGHEST]
    nobody, more = (calibrated(people(20), strangers=count).now.false_marks for count in (0, 200))
    assert more - nobody == pytest.approx(10 * (small.now.false_marks - nobody))
    assert large.now.false_marks > small.now.false_marks


@pytest.mark.parametrize("risk", [0.05, 0.01, 0.001])
def test_the_threshold_for_a_risk_meets_it_and_the_next_one_does_not(risk: float) -> None:
    faces = people(40)
    found = calibrated(faces, risk=risk)
    assert found.suggested is not None
    assert found.suggested.false_marks <= risk
    assert calibrated(faces, threshold=found.suggested.threshold + 0.01).now.false_marks > risk


def test_expected_false_marks_agree_with_simulated_strangers() -> None:
    """Strangers made by the same recipe: the gallery itself names about as many as expected, rather fewer."""
    faces = people(60)
    gallery = Gallery(Known(tuple(faces)), 0.55, 0.0)
    strangers = people(10_000, 1, seed=2)
    named = sum(gallery.match(face.embedding).person_id is not None for face in strangers)
    expected = calibrated(faces, threshold=0.55, strangers=10_000).now.false_marks
    assert named > 50
    assert named / 1.5 < expected < named * 4


def test_thin_data_is_said_to_be_thin_and_estimated_with_care() -> None:
    few, many = calibrated(people(4)), calibrated(people(40))
    assert few.is_thin
    assert any(words.startswith("Estimated from few people") for words in few.words)
    a_person = [found.now.false_marks / len(found.people) for found in (few, many)]
    assert a_person[0] > a_person[1]


def test_nobody_and_one() -> None:
    nobody = calibrated([])
    assert nobody.words == ("Nobody is enrolled yet. Add people first, then see here whether it will work.",)
    assert nobody.now.false_marks == 0
    assert "</svg>" in chart(nobody)
    one = calibrated(people(1, 1))
    assert one.words[0] == "Ready: 0 of 1 person."
    assert 0 < one.now.false_marks < 1


def test_students_distribution_is_the_published_one() -> None:
    """Quantiles of Student's t with 10 degrees of freedom, from any table."""
    spread = Spread(0.0, math.sqrt(10 / 11), 10)  # the scale of a new value is then 1
    for t, chance in ((-1.372, 0.1), (-1.812, 0.05), (-2.764, 0.01), (-4.144, 0.001), (0.0, 0.5), (1.812, 0.95)):
        assert float(spread.below(t)) == pytest.approx(chance, rel=0.01)


def test_priors_say_what_is_published() -> None:
    """0.6 % errors at 0.6, each way, as a normal distribution."""

    def beyond(deviations: float) -> float:
        return 0.5 * math.erfc(deviations / math.sqrt(2))

    assert beyond((DIFFERENT_PEOPLE.mean - 0.6) / DIFFERENT_PEOPLE.deviation) == pytest.approx(0.0062, rel=0.1)
    assert beyond((0.6 - SAME_PERSON.mean) / SAME_PERSON.deviation) == pytest.approx(0.0062, rel=0.1)


def test_how_often_in_words() -> None:
    words = {
        3.2: "about 3 a day",
        1.0: "about one a day",
        0.0253: "about one in 40 days",
        0.0: "fewer than one in 10,000 days",
    }
    assert {rate: often(rate) for rate in words} == words


def test_what_makes_no_sense_is_refused() -> None:
    for wrong in ({"risk": 0.0}, {"risk": math.nan}, {"strangers": -1.0}, {"strangers": math.inf}):
        with pytest.raises(Unprocessable):
            Assumptions(0.5, 0.04, **wrong)


def test_the_plot_is_well_formed_and_says_what_it_shows() -> None:
    faces = [KnownFace(each.person_id, "<script>&", each.embedding) for each in people(6)]
    found = calibrated(faces, risk=0.01)
    root = ET.fromstring(chart(found))
    text = {element.tag.rpartition("}")[2]: element.text for element in root}
    assert text["title"] == "How far apart faces are"
    assert "The threshold in force is 0.50" in str(text["desc"])
    drawn = "".join(root.itertext())
    assert "in force 0.50" in drawn
    assert found.suggested is not None
    assert f"suggested {found.suggested.threshold:.2f}" in drawn
    assert "script>" not in chart(found).replace("</svg>", "")


async def test_the_command_prints_a_report_a_plot_and_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    database = open_database(Settings(data=tmp_path))
    faces = people(2, 2)
    for name, own in (("Ada", faces[:2]), ("Ben", faces[2:3])):
        photos = [ExaminedPhoto(face.embedding, jpeg(astronaut()[:160, 160:320])) for face in own]
        await PeopleStore(database).add(name, None, photos)
    database.close()

    def run(*arguments: str) -> tuple[int, str, str]:
        status = cli.main(["calibrate", "--data", str(tmp_path), *arguments])
        return status, *capsys.readouterr()

    plot = tmp_path / "plot.svg"
    status, report, _ = await asyncio.to_thread(run, "--plot", str(plot), "--visitors-a-day", "100")
    assert status == 0
    assert report.startswith("Ready: 1 of 2 people.\n")
    assert "with 100 strangers a day" in report
    assert "  Ben (id 2, photos: 1)\n    Only one photo" in report
    assert ET.parse(plot).getroot().tag.endswith("svg")
    status, text, _ = await asyncio.to_thread(run, "--json", "--risk", "0.5")
    assert json.loads(text)["assumptions"]["risk"] == 0.5
    assert (await asyncio.to_thread(run, "--risk", "0"))[0] == 1
    status, _, complaint = await asyncio.to_thread(run, "--plot", str(tmp_path / "no" / "plot.svg"))
    assert (status, "cannot be written" in complaint) == (1, True)
