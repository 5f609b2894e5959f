"""Currencies, by the sign or code before an amount and the name or code after it."""

import re
from typing import NamedTuple

__all__ = [
    "CURRENCY_SIGNS",
    "CURRENCY_WORDS",
    "DOLLARS",
    "Currency",
    "currency_after",
    "currency_before",
]


class Currency(NamedTuple):
    """`code` is lower case; `$` is a dollar of a country that is not said."""

    end: int
    code: str


_SIGNS = {
    "$": "$", "US$": "usd", "U.S.$": "usd", "C$": "cad", "CA$": "cad", "A$": "aud", "AU$": "aud", "NZ$": "nzd",
    "HK$": "hkd", "S$": "sgd", "R$": "brl", "\u20ac": "eur", "\xa3": "gbp", "\xa5": "jpy", "\u20b9": "inr",
    "\u20a9": "krw", "\u20bd": "rub", "\u20ba": "try", "\u20aa": "ils", "\u20bf": "btc", "\u20b1": "php",
}  # fmt: skip
_CODES = "usd eur gbp jpy cny rmb inr chf cad aud nzd hkd sgd sek nok dkk pln czk huf krw rub brl mxn zar ils btc eth"
_NAMES = {code: code for code in _CODES.split()} | {
    "rmb": "cny", "rs": "inr", "rupee": "inr", "dollar": "$", "euro": "eur", "yen": "jpy", "yuan": "cny", "peso": "peso",
    "krona": "sek", "krone": "krone", "cent": "cent", "pence": "pence", "us dollar": "usd", "u.s. dollar": "usd",
    "american dollar": "usd", "canadian dollar": "cad", "australian dollar": "aud", "swiss franc": "chf",
    "british pound": "gbp", "pounds sterling": "gbp", "pound sterling": "gbp", "bitcoin": "btc", "zloty": "pln",
    "singapore dollar": "sgd", "hong kong dollar": "hkd", "\u20ac": "eur", "\xa3": "gbp", "$": "$", "\xa2": "cent",
}  # fmt: skip
DOLLARS = frozenset(("$", "usd", "cad", "aud", "nzd", "hkd", "sgd"))
CURRENCY_SIGNS = frozenset(sign for sign in _SIGNS if len(sign) == 1)
CURRENCY_WORDS = frozenset(
    {*_CODES.split(), "rs", "us", "u", "c", "ca", "a", "au", "nz", "hk", "s", "r"}
)
"""What a currency before an amount may begin with that is no sign, in lower case."""

_BEFORE = re.compile(
    rf"(?:(?P<sign>(?:US|U\.S\.|CA?|AU?|NZ|HK|S|R)?\$|[{''.join(sorted(CURRENCY_SIGNS))}])[ \xa0]?"
    rf"|(?P<code>{'|'.join(_CODES.upper().split())}|Rs\.?|rs\.)[ \xa0]?[$\u20ac\xa3\xa5]?)(?=\.?[0-9])"
)
_AFTER = re.compile(
    r"[\s-]{0,2}(?P<name>(?:(?:U\.?S\.?|American|Canadian|Australian|Singapore|Hong Kong|British|Swiss)\s)?"
    r"[A-Za-z]{3,7}(?![A-Za-z])(?: sterling\b)?|[$\u20ac\xa3\xa2](?!\s?[0-9]))"
)


def currency_before(text: str, start: int) -> Currency | None:
    if not (found := _BEFORE.match(text, start)):
        return None
    code = _SIGNS[found["sign"]] if found["sign"] else _NAMES[found["code"].lower().rstrip(".")]
    return Currency(found.end(), code)


def currency_after(text: str, end: int) -> Currency | None:
    if not (found := _AFTER.match(text, end)):
        return None
    name = found["name"].lower()
    if name in _CODES and not found["name"].isupper():
        return None
    code = _NAMES.get(name) or _NAMES.get(name.removesuffix("s"))
    return Currency(found.end(), code) if code else None
