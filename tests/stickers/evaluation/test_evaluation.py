"""Evaluation, on models with known scores."""

import json

import pytest
from known import SEED, Fool, N, Oracle

from seedx.inference.reply import Reply
from seedx.messages import Image, Text
from seedx.terminal import table_text
from seedx_stickers.evaluation import ABILITIES, as_table, evaluate_stickers, item_of
from seedx_stickers.evaluation.protocols import continued_story
from seedx_stickers.layout import Ask, compose
from seedx_stickers.scenes import render
from seedx_stickers.scoring import BEST_PSNR

# Scores of a model that is always right, where they are not 1.
OTHER = {"thumbnail": 0.0, "psnr_outside": BEST_PSNR, "iou": pytest.approx(1, abs=0.1)}  # boxes are 224ths


def test_an_oracle_is_right_everywhere(perfect):
    for part in (perfect.scores, perfect.scores["seen"], perfect.scores["unseen"]):
        for ability in set(ABILITIES) - {"reconstruct"}:
            for name, value in part[ability].items():
                assert value == OTHER.get(name, 1.0), f"{ability}.{name}"
    assert set(perfect.scores["draw"]) == {"all_objects", "none_extra", "place", "background", "wish"}
    assert {"done", "first", "psnr_outside"} <= set(perfect.scores["second_edits"])
    assert perfect.scores["story"].keys() == perfect.scores["story_long"].keys() == {"frames", "hero", "told", "count"}
    assert perfect.scores["slides"].keys() == {"valid", "no_overlap", "picture"}


def test_pictures_of_one_tile_are_scored_apart():
    items = [item_of(SEED, "boxes", index) for index in range(12)]
    values = [ABILITIES["boxes"].score(None, item, item.truth) for item in items]
    one = [item.pictures[0].size == (96, 96) for item in items]
    assert {True, False} == set(one)
    assert [each["one_tile"] is not None for each in values] == one
    assert [each["other_sizes"] is not None for each in values] == [not size for size in one]
    assert all(each["acc@iou0.5"] in (each["one_tile"], each["other_sizes"]) for each in values)


def test_reconstruction_with_and_without_the_condition(perfect):
    scores = perfect.scores["reconstruct"]
    assert scores["psnr_condition"] == BEST_PSNR > 30 > scores["psnr"] > 5
    assert scores["gain"] == pytest.approx(scores["psnr_condition"] - scores["psnr"], abs=1e-3)
    assert scores["objects_condition"] == 1.0 > scores["objects"]


def test_a_fool_is_wrong_everywhere():
    scores = evaluate_stickers(Fool(), SEED, N, trained=0)
    main = {ability: next(iter(scores[ability].values())) for ability in ABILITIES if ability != "judge"}
    assert main == dict.fromkeys(main, 0.0)
    assert scores["edit"]["psnr_outside"] == scores["try_on"]["psnr_outside"] == BEST_PSNR
    assert scores["story"]["told"] == scores["slides"]["no_overlap"] == scores["boxes"]["acc@iou0.5"] == 0
    assert scores["chance"] == scores["baseline"] == {}


def test_chance_and_baselines_stand_beside_the_scores(perfect):
    chance, baseline = perfect.scores["chance"], perfect.scores["baseline"]
    assert set(chance) == set(baseline) == set(ABILITIES) - {"judge"}
    assert baseline["edit"]["done"] == baseline["second_edits"]["done"] == baseline["try_on"]["done"] == 0
    assert baseline["edit"]["psnr_outside"] == BEST_PSNR > 20 > chance["edit"]["psnr_outside"]
    assert baseline["boxes"]["acc@iou0.5"] == 0 < baseline["boxes"]["iou"] < 0.5
    assert baseline["modality"]["words"] == 1 > baseline["modality"]["accuracy"] > 0 == baseline["modality"]["picture"]
    assert baseline["reconstruct"]["objects"] == 0 and baseline["reconstruct"]["psnr"] > chance["reconstruct"]["psnr"]
    assert max(chance[ability]["done"] for ability in ("edit", "second_edits", "try_on")) <= 0.5
    assert chance["slides"]["valid"] == 1 > chance["slides"]["picture"]  # another slide is one, too
    assert chance["story"]["frames"] > chance["story"]["told"]  # and another story shows its own sentences
    assert "thumbnail" not in chance["questions"] and "gain" not in baseline["panorama"]


