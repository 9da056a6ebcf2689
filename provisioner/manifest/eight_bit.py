"""Eight-bit encodings: whether bytes that are not UTF-8 are Windows-1252, and what else they may be.

A byte above 127 is one letter in Windows-1252 and another in the encodings of a Mac, of DOS,
of Warsaw or Moscow, and a wrong letter in a created account is permanent. Judges a whole
file by rules of spelling: which letters a word of a language has, next to which others each
may be, and where a capital may be. Does not guess: where two encodings are plausible and
read differently, the user names the right one.
"""

from __future__ import annotations

import csv
import io
import re
import unicodedata
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from provisioner.immutable import immutable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

USUAL: Final = "Windows-1252"

_LONGEST: Final = 200
"""No word of a name has more bytes, and no spelling rule is applied to more."""
_SEPARATORS: Final = bytes.maketrans(b',;"', b"   ")
_BEYOND_ASCII: Final = re.compile(rb"[\x80-\xff]")
_WORD: Final = re.compile(r"[^\W\d_]+")
_VOWELS: Final = "aeiouyàáâãäåæèéêëěęėìíîïòóôõöøœőùúûüűůýÿąăıīāēū"
_MOST_SHOWN: Final = 3
_SHOWN_COLUMNS: Final = frozenset({"name", "first_name", "last_name", "company_name"})
"""Any other column may hold a secret."""

_WEST: Final = (
    "àâæçéèêëîïôœùûüÿ",  # French
    "äöüßé",  # German
    "áéíñóúüç",  # Spanish
    "áâãàçéêíóôõúü",  # Portuguese
    "àèéìíîòóù",  # Italian
    "àçèéíïòóúü",  # Catalan
    "áäéèëïíóöüç",  # Dutch
    "åäöéáàü",  # Swedish, Finnish
    "æøåéäöóáü",  # Danish, Norwegian
    "áéíóúýðþæö",  # Icelandic
)
_WEST_NEVER: Final = re.compile(
    "è[aeiouyàáâéíóú]|[ae]è|ê[bdgkzwouy]|ù.|ì.|[ae]ò|ã(?![oei]|s?$)|ão[aeiou]|õ(?!e)|ñ(?![aeiouyáéíóúü])"
    "|[aeiouyåæ]ø|ø(?!a$)[aouåæáéíóú]|[aeiouyøå]æ|æ[aeouyøå]|[aeiouy]œ|œ[aobfghjkpqwxyz]|[aeiouyäö]å|å[aeiouyäö]"
    "|(?<!^)ç(?![aouàâãáóôõú]|$)|[^n]ç$|(?<![aeiouyéáóú])ë(?![aeiouy]|$)|[aou]ä|[eiy]ä(?:sk|[cz])|eä$|èk"
    "|ûs.|...ûs$|^û|^ü[aeiou]"
)
"""Spellings that no word of those languages has."""
_WEST_HARDLY: Final = re.compile(
    "(?<![aeiouyéáóú])[ëï](?![aeiouyé])|(?<!e)iß|(?<![aeiouyäöü])ß|ß[acjoqrsuvxyzäöü]|^è(?![bvzr])"
    "|^ú(?!rs|be|lt|ni)|í[hkwiu]|í[aeo](?!$|s$|z$|n$|nez$)|[úî][aeiou]"
    "|(?<![aou])ÿ|û[aeiou]|ô$|[kw].*í|sch.*í|í[^aeiou]{3}|^í(?!ñ|c|r|ng|s[ia])|[^aeiou]{2}ís$|[ðþý]|á[aáâãä]|^[lç]ó$|^ã|^ådi"
    "|^î(?!l)|^œ(?![udni]|[cs][^a])|hè[tp]|[cptv]èt|[rp]èl|dèm|trèn|[ha]èn|nètr|lèm|etcà$"
)
"""Very rare spellings: they count against a rival encoding, but not against Windows-1252."""
_CENTRAL: Final = (
    "ąćęłńóśźż",  # Polish
    "áčďéěíňóřšťúůýž",  # Czech
    "áäčďéíľňóôšťúýž",  # Slovak
    "áéíóöőúüű",  # Hungarian
    "ăâîşţ",  # Romanian
    "čćđšž",  # Croatian, Slovene
    "äöüß",  # German
)
_CENTRAL_NEVER: Final = re.compile(
    f"(?<![{_VOWELS}])[čćřšžśźżńňďťľłđşţ](?![{_VOWELS}])|[ńśź][{_VOWELS}]|[ďť][^{_VOWELS}]|[ďťň][eéi]|[čřšž][yý]|^.ře$|č[^{_VOWELS}]{{1,2}}e"
    f"|ę[{_VOWELS}lmnrvqh]|[{_VOWELS.replace('i', '')}]ę|^ę|ęt(?:r?es?|s)?$|ęche?s?$|ępe|ęs$|(?<![bdfmnptv])ě"
    f"|[{_VOWELS}]ů|ů$|ă[oea]|őe|^(?!.*(?:sz|cs|gy|zs|ny|ly|k)).*ű"
)
_BALTIC: Final = ("ąčęėšųūž", "āčēģīķļņšūž")
_BALTIC_NEVER: Final = re.compile("^(?!.*(?:[aiuyln]s|š|[^aeiou]ė|ū.a)$)|ē[aeiou]|^ę|ķ(?![ei])")
_TURKISH: Final = ("çğıiöşüâîû",)

