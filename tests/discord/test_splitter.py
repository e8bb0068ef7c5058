"""Long answers are cut so that nothing is lost and nothing is broken."""

from __future__ import annotations

import re

from hypothesis import given, settings
from hypothesis import strategies as st

from bots.discord_.splitter import fences_balanced, split_markdown, utf16_length

WORDS = st.text(st.sampled_from("abcdeé ñ漢字🙂👩‍💻.,;:!?-*_~|>#"), min_size=1, max_size=60)
LINKS = st.builds(
    lambda t, n: f"[{t}](https://example.org/{'p' * n})", st.sampled_from(["docs", "a guide", "x"]), st.integers(1, 300)
)
MARKERS = st.integers(1, 99).map(lambda n: f"A sentence with a source. [{n}][{n + 1}] ")
CODE = st.builds(
    lambda lang, lines: f"\n```{lang}\n" + "\n".join(lines) + "\n```\n",
    st.sampled_from(["", "python", "c++"]),
    st.lists(st.text(st.sampled_from("abc =()+\t🙂"), max_size=120), min_size=1, max_size=60),
)
BLOCKS = st.one_of(WORDS, LINKS, MARKERS, CODE, st.just("\n\n"), st.just("\n- item "), st.just("```"), st.just("`x`"))
DOCUMENTS = st.lists(BLOCKS, max_size=120).map("".join)


@settings(max_examples=1000, deadline=None)
@given(DOCUMENTS, st.sampled_from([2000, 500, 120]))
def test_random_documents_lose_nothing_and_break_nothing(document: str, limit: int) -> None:
    parts = split_markdown(document, limit=limit)
    assert "".join(part.body for part in parts) == document
    assert all(utf16_length(part.text) <= limit for part in parts)
    assert all(fences_balanced(part.text) for part in parts)
    cuts = _cuts([part.body for part in parts])
    for pattern in (r"\[[^\[\]\n]+\]\(https://[^()\s]+\)", r"\[\d{1,3}\]", r"`{3,}"):
        for match in re.finditer(pattern, document):
            if match.end() - match.start() < limit - 60:
                assert not any(match.start() < cut < match.end() for cut in cuts), (match[0], limit)


def test_a_short_text_is_one_part_unchanged() -> None:
    assert [part.text for part in split_markdown("Hello. [1]")] == ["Hello. [1]"]


def test_nothing_gives_no_part() -> None:
    assert split_markdown("") == []


def test_a_code_block_is_closed_and_reopened_with_its_language() -> None:
    code = "```python\n" + "\n".join(f"x{i} = {i}" for i in range(400)) + "\n```\nDone."
    parts = split_markdown(code)
    assert len(parts) > 1
    assert all(part.text.startswith("```python\n") for part in parts)
    assert all(part.text.count("```") == 2 for part in parts)


def test_a_marker_stays_with_its_sentence() -> None:
    text = "A" * 1990 + " end. [1] Next."
    parts = split_markdown(text)
    assert next(part.body for part in parts if "[1]" in part.body).count(".") >= 1
    assert not parts[1].body.lstrip().startswith("[1]")


def test_emoji_count_twice() -> None:
    assert all(utf16_length(part.text) <= 2000 for part in split_markdown("🙂" * 3000))
    assert utf16_length("🙂a") == 3


def test_paragraphs_are_cut_between_paragraphs() -> None:
    parts = split_markdown("\n\n".join(["word " * 100] * 8))
    assert all(part.body.rstrip("\n") != part.body for part in parts[:-1])


def _cuts(bodies: list[str]) -> list[int]:
    cuts, position = [], 0
    for body in bodies[:-1]:
        position += len(body)
        cuts.append(position)
    return cuts
