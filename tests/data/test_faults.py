"""Counting what is left out, and when it is too much."""

import json
import pickle

import pytest

from seedx.data.sample_errors import EXAMPLES, LENGTH, Fault, Faults


def counted(good, **causes):
    faults = Faults(good)
    for cause, count in causes.items():
        for i in range(count):
            faults.add(Fault(cause.replace("_", " "), f"s.tar/{i}"))
    return faults


def test_a_fault_says_where_and_why_and_survives_a_process():
    fault = pickle.loads(pickle.dumps(Fault("broken json", "s.jsonl:3", "no comma")))
    assert (fault.cause, fault.where, fault.detail) == ("broken json", "s.jsonl:3", "no comma")
    assert str(fault) == "s.jsonl:3: broken json (no comma)" and str(Fault("filtered")) == "filtered"


def test_counts_by_cause_with_the_latest_places():
    faults = counted(10, broken_image=5, filtered=2)
    assert faults.causes == {"broken image": 5, "filtered": 2}
    assert faults.last["broken image"] == [f"s.tar/{i}: broken image" for i in (2, 3, 4)]


def test_a_picture_in_place_of_a_name_is_not_kept():
    faults = Faults()
    faults.add(Fault("missing file", "s.jsonl:1", "iVBORw0KGgo" * 10_000))
    assert len(faults.last["missing file"][0]) == LENGTH


def test_what_is_left_out_on_purpose_is_not_bad():
    faults = counted(9, broken_image=1, filtered=1000, too_long=1000)
    assert (faults.bad, faults.share) == (1, 0.1)
    assert Faults().share == 0


def test_merging_is_counting_on():
    parts = [counted(3, torn_tar=2), counted(4, torn_tar=1, filtered=1), counted(0)]
    total = Faults()
    for part in parts:
        total.merge(part)
    assert total.good == 7 and total.causes == {"torn tar": 3, "filtered": 1}
    assert len(total.last["torn tar"]) == EXAMPLES and parts[0] == counted(3, torn_tar=2)


def test_the_state_is_json():
    faults = counted(3, torn_tar=5)
    again = Faults.from_json(json.loads(json.dumps(faults.to_json())))
    assert again == faults == pickle.loads(pickle.dumps(faults))
    again.add(Fault("torn tar"))
    assert faults == counted(3, torn_tar=5)


def test_too_much_stops_with_the_causes_and_places():
    faults = counted(90, broken_image=8, torn_tar=2, filtered=50)
    faults.check(0.1)
    with pytest.raises(ValueError, match=r"10.0% of 100 samples are bad, and at most 9.0% .* max_faults") as caught:
        faults.check(0.09)
    message = str(caught.value)
    assert message.index("broken image: 8") < message.index("torn tar: 2") and "s.tar/7" in message
    assert "filtered" not in message


def test_a_handful_is_not_judged():
    counted(0, broken_image=99).check(0.0)
    with pytest.raises(ValueError, match="bad"):
        counted(0, broken_image=3).check(0.5, after=3)
