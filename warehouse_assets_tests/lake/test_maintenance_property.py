"""Whatever happens to tables that are rearranged, they hold what was added, and so does SQL."""

from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given, settings
from hypothesis import strategies as st

from warehouse_assets.lake import Lake, maintain, rearrange
from warehouse_assets.warehouse import warehouse_at
from warehouse_assets_tests.lake.partial_tables import SPOTS, WALKS, added_up, walk
from warehouse_assets_tests.lake.tables import Row, Stored
from warehouse_assets_tests.warehouse.copies import contents, publish_to

partial_rows = st.builds(
    walk,
    st.sampled_from(["Rex", "Ada", "Zoë"]),
    st.sampled_from([None, 1, 5]),
    st.sampled_from([None, 0.5, 2.5]),
    st.sampled_from([None, 0, 23]),
)
places = st.tuples(
    st.sampled_from([None, -180.0, 14.4, 180.0]),
    st.sampled_from([None, -90.0, 50.1, 90.0]),
    st.sampled_from(["park", None]),
)
steps = st.lists(
    st.sampled_from(["rearrange", "maintain", "publish", "lose"])
    | st.lists(st.tuples(partial_rows, places), min_size=1, max_size=4),
    min_size=2,
    max_size=8,
)


@given(history=steps)
@settings(max_examples=3, deadline=None)
def test_tables_hold_what_was_added(history: list[str | list[tuple[Row, Row]]]) -> None:
    with TemporaryDirectory() as name:
        folder = Path(name)
        lake = Lake(folder / "lake", folder / "tmp", 10**9)
        walks, spots = Stored(lake, WALKS), Stored(lake, SPOTS)
        warehouse = warehouse_at(f"sqlite:///{folder}/warehouse.db")
        all_walks, all_spots = [], []
        for step in [*history, "publish"]:
            if isinstance(step, list):
                walks.append([walked for walked, _ in step])
                spots.append([spot for _, spot in step])
                all_walks += [walked for walked, _ in step]
                all_spots += [spot for _, spot in step]
            elif step == "lose":
                warehouse.path.unlink(missing_ok=True)
            for stored in (walks, spots):
                if step == "rearrange":
                    rearrange(lake, stored.table)
                elif step == "maintain":
                    maintain(lake, stored.table, 0)
                elif step == "publish":
                    publish_to(warehouse, stored)
            assert walks.rows() == added_up(all_walks)
            assert sorted(spots.rows(), key=repr) == sorted(all_spots, key=repr)
        published = contents(warehouse)
        assert published["spots"] == sorted(all_spots, key=repr)
        assert published["walks"] == sorted(
            (
                (dog, str(day), walked, shortest, last and f"{last}.000000")
                for dog, day, walked, shortest, last in added_up(all_walks)
            ),
            key=repr,
        )
