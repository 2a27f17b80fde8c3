"""What became of a file is told over HTTP as by `warehouse trace`."""

from warehouse_assets_tests.api.serving import Served

_FILE = "votes-sample-400-1-2.jsonl.gz"


def test_each_line_of_a_file_is_accounted_for(sampled: Served) -> None:
    # Ten votes of the other file and one that has changed since, 200 new ones, three damaged.
    told = sampled.client.get(f"{sampled.address}/v1/files/{_FILE}/trace").json()
    assert told["file"] == f"00000002-{_FILE}"
    assert told["fates"] == {"taken": 201, "known": 10, "rejected": 3}
    rejected = [line["line"] for line in told["items"] if line["fate"] == "rejected"]
    assert rejected == [212, 213, 214]


def test_one_line_as_csv(sampled: Served) -> None:
    answer = sampled.client.get(f"{sampled.address}/files/{_FILE}/trace?line=212&format=csv")
    assert answer.text.splitlines()[0] == "line,fate,why"
    assert answer.text.splitlines()[1].startswith("212,rejected,Id is not a whole number")


def test_a_file_of_the_machine_is_no_file_of_the_archive(sampled: Served) -> None:
    for name in ("nothing.jsonl", "pyproject.toml", "..%2Fwarehouse.db"):
        answer = sampled.client.get(f"{sampled.address}/v1/files/{name}/trace")
        assert answer.status_code == 404
        assert "has no file" in answer.json()["detail"] or "%2F" in name