def test_conversations_are_presented_turn_by_turn(perfect):
    asked = perfect.oracle.asked
    assert {length for length, _, _ in asked} == {1, 3, 5, 7}
    modes = {options["drawing"] for length, _, options in asked if length > 1}
    assert modes == {"auto", "force", "forbid"}
    assert len({seed for _, seed, options in asked if options["drawing"] == "force"}) > 20


def test_scenes_come_from_their_seed_and_are_apart_by_ability():
    assert item_of(1, "edit", 3).example == item_of(1, "edit", 3).example
    assert item_of(1, "edit", 3).example != item_of(2, "edit", 3).example
    for ability in ABILITIES:
        assert [item_of(1, ability, index).example.unseen for index in range(5)] == [True, False, False, False, True]


def test_a_second_edit_follows_the_first():
    for index in range(8):
        example = item_of(SEED, "second_edits", index).example
        edits = [expected for expected in example.expected if expected.target]
        assert len(edits) == 2 and edits[1] is example.expected[-1]
        assert edits[0].target == edits[1].source
        assert len(example.messages) == 2 * len(example.expected)


def test_the_table_shows_every_score_beside_chance_baseline_and_floor(perfect):
    lines = {line.split()[0]: line for line in table_text(as_table(perfect.scores)).splitlines()[1:]}
    chance = perfect.scores["chance"]["questions"]["accuracy"]
    cells = lines["questions.accuracy"]
    assert cells.split()[1:5] == ["1.000", "1.000", "1.000", f"{chance:.3f}"]
    assert cells.endswith("0.950  commonest answer")
    assert lines["edit.psnr_outside"].split()[-2:] == ["60.00", "30.00"]
    assert lines["judge.exact"].split()[1:] == ["1.000", "1.000", "1.000"]
    assert len(lines) == sum(len(perfect.scores[ability]) for ability in ABILITIES)


def test_scores_are_json(perfect):
    assert json.loads(json.dumps(perfect.scores)) == perfect.scores
    assert list(perfect.scores["seconds"]) == list(ABILITIES)


def test_mistakes_are_named():
    oracle = Oracle("jpeg")
    for options, problem in (
        ({"abilities": ["questoins"]}, "'questoins': choose from questions"),
        ({"n": 0}, "at least one"),
        ({"shift": "upside-down"}, "'upside-down': choose from sizes-noise"),
        ({"shift": "jpeg", "abilities": ["draw"]}, "reads pictures .questions.*, not 'draw'"),
    ):
        with pytest.raises(ValueError, match=problem):
            evaluate_stickers(oracle, **options)


@pytest.mark.parametrize(("each", "rounds", "got"), [(4, 3, 10), (20, 1, 10), (0, 1, 0)])
def test_a_story_that_ends_early_is_continued(each, rounds, got):
    asked = []

    class Brief:
        """Draws only a few frames in one reply."""

        def reply_batch(self, conversations, **options):
            asked.append([conversation[0].content[-1].text for conversation in conversations])
            frame = (Text("The cat sees a star."), Image(render(compose([Ask("star")], "blue"))))
            return [Reply(frame * each) for _ in conversations]

    items = [item_of(SEED, "story_long", index) for index in range(2)]
    replies = [reply for (reply,) in continued_story(Brief(), items)]
    assert [len(reply.frames) for reply in replies] == [got] * 2 and len(asked) == rounds
    if each == 4:
        left = [say.split()[-2] for say in asked[1]] + [say.split()[-2] for say in asked[2]]
        assert left == ["6", "6", "2", "2"] and asked[1][0].startswith("The cat sees a star. go on")


@pytest.mark.parametrize("reason", ["stop", "length"])
def test_a_story_ends_where_nothing_comes_or_no_end_does(reason):
    class Silent:
        def reply_batch(self, conversations, **options):
            frame = (Text("The cat sees a star."), Image(render(compose([Ask("star")], "blue"))))
            done = "The cat sees a star." in conversations[0][0].content[-1].text
            assert not done or reason == "stop"
            return [Reply(() if done else frame, reason)]

    ((reply,),) = continued_story(Silent(), [item_of(SEED, "story_long", 0)])
    assert len(reply.frames) == 1
