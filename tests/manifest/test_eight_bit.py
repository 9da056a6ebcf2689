"""Eight-bit encodings: what a French, German or Spanish Excel saves is read, and nothing else."""

import time

import pytest

from provisioner.manifest.eight_bit import is_usual, readings

HEADER = "name,first_name,last_name,password\nx,"
READ = (
    "Zoé|Hélène|Genève|François|Käthe|Müller|Strauß|Großmann|Straße|Sánchez|Juárez|Muñoz|García|Cebrián|Matías|"
    "Ibáñez|L’Oréal|d’Artagnan|O’Brien|Boulangerie d’or|Aujourd’hui|L’étoile|Auto-école|à la carte|"
    "Café à emporter|Forêt|Jérôme|Rivière|Frère|Le Poète|Noël|Anaïs|Loïc|Moïse|août|Sœur|Œuvre|Søren|København|"
    "Håkan|Gonçalves|João|Conceição|CAFÉ|ANDRÉ|MÜLLER|KÖHLER|FRANÇOIS|CÔTE|LÓPEZ|ESPAÑA|ÉCOLE|5 €|100€|"
    "Nord – Sud|2020–2021|“Le Sud”|« Le Sud »|N°5|Mª Carmen|Ève|Étienne|Österreich|Özil|Nicolò|Città|Gesù|"
    "Forlì|Niño|Désirée|Maïté|Brûlé|Évêque|Île-de-France|Où|Là|ça|Reçu|Œdipe|Etc…|"
    "Fußpflege|Maßanzüge|Schloßapotheke|Weißgerber|Großglockner|Nußdorf|Barßel|Corrêa|Llançà"
)
WRONG = {
    "mac_roman": "Käthe|Zoé|Hélène|François|Müller|Sánchez|Muñoz|García|Raúl|López|Noël|Jérôme|Étienne|Søren|L’Oréal",
    "cp850": "Käthe|Zoé|Hélène|François|Müller|Sánchez|Muñoz|García|Raúl|Noël|ÉCOLE|Strauß|Groß|voilà|Château|Köln|"
    "Fußpflege|Arquà",
    "cp1250": "Łukasz Żak|Dvořák|Ondřej|Jiří|Čapek|Kučera|Růžena|Němcová|Erdős|Brăila|Iaşi|Wałęsa|Dębski|Gdańsk|Kovač|"
    "Vlčková",
    "cp852": "Gdański|Domińczak|Bieleń|Dvořák",
    "cp1251": "Иван Петров|Анна|Щукин",
    "koi8_r": "Иван Петров",
    "cp866": "Иван Петров",
    "cp1253": "Γιώργος",
    "cp1254": "Yılmaz|Erdoğan|Işık|Şahin|İzmir",
    "cp1257": "Jānis Bērziņš|Žukauskas|Nausėda",
    "iso8859_2": "Šimon|Wałęsa|Kovač",
    "shift_jis": "太郎 山田|アリス|東京",
    "gbk": "李四|张伟",
    "euc_kr": "김철수",
}


def table(cell: str, encoding: str) -> bytes:
    return f"{HEADER}{cell},b\n".encode(encoding)


@pytest.mark.parametrize("cell", READ.split("|"))
def test_what_western_europe_writes_is_windows_1252(cell: str) -> None:
    assert is_usual(table(cell, "cp1252"))


@pytest.mark.parametrize("encoding", WRONG)
def test_what_another_table_wrote_is_not_taken_for_windows_1252(encoding: str) -> None:
    assert [cell for cell in WRONG[encoding].split("|") if is_usual(table(cell, encoding))] == []


def test_one_word_that_does_not_fit_decides_for_the_whole_file() -> None:
    assert is_usual(table("Novák", "cp1250"))
    assert not is_usual(table("Novák,Dvořák", "cp1250"))


def test_the_word_that_decides_is_shown_and_each_reading_once() -> None:
    assert readings(table("Müller,b\ny,Umeå", "cp1252")) == (3, (("Windows-1252", "Umeå"),))
    assert readings(table("Novák Dvořák", "cp1250")) == (2, (("Windows-1250", "Dvořák"), ("Windows-1252", "Dvoøák")))


@pytest.mark.parametrize("text", ["a" * 500_000 + ",é", "a’" * 500_000, "é" * 500_000])
def test_one_word_without_end_takes_no_more_time_than_many(text: str) -> None:
    start = time.process_time()
    is_usual(table(text, "cp1252"))
    readings(table(text, "cp1252"))
    assert time.process_time() - start < 2


@pytest.mark.parametrize("encoding", ["mac_roman", "cp1250", "cp1251", "shift_jis", "euc_kr"])
def test_the_right_reading_is_among_those_that_are_shown(encoding: str) -> None:
    word = WRONG[encoding].split("|")[0].split()[0]
    line, found = readings(table(word, encoding))
    assert (line, word) == (2, next(text for codec, text in found if word.encode(codec) == word.encode(encoding)))


def test_what_may_be_a_secret_is_never_shown() -> None:
    assert readings(table("a,b,Käthe", "mac_roman")) == (2, ())
