"""The cities of the sample trips: real places, as the generator of trips needs them."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class District:
    """A part of a city in which trips begin and end.

    Args:
        lon: degrees east of its middle.
        lat: degrees north of its middle.
        spread_km: standard deviation of its trips' ends, east to west and south to north.
        homes: how many live there, relative to the other districts of the city.
        jobs: how many work, shop and go out there, relative to the other districts.
    """

    lon: float
    lat: float
    spread_km: float
    homes: int
    jobs: int


@dataclass(frozen=True)
class City:
    """A region of the trips.

    Args:
        region: its name in the files.
        trips: how many trips it has, relative to the other cities.
        districts: the centre first.
        has_cheap_mobile: whether the datasource `cheap_mobile` is in use there.
    """

    region: str
    trips: int
    districts: Sequence[District]
    has_cheap_mobile: bool = True


CITIES = (
    City(
        "Prague",
        14,
        [
            District(14.4213, 50.0875, 0.8, 3, 12),
            District(14.4500, 50.0755, 1.1, 6, 4),
            District(14.4030, 50.0690, 0.9, 4, 5),
            District(14.3920, 50.1005, 1.2, 4, 4),
            District(14.4910, 50.0315, 1.4, 6, 3),
            District(14.5240, 50.1080, 1.8, 5, 2),
        ],
    ),
    City(
        "Turin",
        9,
        [
            District(7.6825, 45.0703, 0.8, 3, 9),
            District(7.6650, 45.0600, 0.8, 5, 5),
            District(7.6640, 45.0320, 1.2, 5, 3),
            District(7.7050, 45.0990, 1.5, 5, 3),
            District(7.6360, 45.0730, 1.2, 5, 2),
        ],
    ),
    City(
        "Hamburg",
        12,
        [
            District(9.9937, 53.5511, 0.9, 2, 12),
            District(9.9350, 53.5510, 1.2, 6, 4),
            District(9.9780, 53.5860, 1.4, 6, 3),
            District(10.0620, 53.5730, 1.6, 6, 3),
            District(9.9870, 53.4600, 1.6, 4, 3),
            District(10.1500, 53.6060, 2.2, 5, 1),
        ],
    ),
    City(
        "Berlin",
        18,
        [
            District(13.4050, 52.5200, 1.2, 4, 12),
            District(13.3330, 52.5050, 1.3, 5, 8),
            District(13.4030, 52.4990, 1.1, 7, 5),
            District(13.4350, 52.4810, 1.4, 8, 3),
            District(13.4140, 52.5500, 1.5, 8, 4),
            District(13.2000, 52.5350, 2.0, 5, 2),
            District(13.5700, 52.4430, 2.4, 5, 2),
        ],
    ),
    City(
        "Vienna",
        11,
        [
            District(16.3725, 48.2084, 0.7, 2, 12),
            District(16.3480, 48.1970, 0.8, 6, 5),
            District(16.3990, 48.2170, 1.1, 6, 4),
            District(16.3750, 48.1750, 1.2, 7, 3),
            District(16.4400, 48.2330, 1.9, 8, 2),
        ],
        has_cheap_mobile=False,
    ),
    City(
        "Paris",
        22,
        [
            District(2.3412, 48.8607, 1.0, 5, 12),
            District(2.3770, 48.8530, 1.1, 9, 6),
            District(2.2950, 48.8430, 1.1, 9, 4),
            District(2.3440, 48.8920, 1.0, 9, 3),
            District(2.2380, 48.8920, 0.8, 1, 9),
            District(2.4100, 48.9080, 2.0, 7, 2),
        ],
    ),
    City(
        "London",
        24,
        [
            District(-0.1276, 51.5072, 1.2, 2, 14),
            District(-0.0890, 51.5130, 0.8, 1, 13),
            District(-0.0190, 51.5050, 0.7, 3, 8),
            District(-0.1430, 51.5390, 1.4, 7, 5),
            District(-0.1150, 51.4610, 1.9, 9, 3),
            District(-0.0550, 51.5450, 1.8, 9, 3),
            District(-0.2250, 51.4930, 1.6, 7, 4),
        ],
    ),
    City(
        "Madrid",
        15,
        [
            District(-3.7038, 40.4168, 0.9, 5, 11),
            District(-3.6830, 40.4300, 0.9, 5, 7),
            District(-3.6920, 40.4640, 1.2, 4, 8),
            District(-3.7330, 40.3900, 1.5, 9, 2),
            District(-3.6600, 40.3830, 1.5, 8, 2),
        ],
    ),
    City(
        "Rome",
        13,
        [
            District(12.4964, 41.9028, 1.1, 4, 11),
            District(12.4690, 41.8890, 0.8, 5, 5),
            District(12.4700, 41.8320, 1.3, 3, 6),
            District(12.5300, 41.8720, 1.5, 8, 3),
            District(12.5450, 41.9400, 2.0, 8, 2),
        ],
    ),
    City(
        "Warsaw",
        10,
        [
            District(21.0122, 52.2297, 0.9, 4, 12),
            District(20.9850, 52.2330, 0.9, 4, 7),
            District(21.0050, 52.1830, 1.2, 5, 6),
            District(21.0450, 52.1460, 1.5, 8, 2),
            District(21.0530, 52.2560, 1.7, 7, 3),
        ],
    ),
    City(
        "Amsterdam",
        8,
        [
            District(4.8952, 52.3702, 0.8, 4, 9),
            District(4.8730, 52.3380, 0.7, 2, 8),
            District(4.8600, 52.3690, 0.9, 6, 3),
            District(4.9280, 52.3540, 1.1, 6, 3),
            District(4.9170, 52.3980, 1.4, 6, 2),
        ],
    ),
    City(
        "Copenhagen",
        7,
        [
            District(12.5683, 55.6761, 0.8, 3, 9),
            District(12.5530, 55.6930, 0.8, 7, 4),
            District(12.5410, 55.6640, 0.9, 6, 4),
            District(12.6050, 55.6560, 1.3, 6, 3),
            District(12.5750, 55.7080, 1.1, 6, 4),
        ],
        has_cheap_mobile=False,
    ),
    City(
        "Lisbon",
        6,
        [
            District(-9.1393, 38.7139, 0.7, 4, 9),
            District(-9.1500, 38.7350, 0.9, 5, 7),
            District(-9.0960, 38.7680, 0.9, 3, 5),
            District(-9.1850, 38.7500, 1.2, 7, 3),
        ],
        has_cheap_mobile=False,
    ),
    City(
        "Budapest",
        9,
        [
            District(19.0514, 47.4979, 0.7, 3, 10),
            District(19.0270, 47.5080, 1.1, 6, 4),
            District(19.0750, 47.5030, 0.9, 7, 5),
            District(19.0500, 47.4720, 1.2, 7, 4),
            District(19.1300, 47.5150, 1.7, 7, 2),
        ],
    ),
)
