"""Texts that strangers could put into a document to confuse a reader or a terminal."""

from __future__ import annotations

import unicodedata

from hypothesis import strategies as st

TERMINAL_ESCAPES = (
    "\x1b[31m", "\x1b[2J\x1b[H", "\x1b]0;title\x07", "\x1b]8;;http://evil.example\x1b\\here",
    "\x9b31m", "\x9d0;t\x9c", "\x1b[?1049h", "\x1bPq", "\x08" * 8, "\r", "\x07", "\x0e", "\x7f",
)  # fmt: skip
MARKUP = (
    "[red]",
    "[/]",
    "[link=http://evil.example]here[/link]",
    "[bold",
    ":smile:",
    "\\[",
    "[/nothing]",
    "**x**",
)
BIDI = ("\u202e", "\u202a", "\u2066", "\u2069", "\u200e", "\u200f", "\u061c")
INVISIBLE = (
    "\u200b",
    "\u200d",
    "\u2060",
    "\ufeff",
    "\u00ad",
    "\U000e0041",
    "\u2028",
    "\u2029",
    "\u0085",
    "\ud800",
)
WIDE = ("अर्जुन", "漢字かな", "👩🏽\u200d🚀", "e\u0301\u0302\u0303", "ﷺ")

pieces = st.one_of(
    st.sampled_from((*TERMINAL_ESCAPES, *MARKUP, *BIDI, *INVISIBLE, *WIDE)),
    st.text(max_size=30),
    st.text(st.characters(categories=["Cc", "Cf", "Cs", "Zl", "Zp", "Zs", "Co"]), max_size=5),
    st.text("abcdefghij ", max_size=120),
)
texts = st.lists(pieces, max_size=6).map("".join)
"""Any text, often a hostile one."""

ids = st.one_of(
    st.text("0123456789abcdef", min_size=32, max_size=32).map("poison_{}".format),
    st.text("abcdefghijklmnopqrstuvwxyz0123456789-_", min_size=1, max_size=300),
)
"""Ids as operators copy them, up to the longest that print on several lines of a terminal."""

UNSAFE = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


def unsafe(output: str) -> set[str]:
    """Return the characters of an output, except line ends, that a terminal could act on or not show."""
    return {
        character for character in output if character != "\n" and unicodedata.category(character) in UNSAFE
    }
