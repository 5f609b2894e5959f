"""Units by their names: what they measure, and how many base units they are worth.

Symbols are read as they are written (`MW` is no `mW`), names in any case and number.
"""

from typing import NamedTuple

__all__ = ["UNITS", "Unit", "unit_named"]


class Unit(NamedTuple):
    """`amount * factor + offset` is the amount in `base`."""

    base: str
    factor: float
    offset: float = 0.0


_DAY = 86_400.0
_LITRE = 1e-3
_FOOT = 0.3048
_MILE = 1609.344
_POUND = 453.59237
_CALORIE = 4.184

# Base unit, then symbols and names and what one of them is worth in it. Months are no number of days.
_TABLE: dict[str, dict[str, float]] = {
    "s": {
        "s sec secs second": 1, "ms msec millisecond": 1e-3, "microsecond": 1e-6, "nanosecond": 1e-9,
        "min mins minute": 60, "h hr hrs hour": 3600, "day": _DAY, "wk wks week": 7 * _DAY,
        "fortnight": 14 * _DAY,
    },
    "month": {
        "mo mos month": 1, "quarter": 3, "yr yrs year": 12, "decade": 120, "century": 1200,
        "millennium": 12_000,
    },
    "business day": {"business_day working_day trading_day banking_day": 1},
    "g": {
        "mg milligram milligramme": 1e-3, "mcg ug \u00b5g \u03bcg microgram": 1e-6, "g gram gramme": 1,
        "kg Kg kgs kilogram kilogramme": 1e3, "lb lbs pound": _POUND, "oz ounce": _POUND / 16,
        "tonne metric_ton metric_tonne": 1e6, "ton short_ton": 2000 * _POUND,
        "carat": 0.2,
    },
    "m": {
        "nm nanometer nanometre": 1e-9, "\u00b5m \u03bcm um micron micrometer micrometre": 1e-6,
        "mm millimeter millimetre": 1e-3, "cm centimeter centimetre": 1e-2, "m meter metre": 1,
        "km kms kilometer kilometre": 1e3, "inch inches \u2033": _FOOT / 12, "ft foot feet \u2032": _FOOT,
        "yd yds yard": 3 * _FOOT, "mi mile": _MILE, "nautical_mile": 1852,
        "light-year light_year": 9.4607e15,
    },
    "m\u00b2": {
        "m2 m\u00b2 sqm sq_m square_meter square_metre": 1,
        "km2 km\u00b2 sq_km square_kilometer square_kilometre": 1e6,
        "cm2 cm\u00b2 square_centimeter square_centimetre": 1e-4,
        "sqft sq_ft ft2 ft\u00b2 square_foot square_feet": _FOOT**2, "square_yard sq_yd": 9 * _FOOT**2,
        "square_inch sq_in": (_FOOT / 12) ** 2, "sq_mi square_mile": _MILE**2, "acre": 4046.8564,
        "ha hectare": 1e4,
    },
    "m\u00b3": {
        "m3 m\u00b3 cubic_meter cubic_metre": 1, "cm3 cm\u00b3 cc cubic_centimeter cubic_centimetre": 1e-6,
        "ml mL milliliter millilitre": 1e-3 * _LITRE, "cl centiliter centilitre": 1e-2 * _LITRE,
        "dl deciliter decilitre": 0.1 * _LITRE, "l L liter litre": _LITRE, "cup": 0.2365882 * _LITRE,
        "tbsp tablespoon": 0.01478676 * _LITRE, "tsp teaspoon": 0.00492892 * _LITRE,
        "floz fl_oz fluid_ounce": 0.02957353 * _LITRE, "pint": 0.4731765 * _LITRE,
        "qt quart": 0.9463529 * _LITRE, "gal gallon": 3.785412 * _LITRE, "bbl barrel": 158.98729 * _LITRE,
        "cubic_foot cubic_feet cu_ft": _FOOT**3, "cubic_inch": (_FOOT / 12) ** 3,
        "cubic_yard": (3 * _FOOT) ** 3, "cubic_kilometer cubic_kilometre km3 km\u00b3": 1e9,
    },
    "m/s": {
        "m/s mps meter_per_second metre_per_second": 1,
        "km/h kmh kph kilometer_per_hour kilometre_per_hour": 1 / 3.6, "mph mile_per_hour": _MILE / 3600,
        "knot kt": 0.514444, "ft/s fps foot_per_second feet_per_second": _FOOT,
    },
    "J": {
        "J joule": 1, "kJ kilojoule": 1e3, "MJ megajoule": 1e6, "GJ gigajoule": 1e9, "cal": _CALORIE,
        "kcal kilocalorie calorie Cal": 1e3 * _CALORIE, "Wh watt-hour watt_hour": 3600,
        "kWh KWh kwh kilowatt-hour kilowatt_hour": 3.6e6, "MWh megawatt-hour megawatt_hour": 3.6e9,
        "GWh gigawatt-hour gigawatt_hour": 3.6e12, "TWh terawatt-hour terawatt_hour": 3.6e15,
        "BTU btu": 1055.06,
    },
    "W": {
        "mW milliwatt": 1e-3, "W watt": 1, "kW KW kilowatt": 1e3, "MW megawatt": 1e6, "GW gigawatt": 1e9,
        "TW terawatt": 1e12, "hp horsepower bhp": 745.7,
    },
    "B": {
        "B byte": 1, "kB KB kilobyte": 1e3, "MB megabyte": 1e6, "GB gigabyte": 1e9, "TB terabyte": 1e12,
        "PB petabyte": 1e15, "KiB kibibyte": 2**10, "MiB mebibyte": 2**20, "GiB gibibyte": 2**30,
        "TiB tebibyte": 2**40, "bit": 1 / 8,
    },
    "b/s": {
        "bps bit/s": 1, "kbps Kbps kbit/s": 1e3, "Mbps mbps Mbit/s Mb/s": 1e6, "Gbps gbps Gbit/s Gb/s": 1e9,
        "MB/s MBps": 8e6, "GB/s GBps": 8e9,
    },
    "Hz": {"Hz hertz": 1, "kHz kilohertz": 1e3, "MHz megahertz": 1e6, "GHz gigahertz": 1e9, "rpm RPM": 1 / 60},
    "V": {"V volt": 1, "mV millivolt": 1e-3, "kV kilovolt": 1e3},
    "A": {"amp ampere": 1, "mA milliamp milliampere": 1e-3},
    "Ah": {"Ah amp-hour": 1, "mAh": 1e-3},
    "Pa": {
        "Pa pascal": 1, "hPa": 100, "kPa kilopascal": 1e3, "MPa megapascal": 1e6, "mbar millibar": 100,
        "psi PSI": 6894.757, "atm": 101_325, "mmHg": 133.322,
    },
    "ppm": {"ppm": 1, "ppb": 1e-3},
    "dB": {"dB decibel": 1},
    "\u03a9": {"\u03a9 ohm": 1},
    "px": {"px pixel": 1},
    "lm": {"lm lumen": 1},
    "degree": {"degree deg \u00b0": 1},
}  # fmt: skip
_KELVIN = 273.15
_TEMPERATURES = {
    Unit(
        "\u00b0C", 1
    ): "\u00b0C \u2103 degree_C degree_celsius degree_centigrade celsius centigrade",
    Unit("\u00b0C", 5 / 9, -160 / 9): "\u00b0F \u2109 degree_F degree_fahrenheit fahrenheit",
    Unit("\u00b0C", 1, -_KELVIN): "kelvin",
}

