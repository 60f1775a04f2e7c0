"""`surveillx bench recognition`: what it judges, what it prints and what it refuses. See also test_evaluation.py."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from server.bench.judging import Judgement, judge, matched
from server.bench.playing import Played, Result
from server.bench.processes import BenchError
from server.bench.recognition import people_in, truths_of
from server.bench.truth import TrueFace, Truth, load_truth
from server.cli import main
from server.events import Face
from server.sample import CLIP, PHOTO

from .evaluation.cast import Look
from .evaluation.film import Actor, Pose, Scene, write
from .evaluation.generate import PORTRAITS, portrait
from .faces import jpeg, six_people

BOX = (100.0, 100.0, 80.0, 100.0)
ELSEWHERE = (400.0, 100.0, 80.0, 100.0)


def face(name: str = "Unknown", track: int = 1, box: tuple[float, float, float, float] = BOX, **more: Any) -> Face:
    return Face(track, None if name == "Unknown" else 1, name, 0.9, box, **more)


def judged(
    *results: tuple[Face, ...],
    truth: Sequence[tuple[TrueFace, ...]] | None = None,
    enrolled: tuple[str, ...] = ("Ada",),
) -> Judgement:
    """One result a frame, ten frames a second, shown as it is."""
    frames = truth or [(TrueFace("Ada", 1, BOX),)] * len(results)
    played = Played(Path("clip"), 1280, 720, 10.0, [0.1 * number for number in range(len(frames))])
    played.results = [Result(number, 0.1 * number + 0.05, faces) for number, faces in enumerate(results)]
    played.shown = [[each.box for each in faces] for faces in results]
    return judge(played, Truth(1280, 720, tuple(frames)), enrolled, 40)


def test_a_right_name_and_how_soon() -> None:
    judgement = judged((face(),), (face("Ada"),), (face("Ada"),))
    assert judgement.tracks[1].verdict == "right"
    assert judgement.appearances[1].time_to_name_s == pytest.approx(0.15)
    assert judgement.found["80+"] == [3, 3]
    assert judgement.ious == [1, 1, 1]


def test_a_name_counts_from_the_first_view_that_is_large_enough() -> None:
    small = TrueFace("Ada", 1, (100, 100, 30, 40))
    truth = [(small,), (small,), (TrueFace("Ada", 1, BOX),), (TrueFace("Ada", 1, BOX),)]
    judgement = judged((), (), (), (face("Ada"),), truth=truth)
    assert judgement.appearances[1].time_to_name_s == pytest.approx(0.15)
    assert judgement.found == {"24-40": [0, 2], "40-80": [0, 0], "80+": [1, 2]}


def test_once_wrong_is_wrong() -> None:
    judgement = judged((face("Ada"),), (face("Ben"),), (face("Ada"),), enrolled=("Ada", "Ben"))
    assert judgement.tracks[1].verdict == "wrong"
    assert judgement.appearances[1].wrong_names == {"Ben"}
    assert judgement.appearances[1].named_at_s is not None, "and right as well"


def test_a_stranger_is_anybody_who_is_not_enrolled() -> None:
    for person in (None, "Zoe"):
        truth = [(TrueFace(person, 1, BOX),)] * 2
        assert judged((face(),), (face(),), truth=truth).tracks[1].verdict == "unknown"
        judgement = judged((face(),), (face("Ada"),), truth=truth)
        assert judgement.tracks[1].verdict == "wrong"
        assert judgement.appearances[1].person is None


def test_of_faces_over_each_other_any_may_have_the_name() -> None:
    both = (TrueFace("Ada", 1, BOX), TrueFace(None, 2, (110.0, 100.0, 80.0, 100.0)))
    assert judged((face("Ada"),), truth=[both]).tracks[1].verdict == "right"


def test_a_name_on_nothing_is_wrong_unless_its_face_was_just_there() -> None:
    gone: list[tuple[TrueFace, ...]] = [(TrueFace("Ada", 1, BOX),), ()]
    assert judged((face("Ada"),), (face("Ada", unseen_s=0.2),), truth=gone).tracks[1].verdict == "right"
    judgement = judged((face("Ada", box=ELSEWHERE),))
    assert judgement.tracks[1].verdict == "wrong"
    assert judgement.appearances[1].wrong_names == set()
    assert (judgement.boxes_shown, judgement.boxes_on_nothing) == (1, 1)


def test_a_hidden_face_need_not_be_found_but_has_its_name() -> None:
    behind = (TrueFace("Ada", 1, BOX, is_hidden=True), TrueFace(None, 2, (110.0, 100.0, 80.0, 100.0)))
    judgement = judged((face("Ada", unseen_s=0.2),), truth=[behind])
    assert judgement.tracks[1].verdict == "right"
    assert judgement.found["80+"] == [0, 1], "the stranger in front"
    assert judgement.boxes_on_nothing == 0


def test_a_face_that_is_only_remembered_is_not_found() -> None:
    assert judged((face(unseen_s=0.2),)).found["80+"] == [0, 1]


def test_pairs_are_made_best_first() -> None:
    boxes = [(0.0, 0.0, 10.0, 10.0), (2.0, 0.0, 10.0, 10.0)]
    assert [(i, j) for i, j, _ in matched(boxes, [(2.0, 0.0, 10.0, 10.0), (5.0, 0.0, 10.0, 10.0)], 0.1)] == [
        (1, 0),
        (0, 1),
    ]


def test_a_folder_of_people(tmp_path: Path) -> None:
    (tmp_path / "Ada" / "nested").mkdir(parents=True)
    for name in ("Ada/2.jpg", "Ada/1.JPEG", "Ben.png", "notes.txt", "Ada/.hidden.jpg"):
        (tmp_path / name).write_bytes(b"")
    assert {name: [file.name for file in files] for name, files in people_in(tmp_path).items()} == {
        "Ada": ["1.JPEG", "2.jpg"],
        "Ben": ["Ben.png"],
    }


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "is not a truth file"),
        ("[]", "is not a truth file"),
        ('{"width": 1280, "height": 720, "frames": []}', "needs a width"),
        ('{"width": 1280, "height": 720, "frames": [[{"person": null, "id": 1}]]}', "frame 0"),
        ('{"width": 1280, "height": 720, "frames": [[], [{"person": null, "id": 1, "box": [1, 2, 0, 4]}]]}', "frame 1"),
        ('{"width": 1280, "height": 720, "frames": [[{"person": null, "id": 1, "box": [1, 2, NaN, 4]}]]}', "frame 0"),
    ],
)
def test_a_truth_of_another_form_is_refused(content: str, words: str, tmp_path: Path) -> None:
    file = tmp_path / "clip.json"
    file.write_text(content)
    with pytest.raises(BenchError, match=words):
        load_truth(file)


def test_each_clip_needs_its_truth(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match="2 clips and 1 truths"):
        truths_of([Path("a.mp4"), Path("b.mp4")], [tmp_path / "a.json"])
    with pytest.raises(BenchError, match="cannot be read"):
        truths_of([Path("a.mp4")], [tmp_path])


def test_what_is_missing_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "empty").mkdir()
    broken, sound, nobody = tmp_path / "broken.mp4", str(CLIP), str(tmp_path / "empty")
    broken.write_bytes(b"no clip")
    for arguments, words in (
        ([sound], "--people"),
        ([sound, "--people", str(tmp_path / "nowhere")], "cannot be read"),
        ([sound, "--people", nobody], "There are no photos"),
        ([str(broken), "--people", nobody], "broken.mp4 cannot be played"),
        ([str(tmp_path / "none.mp4"), "--people", nobody], "none.mp4 cannot be played"),
        ([str(PHOTO.parent / "__init__.py"), "--people", nobody], "cannot be played"),
    ):
        assert main(["bench", "recognition", *arguments]) == 1
        assert words in capsys.readouterr().err


def clip(folder: Path, name: str = "clip", codec: str = "libx264") -> Path:
    """Ada, for a second and a half."""
    poses = (Pose(0, 500, 300, 96), Pose(1.5, 640, 310, 104))
    return write(Scene(name, 1.5, (Actor("Ada", poses, Look(gain=0.8)),), codec=codec), folder)


@pytest.fixture
def people(tmp_path: Path) -> Path:
    folder = tmp_path / "people"
    folder.mkdir()
    (folder / "Ada.jpg").write_bytes(jpeg(portrait("Ada", *PORTRAITS[0])))
    (folder / "Crowd.jpg").write_bytes(jpeg(six_people()))
    (folder / "Torn.jpg").write_bytes(PHOTO.read_bytes()[:2000])
    return folder


def test_in_real_time(tmp_path: Path, people: Path, capsys: pytest.CaptureFixture[str]) -> None:
    video, out = clip(tmp_path), tmp_path / "result.json"
    truth = str(video.with_suffix(".json"))
    assert (
        main(["bench", "recognition", str(video), "--people", str(people), "--truth", truth, "--json", str(out)]) == 0
    )
    text = capsys.readouterr().out
    assert all(words in text for words in ("machine", "clip.mp4", "recognition process", "shows 6 faces", "Torn.jpg"))
    result = json.loads(out.read_text())
    assert result["mode"] == "real time"
    assert result["machine"]
    assert result["people"]["enrolled"] == ["Ada"]
    assert [Path(each["photo"]).name for each in result["people"]["refused"]] == ["Crowd.jpg", "Torn.jpg"]
    assert result["clips"][0]["frames"] == 45
    everything = result["all"]
    assert everything["recognitions_per_s"] > 0
    assert everything["process_cores"] > 0
    assert everything["result_age_ms"]["n"] == everything["recognised"]
    assert everything["recognised"] + everything["dropped"] <= 45 // 5
    assert everything["appearances"]["named_wrong"] == 0


def test_without_truth_and_in_another_format(tmp_path: Path, people: Path, capsys: pytest.CaptureFixture[str]) -> None:
    video = clip(tmp_path, codec="libvpx")
    assert main(["bench", "recognition", str(video), "--people", str(people), "--fast"]) == 0
    text = capsys.readouterr().out
    assert "1 faces followed" in text
    assert "Ada" in text
    assert "cores" not in text, "a clip that waits says nothing about speed"


def test_nobody_to_recognise_and_nobody_seen(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    people = tmp_path / "people"
    people.mkdir()
    (people / "Crowd.jpg").write_bytes(jpeg(six_people()))
    empty = write(Scene("empty", 0.4, ()), tmp_path)
    assert main(["bench", "recognition", str(empty), "--people", str(people), "--fast"]) == 1
    assert "Nobody could be enrolled" in capsys.readouterr().err
    (people / "Ada.jpg").write_bytes(jpeg(portrait("Ada", *PORTRAITS[0])))
    assert main(["bench", "recognition", str(empty), "--people", str(people), "--fast"]) == 1
    assert "no face was found" in capsys.readouterr().err
