"""Words that turn a sentence into its extreme or its opposite, though it shares every other word with its source."""

from __future__ import annotations

import re

# What may not be claimed unless the source says it in one of these words.
_ABSOLUTES = tuple(re.compile(rf"\b(?:{words})\b", re.I) for words in (
    r"always|every(?:one|body|thing|where)?|all|each|any(?:one|body|thing)?|whole|whatever|in full",
    r"only|solely|exclusively|nothing but|just|alone",
    r"same|identical(?:ly)?|equal(?:s|ly)?|equivalent|interchangeabl[ey]|synonym(?:s|ous)?|(?:another|other) (?:name|word)s? for",
    r"forbid\w*|forbade|prohibit\w*|illegal\w*|ban(?:s|ned)?|not allow\w*|unlawful\w*",
    r"guarantee\w*|certain(?:ly|ty)?|surely|sure|ensur\w+|promis\w+",
    r"by law|legal(?:ly)?|laws?|statut\w+|regulat\w+|act",
))
_WORD = re.compile(r"\w+")
_OPPOSITES = tuple(tuple(pair.split("/")) for pair in (
    "before/after first/last earlier/later increases/decreases increase/decrease raises/lowers higher/lower high/low "
    "larger/smaller bigger/smaller large/small longer/shorter long/short faster/slower fast/slow more/less more/fewer "
    "most/least better/worse best/worst easier/harder easy/hard cheaper/costlier cheap/expensive junior/senior "
    "supervised/unsupervised encoder/decoder overfitting/underfitting parallel/sequence simple/complex strong/weak "
    "early/late always/never allows/forbids permits/forbids possible/impossible positive/negative with/without "
    "old/new public/private open/closed safe/unsafe true/false inside/outside online/offline"
).split())


def exaggerates(claim: str, source: str) -> bool:
    """Whether the claim is absolute (always, only, the same, by law) and the source nowhere is."""
    return any(pattern.search(claim) and not pattern.search(source) for pattern in _ABSOLUTES)


def says_the_opposite(claim: str, source: str) -> bool:
    """Whether the claim says one word of a pair of opposites and the source only the other."""
    words, known = set(_WORD.findall(claim.lower())), set(_WORD.findall(source.lower()))
    return any(mine in words - known and theirs in known - words
               for pair in _OPPOSITES for mine, theirs in (pair, pair[::-1]))