_ELISION: Final = re.compile(
    r"(?<!\w)(?:[cdjlmnosty]|(?:jus|lors|puis|pres|quel)?qu|aujourd|(?:de|a|ne|su|da|co|be)ll|un|sant|entr|grand)$",
    re.IGNORECASE,
)
_MARKS: Final = re.compile(
    r"(?<!\w)€(?![^\W\d_])|(?<=\d)€(?!\w)|(?<!\w)[“‘«](?=\w|$)|(?<!\w)«$|^»|(?<=[\w.!?])[”’»](?!\w)"
    r"|^[–—]$|(?<=\d)–(?=\d)|(?<=[^\W\d_]{3})[–—](?=[^\W\d_]{3})|…$|(?<=\b[nN])°|(?<=\d)°"
    r"|(?<=\bM)ª(?!\w)|(?<=\b[nN])º(?!\w)|(?<=[lL])·(?=[lL])|(?<=\w)[®™](?!\w)|©(?!\w)|(?<!\w)\xa0|\xa0(?!\w)"
)
"""The characters of Windows-1252 that are not letters, each in its usual context."""


@immutable
class _Encoding:
    codec: str
    """The name that Python knows, and that the user may set."""
    fits: Callable[[str], bool]


def is_usual(raw: bytes) -> bool:
    """Return whether the whole of ``raw`` reads as Windows-1252, and as no other encoding that reads differently."""
    chunks = _chunks(raw)
    usual = _decoded(USUAL, chunks)
    if usual is None or not all(map(_fits_usual, usual)):
        return False
    return not any(_decoded(each.codec, chunks) != usual and _all_fit(each, chunks) for each in _RIVALS)


def readings(raw: bytes) -> tuple[int, tuple[tuple[str, str], ...]]:
    """Return the line of the first ambiguous word of ``raw``, and that word in each plausible encoding.

    The second is empty if no reading is plausible, or none may be shown.
    """
    chunks = _chunks(raw)
    codecs = [each.codec for each in (*_RIVALS, *_FAR_EAST) if _all_fit(each, chunks)][:_MOST_SHOWN]
    for line, cell in _cells(raw):
        for word in _chunks(cell):
            found = {codec: text for codec in (USUAL, *codecs) if (text := _shown(word, codec))}
            usual = found.pop(USUAL, None)
            found = {text: codec for codec, text in reversed(found.items()) if text != usual}
            if found or (usual and not _fits_usual(usual)):
                others = [(codec, text) for text, codec in reversed(found.items())]
                return line, (*others, *([(USUAL, usual)] if usual else ()))
    first = _BEYOND_ASCII.search(raw)
    return raw.count(b"\n", 0, first.start() if first else 0) + 1, ()


def _chunks(raw: bytes) -> list[bytes]:
    """Return each word of ``raw`` that is not ASCII, once."""
    return [each for each in dict.fromkeys(raw.translate(_SEPARATORS).split()) if not each.isascii()]


def _shown(word: bytes, codec: str) -> str | None:
    """Return ``word`` decoded, or None if that is not text or is too long for a message."""
    text = word.decode(codec, "replace")
    return text if len(word) <= _LONGEST and text.isprintable() and "\ufffd" not in text else None