UNITS: dict[str, Unit] = {
    name.replace("_", " "): Unit(base, factor)
    for base, names in _TABLE.items()
    for each, factor in names.items()
    for name in each.split()
} | {
    name.replace("_", " "): unit for unit, names in _TEMPERATURES.items() for name in names.split()
}

_IRREGULAR = {"centuries": "century", "millennia": "millennium"}
_SYMBOL_LENGTH = 2
_SHORTEST_PLURAL = 3


def unit_named(words: str) -> Unit | None:
    """The unit of that symbol, or of that name in any case and number."""
    if found := UNITS.get(words):
        return found
    if len(words) <= _SYMBOL_LENGTH:
        return None
    first, *others = words.split(" ")
    name = " ".join([_singular(first), *others]) if others[:1] == ["per"] else _singular(words)
    return UNITS.get(name) or UNITS.get(name.lower()) or _degrees(words)


def _singular(word: str) -> str:
    lower = word.lower()
    is_plural = lower.endswith("s") and len(lower) > _SHORTEST_PLURAL and lower not in UNITS
    return _IRREGULAR.get(lower) or (lower[:-1] if is_plural else word)


def _degrees(words: str) -> Unit | None:
    """`Degrees F`: of a name in any case, but of a symbol as it is written."""
    first, _, scale = words.partition(" ")
    return (
        UNITS.get(f"degree {scale}") or UNITS.get(f"degree {scale.lower()}")
        if first.lower() in {"degrees", "degree", "deg"}
        else None
    )
