"""Sample errors by cause, and the rate that stops a run."""

import json
import pickle

import pytest

from seedx.data.boundary import try_sample
from seedx.data.sample_errors import MAX_EXAMPLES, MAX_LENGTH, SampleError, SampleErrors
from seedx.errors import MissingPackageError, SeedxError
from seedx.images import ImageError


def counted(used, **causes):
    errors = SampleErrors(used)
    for cause, count in causes.items():
        for i in range(count):
            errors.add(SampleError(cause.replace("_", " "), f"s.tar/{i}"))
    return errors


def test_a_sample_error_says_where_and_why_and_survives_a_process():
    error = pickle.loads(pickle.dumps(SampleError("broken json", "s.jsonl:3", "no comma")))
    assert (error.cause, error.where, error.detail) == ("broken json", "s.jsonl:3", "no comma")
    assert str(error) == "s.jsonl:3: broken json (no comma)" and str(SampleError("filtered")) == "filtered"


def test_counts_by_cause_with_the_latest_places():
    errors = counted(10, broken_image=5, filtered=2)
    assert errors.counts == {"broken image": 5, "filtered": 2}
    assert errors.examples["broken image"] == [f"s.tar/{i}: broken image" for i in (2, 3, 4)]


def test_a_picture_in_place_of_a_name_is_not_kept():
    errors = SampleErrors()
    errors.add(SampleError("missing file", "s.jsonl:1", "iVBORw0KGgo" * 10_000))
    assert len(errors.examples["missing file"][0]) == MAX_LENGTH


def test_samples_that_the_recipe_leaves_out_are_not_bad():
    errors = counted(9, broken_image=1, filtered=1000, too_long=1000)
    assert (errors.bad, errors.rate) == (1, 0.1)
    assert SampleErrors().rate == 0


def test_merged_counts_are_added():
    parts = [counted(3, torn_tar=2), counted(4, torn_tar=1, filtered=1), counted(0)]
    total = SampleErrors()
    for part in parts:
        total.merge(part)
    assert total.used == 7 and total.counts == {"torn tar": 3, "filtered": 1}
    assert len(total.examples["torn tar"]) == MAX_EXAMPLES and parts[0] == counted(3, torn_tar=2)


def test_the_state_is_json():
    errors = counted(3, torn_tar=5)
    again = SampleErrors.from_json(json.loads(json.dumps(errors.to_json())))
    assert again == errors == pickle.loads(pickle.dumps(errors))
    again.add(SampleError("torn tar"))
    assert errors == counted(3, torn_tar=5)


def test_a_rate_above_the_limit_is_an_error_with_causes_and_places():
    errors = counted(90, broken_image=8, torn_tar=2, filtered=50)
    errors.check(0.1)
    with pytest.raises(
        ValueError, match=r"10.0% of 100 samples are bad, more than the 9.0% .* max_sample_errors"
    ) as caught:
        errors.check(0.09)
    message = str(caught.value)
    assert message.index("broken image: 8") < message.index("torn tar: 2") and "s.tar/7" in message
    assert "filtered" not in message


def test_a_few_samples_are_not_judged():
    counted(0, broken_image=99).check(0.0)
    with pytest.raises(ValueError, match="bad"):
        counted(0, broken_image=3).check(0.5, min_samples=3)


@pytest.mark.parametrize(
    ("raised", "cause"),
    [
        (SampleError("odd", "there"), "odd"),
        (ImageError("damaged"), "broken image"),
        (MissingPackageError("needs aiohttp"), "missing package"),
        (OSError("truncated"), "broken image"),
        (ValueError("empty"), "bad format"),
        (SeedxError("empty"), "bad format"),
    ],
)
def test_an_error_of_a_sample_gets_a_cause(raised, cause):
    def fail():
        raise raised

    error = try_sample("s.jsonl:3", fail)
    assert isinstance(error, SampleError) and error.cause == cause
    assert error.where == ("there" if cause == "odd" else "s.jsonl:3")


def test_a_good_sample_is_passed_on():
    assert try_sample("s.jsonl:3", lambda: 5) == 5


def test_a_bug_is_counted_and_its_first_traceback_is_logged(caplog):
    def fail():
        return {}["images"]

    for line in range(3):
        error = try_sample(f"s.jsonl:{line}", fail)
        assert (error.cause, error.where, error.detail) == (
            "unexpected error",
            f"s.jsonl:{line}",
            "KeyError: 'images'",
        )
    (logged,) = [record for record in caplog.records if record.name == "seedx.data.boundary"]
    assert logged.exc_info[0] is KeyError and "in fail" in caplog.text


@pytest.mark.parametrize(
    "error",
    [
        ZeroDivisionError(),
        OverflowError("int too large"),
        RecursionError(),
        AssertionError(),
        StopIteration(),
        RuntimeError(),
    ],
)
def test_any_exception_of_a_sample_is_counted(error):
    def fail():
        raise error

    assert try_sample("s.jsonl:3", fail).cause == "unexpected error"


@pytest.mark.parametrize(
    ("raised", "wanted"),
    [
        (MemoryError(), MemoryError),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried"), MemoryError),
        (KeyboardInterrupt(), KeyboardInterrupt),
        (SystemExit(), SystemExit),
    ],
)
def test_what_no_sample_explains_stops_the_run(raised, wanted):
    def fail():
        raise raised

    with pytest.raises(wanted):
        try_sample("s.jsonl:3", fail)


def test_a_detail_of_many_characters_is_cut():
    assert len(SampleError("bad format", "s.jsonl:1", "x" * 48_000).detail) < 400


def test_counts_of_an_older_checkpoint_are_read():
    old = {"good": 7, "causes": {"cut": 2, "torn tar": 1}, "last": {"cut": ["a: cut"], "torn tar": ["b: torn tar"]}}
    errors = SampleErrors.from_json(old)
    assert errors == SampleErrors(
        7, {"truncated": 2, "torn tar": 1}, {"truncated": ["a: cut"], "torn tar": ["b: torn tar"]}
    )
    assert errors.bad == 1