def _cells(raw: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield the line and the bytes of each cell that may be shown and is not ASCII."""
    text = raw.decode("latin-1").replace("\r\n", "\n").replace("\r", "\n")
    head = next((line for line in text.split("\n") if "name" in line), "")
    delimiter = max(",;\t", key=head.count)
    reader = csv.reader(io.StringIO(text), delimiter=delimiter)
    columns: list[str] = []
    try:
        for cells in reader:
            if not columns:
                names = [each.strip().lower() for each in cells]
                columns = names if _SHOWN_COLUMNS & set(names) else []
                continue
            for column, cell in zip(columns, cells, strict=False):
                if column in _SHOWN_COLUMNS and not cell.isascii():
                    yield reader.line_num, cell.encode("latin-1")
    except csv.Error:
        # Wrong quotes are reported once the encoding is known.
        return


def _decoded(codec: str, chunks: Iterable[bytes]) -> list[str] | None:
    """Return ``chunks`` decoded, or None if one cannot be decoded or is too long to be a word."""
    if any(len(each) > _LONGEST for each in chunks):
        return None
    try:
        return [each.decode(codec) for each in chunks]
    except UnicodeDecodeError:
        return None


def _all_fit(encoding: _Encoding, chunks: Iterable[bytes]) -> bool:
    """Return whether all of ``chunks`` are plausible in ``encoding``."""
    texts = _decoded(encoding.codec, chunks)
    return texts is not None and all(map(encoding.fits, texts))


# ── What fits ────────────────────────────────────────────────────────────────


@lru_cache(maxsize=4096)
def _fits_usual(text: str) -> bool:
    marks = {match.start() for match in _MARKS.finditer(text)} | set(_apostrophes(text))
    return _are_words(text, marks, _WEST, (_WEST_NEVER,))


def _latin(alphabets: tuple[str, ...], *never: re.Pattern[str]) -> Callable[[str], bool]:
    @lru_cache(maxsize=4096)
    def fits(text: str) -> bool:
        return _are_words(text, set(_apostrophes(text)), alphabets, never)

    return fits


def _apostrophes(text: str) -> Iterator[int]:
    """Yield the position of each apostrophe that French, Italian, Irish or English puts there."""
    for at, one in enumerate(text):
        before, after = text[:at], text[at + 1 :]
        if one == "\N{RIGHT SINGLE QUOTATION MARK}" and before and after[:1].isalpha():
            short = re.match(r"[st](?!\w)", after, re.IGNORECASE)
            if _ELISION.search(before) or after[0].isupper() or (short and before[-1].isalpha()):
                yield at


def _are_words(text: str, marks: set[int], alphabets: tuple[str, ...], never: tuple[re.Pattern[str], ...]) -> bool:
    if any(not one.isascii() and not one.isalpha() and at not in marks for at, one in enumerate(text)):
        return False
    if any(one in "ªº" and at not in marks for at, one in enumerate(text)):
        return False
    words = [each for each in _WORD.findall(text.translate({0xAA: " ", 0xBA: " "})) if not each.isascii()]
    # No word has a letter beyond ASCII right after a digit.
    if re.search(r"\d[^\W\d_a-zA-Z]", text.translate({0xAA: " ", 0xBA: " "})):
        return False
    return all(
        _is_cased(word)
        and any(all(one.isascii() or one in letters for one in _small(word)) for letters in alphabets)
        and not any(each.search(_small(word)) for each in never)
        for word in words
    )


def _small(word: str) -> str:
    return word.replace("\N{LATIN CAPITAL LETTER I WITH DOT ABOVE}", "i").lower()


def _is_cased(word: str) -> bool:
    """Return whether the letters beyond ASCII are not too many, and are capitals only where a word has them."""
    accented = sum(not one.isascii() for one in word)
    if len(word) == 1:
        return word in "àéèóyö"
    if accented * 2 > len(word) + 1 or re.search(r"[^\x00-\x7f]{3}", word):
        return False
    for before, one in zip(" " + word, word, strict=False):
        if one.isascii() and before.isascii():
            continue
        if before.islower() and one.isupper() and before != "ß":
            return False
    # In a word in capitals, every letter is a capital.
    first = next((at for at, one in enumerate(word) if one.islower() and one != "ß"), len(word))
    capitals = sum(one.isupper() for one in word[:first])
    mixes = first < len(word) and capitals > 1
    return not mixes or (word[:first].isascii() and word[first].isascii())


def _script(*names: str) -> Callable[[str], bool]:
    """Return a check that every word that is not ASCII is written in one script throughout."""

    @lru_cache(maxsize=4096)
    def fits(text: str) -> bool:
        words = [each for each in _WORD.findall(text) if not each.isascii()]
        return (
            bool(words)
            and all(one.isascii() or one.isalpha() for one in text)
            and all(unicodedata.name(one, "").startswith(names) for word in words for one in word)
            and all(len(word) > 1 and (word[1:].islower() or word == word.upper()) for word in words)
        )

    return fits


_west = _latin(_WEST, _WEST_NEVER, _WEST_HARDLY)
_RIVALS: Final = (
    _Encoding("Macintosh", _west),
    _Encoding("CP850", _west),
    _Encoding("Windows-1250", _latin(_CENTRAL, _CENTRAL_NEVER)),
    _Encoding("ISO-8859-2", _latin(_CENTRAL, _CENTRAL_NEVER)),
    _Encoding("Windows-1254", _latin(_TURKISH)),
    _Encoding("Windows-1257", _latin(_BALTIC, _BALTIC_NEVER)),
    _Encoding("Windows-1251", _script("CYRILLIC")),
    _Encoding("KOI8-R", _script("CYRILLIC")),
    _Encoding("CP866", _script("CYRILLIC")),
    _Encoding("Windows-1253", _script("GREEK")),
    _Encoding("Windows-1255", _script("HEBREW")),
    _Encoding("Windows-1256", _script("ARABIC")),
)
_FAR_EAST: Final = tuple(
    _Encoding(codec, _script(*names))
    for codec, names in (
        ("Shift-JIS", ("CJK", "HIRAGANA", "KATAKANA")),
        ("EUC-JP", ("HIRAGANA", "KATAKANA")),
        ("EUC-KR", ("HANGUL",)),
        ("GBK", ("CJK",)),
        ("Big5", ("CJK",)),
    )
)
"""Only shown as candidates: Latin text is never plausible in one of these."""
