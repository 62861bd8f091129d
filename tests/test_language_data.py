"""Data of language models: an encoding that loses nothing, packed and masked rows, reviews and other text."""

import itertools
import os
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nets import data
from nets.config import Config
from nets.data import Split, _corpus, _ngrams, _pack, _subwords
from nets.data import _imdb as imdb
from nets.data import _reviews as reviews
from nets.data import _text as text
from nets.data._words import encode, train_tokenizer
from tests.helpers_data import pack_archive

REAL = Path(__file__).parents[2] / "shared/data/aclImdb_v1.tar.gz"
TEXTS = [
    f"The {noun} was {kind}, and I said so.\n\n" * (1 + i)
    for i, (noun, kind) in enumerate(
        [("film", "good"), ("plot", "dull"), ("end", "sad"), ("sound", "loud"), ("cast", "fine")]
    )
]
TOKENIZER = data.train_subwords(TEXTS, 300)
MARKS = (_subwords.PADDING, _subwords.END, _subwords.MASK)


def decode(tokenizer, ids):
    return tokenizer.decode([int(i) for i in ids], skip_special_tokens=False)


def documents_of(split, tokenizer):
    """The documents of a packed split."""
    stream = _pack.unpack(split)
    places = np.flatnonzero(stream == data.END)
    return [decode(tokenizer, stream[a + 1 : b]) for a, b in itertools.pairwise(places)]


# ---- The encoding


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.one_of(
            st.text(st.characters(exclude_categories=["Cs"])),
            st.sampled_from(
                [
                    "<pad>",
                    "<end>",
                    "<mask>",
                    "<br />",
                    "  ",
                    "\r\n",
                    "\0",
                    "\ufeff",
                    "e\u0301",
                    "\U0001f469\u200d\U0001f52c",
                ]
            ),
            st.text("ab \n<>'9_ß日", min_size=60, max_size=200),
        )
    ).map("".join)
)
def test_any_text_comes_back(content):
    again = data.read_tokenizer(TOKENIZER.to_str())
    for tokenizer in (TOKENIZER, again):
        ids = tokenizer.encode(content).ids
        assert decode(tokenizer, ids) == content
        assert not set(ids) & set(MARKS)


def test_every_byte_has_a_token():
    characters = "".join(map(chr, range(0x800))) + "日\U0001f52c\U0010ffff"
    assert decode(TOKENIZER, TOKENIZER.encode(characters).ids) == characters
    assert TOKENIZER.get_vocab_size() <= 300
    assert [TOKENIZER.token_to_id(mark) for mark in _subwords.SPECIAL] == [0, 1, 2]


def test_frequent_words_are_one_token_and_the_encoding_is_the_same_every_time():
    one, two = (data.train_subwords(TEXTS * 3, 300) for _ in range(2))
    assert one.to_str() == two.to_str()
    assert len(one.encode(" film").ids) < len(" film")
    assert data.is_lossless(one) and not data.is_lossless(train_tokenizer(TEXTS, 60))


def test_a_vocabulary_without_room_for_all_bytes_is_refused():
    with pytest.raises(ValueError, match=r"`vocabulary` must be at least 259 for .*; got 258"):
        data.train_subwords(TEXTS, 258)
    assert data.train_subwords(TEXTS, 259).get_vocab_size() == 259


@pytest.mark.parametrize("character", ["x", " ", "-", "7", "é"])
def test_the_time_of_a_long_run_of_characters_grows_with_its_length(character):
    long = character * 400_000
    start = time.process_time()
    assert decode(TOKENIZER, TOKENIZER.encode(long).ids) == long
    data.train_subwords([long], 300)
    assert time.process_time() - start < 20


# ---- Rows


@pytest.mark.parametrize("length", [1, 7, 32, 1000])
def test_packed_rows_hold_every_token_once(length):
    split = data.pack(TOKENIZER, TEXTS, length, documents=True)
    stream = [data.END]
    for content in TEXTS:
        stream += [*TOKENIZER.encode(content).ids, data.END]
    assert split.rows.dtype == split.labels.dtype == split.documents.dtype == np.int32
    assert split.rows.shape == split.labels.shape == (-(-(len(stream) - 1) // length), length)
    labels = split.labels.ravel()
    assert labels[labels > 0].tolist() == stream[1:] and not labels[len(stream) - 1 :].any()
    assert split.rows.ravel()[: len(stream) - 1].tolist() == stream[:-1]
    assert _pack.unpack(split).tolist() == stream
    assert documents_of(split, TOKENIZER) == TEXTS
    for number, content in enumerate(TEXTS):
        of_document = split.labels[split.documents == number]
        assert decode(TOKENIZER, of_document[:-1]) == content and of_document[-1] == data.END
    assert split.document_bytes.tolist() == [len(content.encode()) for content in TEXTS]


@pytest.mark.parametrize("rows", [1, 3])
def test_packing_stops_when_its_rows_are_full(rows, monkeypatch):
    whole, part = (data.pack(TOKENIZER, TEXTS, 11, n, documents=True) for n in (None, rows))
    expected = data.head(whole, rows)
    for name in ("rows", "labels", "documents", "document_bytes"):
        assert np.array_equal(getattr(part, name), getattr(expected, name))
    encoded = []

    def encode_one(tokenizer, texts):
        for content in texts:
            encoded.append(content)
            yield np.array(tokenizer.encode(content).ids, np.int32)

    monkeypatch.setattr(_pack, "encode_documents", encode_one)
    assert np.array_equal(data.pack(TOKENIZER, TEXTS * 1000, 11, rows).rows, expected.rows)
    assert len(encoded) <= len(TEXTS)


@pytest.mark.parametrize("texts", [[], ["a", ""]])
def test_no_or_empty_documents_are_refused(texts):
    with pytest.raises(ValueError, match="`texts` must be one or more texts that are not empty"):
        data.pack(TOKENIZER, texts, 4)


def test_masks_are_those_of_the_article():
    vocabulary, count = 50, 400_000
    rows = np.random.default_rng(0).integers(0, vocabulary, (count // 100, 100)).astype(np.int32)
    masked, labels = data.mask_tokens(rows, np.random.default_rng(1), vocabulary)
    assert masked.dtype == labels.dtype == np.int32 and masked.shape == labels.shape == rows.shape
    chosen = labels > 0
    assert np.array_equal(labels[chosen], rows[chosen])
    assert np.array_equal(masked[~chosen], rows[~chosen])
    assert not (chosen & (rows < 2)).any()
    words = rows[rows >= 2].size

    def check(number, total, share):
        assert abs(number - share * total) < 4 * np.sqrt(total * share * (1 - share))

    # Of tokens that are no <mask> before, and where a random one happens to be the same.
    plain = chosen & (rows > 2)
    check(chosen.sum(), words, 0.15)
    check((masked == 2)[plain].sum(), plain.sum(), 0.8)
    check((masked == rows)[plain].sum(), plain.sum(), 0.1 + 0.1 / (vocabulary - 3))
    random_tokens = masked[plain & (masked != 2) & (masked != rows)]
    assert set(random_tokens) == set(range(3, vocabulary))
    for token in range(3, vocabulary):
        check((random_tokens == token).sum(), random_tokens.size, 1 / (vocabulary - 3))
    again = data.mask_tokens(rows, np.random.default_rng(1), vocabulary)
    assert np.array_equal(again[0], masked) and np.array_equal(again[1], labels)
    with pytest.raises(ValueError, match="`vocabulary` must be above the 3 marks, got 3"):
        data.mask_tokens(rows, np.random.default_rng(1), 3)


def test_documents_of_masked_rows_are_those_of_their_tokens():
    split = data.pack(TOKENIZER, TEXTS, 9, documents=True)
    masked = _pack.mask_split(split, 3, 300)
    stream = split.rows.ravel()
    numbers = np.cumsum(stream == data.END) - 1
    chosen = masked.labels.ravel() > 0
    assert chosen.sum() > 10
    assert np.array_equal(masked.documents.ravel()[chosen], numbers[chosen])
    assert (masked.documents.ravel()[~chosen] == -1).all()
    assert np.array_equal(masked.document_bytes, split.document_bytes)


def test_parts_of_a_split_keep_its_documents():
    split = data.pack(TOKENIZER, TEXTS, 5, documents=True)
    remaining, held_out = data.hold_out(split, 0.3, seed=0)
    assert len(held_out.rows) == round(0.3 * len(split.rows))
    for part in (remaining, held_out, data.head(split, 4)):
        for row, labels, documents in zip(part.rows, part.labels, part.documents, strict=True):
            at = np.flatnonzero((split.rows == row).all(1) & (split.labels == labels).all(1))
            assert any(np.array_equal(split.documents[i], documents) for i in at)
        assert part.document_bytes is split.document_bytes
    with pytest.raises(ValueError, match=r"`contiguous` needs one class a row, got labels of shape \("):
        data.hold_out(split, 0.3, seed=0, contiguous=True)


def test_labels_are_cut_with_their_rows():
    rows = np.array([[5, 6, 0, 0], [7, 0, 0, 0]], np.int32)
    split = Split(rows, rows)
    batch = data.make_batch(split, np.array([0, 1]), 3, lengths=(2, 4))
    assert batch[0].tolist() == batch[1].tolist() == [[5, 6], [7, 0], [5, 6]]
    assert batch[2].tolist() == [1, 1, 0]


ROWS = np.array([[1, 5, 6]], np.int32)
LABELS = np.array([[5, 6, 0]], np.int32)
DOCUMENTS = np.array([[0, 1, -1]], np.int32)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (dict(labels=LABELS[:, :2]), r"`labels` must have .* the shape \(1, 3\) of `rows`, got \(1, 2\)"),
        (
            dict(document_bytes=None),
            "`documents` and `document_bytes` belong .* no `document_bytes`",
        ),
        (dict(documents=None), "`documents` and `document_bytes` belong .* no `documents`"),
        (dict(labels=np.array([1])), r"`documents` must have the shape of `labels`, .* \(1, 3\) and \(1,\)"),
        (dict(documents=DOCUMENTS[:, :2]), "`documents` must have the shape of `labels`"),
        (
            dict(documents=DOCUMENTS * 1.0),
            "`documents` must be whole numbers, -1 exactly where `labels` is 0",
        ),
        (dict(documents=np.array([[0, -1, -1]])), "-1 exactly where `labels` is 0"),
        (dict(documents=np.array([[0, 1, 1]])), "-1 exactly where `labels` is 0"),
        (
            dict(documents=np.array([[0, 2, -1]])),
            "`documents` must be below the 2 of `document_bytes`, got -1 to 2",
        ),
        (dict(documents=np.array([[0, -2, -1]])), "`documents` must be below the 2 .* got -2 to 0"),
        (
            dict(document_bytes=np.array([3, 0])),
            "`document_bytes` must be whole numbers from 1, got int64 down to 0",
        ),
        (dict(document_bytes=np.array([3.0, 2])), "`document_bytes` must be whole numbers from 1"),
    ],
)
def test_refused_splits(changes, message):
    good = dict(rows=ROWS, labels=LABELS, documents=DOCUMENTS, document_bytes=np.array([3, 2]))
    Split(**good)
    with pytest.raises(ValueError, match=message):
        Split(**good | changes)


# ---- Reviews


def review_files(count=12, unlabelled=8):
    """Names inside the archive and texts."""
    for split in ("train", "test"):
        for side, word in (("pos", "moving"), ("neg", "boring")):
            for i in range(count):
                yield f"aclImdb/{split}/{side}/{i}_1.txt", f"{split} {i}<br /><br />A {word} film. " * (1 + i)
    for i in range(unlabelled):
        yield f"aclImdb/train/unsup/{i}_0.txt", f"unsup {i}: who knows."


@pytest.fixture
def folder(tmp_path):
    return write(tmp_path, review_files())


def write(root, files):
    for name, content in files:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")
    return root / "aclImdb"


def load(**changes):
    options = dict(data="reviews", model="linear", max_tokens=16, vocabulary=300, progress=False)
    return data.load(Config(**options | changes))


def all_documents(loaded):
    tokenizer = data.read_tokenizer(loaded.files["tokenizer.json"])
    return {name: documents_of(getattr(loaded, name), tokenizer) for name in ("train", "validation", "test")}


def chain(documents):
    """The documents of all splits in one list."""
    return [content for of_split in documents.values() for content in of_split]


def test_reviews_are_those_of_the_folder_with_and_without_a_label(folder):
    loaded = load(data_path=folder)
    documents = all_documents(loaded)
    expected = {name: content.replace("<br />", "\n") for name, content in review_files()}
    of = {
        split: sorted(content for name, content in expected.items() if f"/{split}/" in name)
        for split in ("train", "test")
    }
    assert sorted(documents["train"] + documents["validation"]) == of["train"] and len(of["train"]) == 32
    assert sorted(documents["test"]) == of["test"]
    assert len(documents["validation"]) == 4
    # In a random order, the same one every time.
    assert documents["train"] != sorted(documents["train"])
    assert np.array_equal(load(data_path=folder).train.rows, loaded.train.rows)
    assert loaded.classes == loaded.vocabulary == 300 and loaded.test.labels.max() < 300
    assert loaded.test.document_bytes.sum() == sum(len(content.encode()) for content in of["test"])
    assert loaded.train.documents is None


def test_archive_folder_and_hub_give_the_same_reviews(folder, tmp_path):
    import pandas

    from_folder = imdb.read(folder, False, unlabelled=True)
    assert imdb.read(pack_archive(tmp_path / "a.tar.gz", review_files()), False, True) == from_folder
    assert set(from_folder["unsupervised"][1]) == {-1} and len(from_folder["unsupervised"][0]) == 8
    hub = tmp_path / "hub"
    hub.mkdir()
    for split, (texts, labels) in from_folder.items():
        table = pandas.DataFrame({"text": texts, "label": labels})
        table.to_parquet(hub / f"{split}-00000-of-00001.parquet")
    assert imdb.read(hub, False, True) == from_folder
    assert set(imdb.read(hub, False)) == set(imdb.read(folder, False)) == {"train", "test"}


def test_a_folder_without_unlabelled_reviews_has_its_labelled_ones(tmp_path):
    loaded = load(data_path=write(tmp_path, review_files(unlabelled=0)))
    documents = all_documents(loaded)
    assert len(documents["train"] + documents["validation"]) == 24


def test_an_archive_is_read_once(tmp_path, monkeypatch):
    path = pack_archive(tmp_path / "a.tar.gz", review_files())
    first = load(data_path=path)
    monkeypatch.setattr(reviews, "read", None)
    assert load(data_path=path, depth=3, seed=5).train is first.train


def test_test_reviews_are_spread_over_all_of_them(folder, monkeypatch):
    monkeypatch.setattr(reviews, "TEST_REVIEWS", 6)
    monkeypatch.setattr(reviews, "VALIDATION_REVIEWS", 3)
    documents = all_documents(load(data_path=folder))
    assert len(documents["validation"]) == 3 and len(documents["test"]) == 6
    assert sum("moving" in content for content in documents["test"]) == 3
    assert len(set(documents["test"])) == 6


def test_the_baselines_are_those_of_the_rows_that_are_trained_on(folder):
    few, every = (load(data_path=folder, max_examples=n) for n in (20, None))
    assert len(few.train.rows) == 20 and len(few.validation.rows) == 2
    assert np.array_equal(few.train.rows, every.train.rows[:20])
    assert np.array_equal(few.test.rows, every.test.rows)
    train, test = (_pack.unpack(split) for split in (few.train, few.test))
    assert len(train) == 20 * 16 + 1
    log_p = _ngrams.kneser_ney(train, test, 5, 300)[1:]
    assert few.baseline["kneser_ney_5_perplexity"] == pytest.approx(np.exp(-log_p.mean()))
    size = few.test.document_bytes.sum()
    assert few.baseline["kneser_ney_5_bits_per_byte"] == pytest.approx(-log_p.sum() / np.log(2) / size)
    assert every.baseline["kneser_ney_5_perplexity"] != few.baseline["kneser_ney_5_perplexity"]
    assert every.baseline["xz_bits_per_byte"] == few.baseline["xz_bits_per_byte"]
    with pytest.raises(ValueError, match=r"`max_examples` must be at most the .* rows .*, got 9000"):
        load(data_path=folder, max_examples=9000)


def test_baselines_are_measured_where_they_are_wanted(folder):
    config = Config(
        data="reviews", model="linear", max_tokens=16, vocabulary=300, data_path=folder, progress=False
    )
    first = data.load(config)
    tokenizer = first.files["tokenizer.json"]
    assert data.load(config, tokenizer).baseline == {}
    again = data.load(config, tokenizer, baseline=True)
    assert again.baseline == first.baseline and np.array_equal(again.train.rows, first.train.rows)
    assert data.load(config, baseline=False).baseline == {}


def test_a_classifier_reads_reviews_as_the_language_model_did(folder):
    tokenizer = load(data_path=folder).files["tokenizer.json"]
    config = Config(data="imdb", model="linear", max_tokens=1000, data_path=folder, progress=False)
    loaded = data.load(config, tokenizer, baseline=True)
    assert set(loaded.baseline) == {"bag_of_words_accuracy", "nbsvm_accuracy"}
    assert loaded.vocabulary == 300 and loaded.files == {"tokenizer.json": tokenizer} and loaded.classes == 2
    made = data.read_tokenizer(tokenizer)
    expected = {content.replace("<br />", "\n") for name, content in review_files() if "/test/" in name}
    assert {decode(made, row[row > 0]) for row in loaded.test.rows} == expected
    assert data.load(config, tokenizer).baseline == {}
    # A longer one keeps its beginning and its end, a run without blanks its letters.
    ids = made.encode("x" * 1000).ids
    row = encode(made, ["x" * 1000], 10)[0]
    assert row.tolist() == ids[:5] + ids[-5:]


def test_masked_reviews_have_their_tokens_as_labels(folder):
    plain, loaded, again = (load(data_path=folder, task=task) for task in ("language", "masked", "masked"))
    assert np.array_equal(loaded.train.rows, plain.train.rows)
    assert np.array_equal(loaded.train.labels, loaded.train.rows)
    assert loaded.baseline == {} and loaded.test.documents is not None
    for name in ("validation", "test"):
        before, split = getattr(plain, name), getattr(loaded, name)
        chosen = split.labels > 0
        assert 0.02 < chosen.mean() < 0.3 and np.array_equal(split.labels[chosen], before.rows[chosen])
        assert np.array_equal(split.rows, getattr(again, name).rows)
        assert (split.rows == _subwords.MASK).any()


def test_too_few_reviews_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(reviews, "read", lambda *_, **__: {"train": (["a"], [1]), "test": (["b"], [1])})
    with pytest.raises(ValueError, match=r"has too few reviews in train/ .*, got 1; give"):
        load(data_path=tmp_path)


@pytest.mark.slow
@pytest.mark.skipif(not REAL.exists(), reason="the IMDb archive is not on this machine")
def test_the_real_reviews():
    texts = imdb.read(REAL, False, unlabelled=True)
    assert {name: len(split[0]) for name, split in texts.items()} == {
        "train": 25_000,
        "test": 25_000,
        "unsupervised": 50_000,
    }
    loaded = load(data_path=REAL, max_examples=20_000, max_tokens=128, vocabulary=1024)
    assert len(loaded.test.document_bytes) == 2_000
    assert 1.4 < loaded.baseline["kneser_ney_5_bits_per_byte"] < 2 < loaded.baseline["xz_bits_per_byte"]


# ---- Other text


def test_python_carries_a_text():
    from pydoc_data.topics import topics

    documents = all_documents(data.load(Config(data="text", vocabulary=400, progress=False)))
    text = "".join(chain(documents))
    assert 300_000 < len(text) < 2_000_000 and len(chain(documents)) > 100
    paragraphs = [part.strip() for part in text.split("\n\n")]
    # Topics repeat paragraphs; a language model would be tested on what it has read.
    topic = topics["compound"].split("\n\n")
    assert all(paragraphs.count(part.strip()) == 1 for part in topic[:5])
    assert len(documents["validation"]) == len(documents["test"]) == len(chain(documents)) // 10


def text_config(path, **changes):
    options = dict(data="text", model="linear", max_tokens=16, vocabulary=300, progress=False)
    return Config(**options | dict(data_path=path) | changes)


def test_a_folder_of_text(tmp_path):
    for name in ("b.md", "a.txt", "sub/c.rst", "d.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(f"{name} says: naïve <end>\r\n" * 9, encoding="utf-8")
    (tmp_path / "empty.txt").write_text(" \n")
    (tmp_path / "program.py").write_text("not text")
    documents = all_documents(data.load(text_config(tmp_path)))
    assert [len(documents[name]) for name in ("train", "validation", "test")] == [2, 1, 1]
    names = {content.split()[0] for content in chain(documents)}
    assert names == {"b.md", "a.txt", "sub/c.rst", "d.txt"}
    assert all(content.endswith("naïve <end>\r\n") for content in chain(documents))


def test_a_file_is_cut_at_blank_lines(tmp_path):
    paragraph = "One sentence of words. " * 30
    content = "\n \n".join([paragraph] * 30) + "\n\n\nThe end."
    documents = text.cut(content)
    assert "".join(documents) == content and len(documents) > 5
    assert all(
        len(part) >= text.SHORTEST_DOCUMENT and part[-3:] in ("\n \n", "\n\n\n") for part in documents[:-1]
    )
    path = tmp_path / "book"
    path.write_text(content)
    assert sorted(chain(all_documents(data.load(text_config(path))))) == sorted(documents)
    assert text.cut("a\n\n" * 2000)[0] == "a\n\n" * 667


def make_bad(path, kind):
    if kind == "missing":
        return path / "nowhere"
    if kind == "no text":
        (path / "a.py").write_text("x")
    if kind in ("two", "not utf-8", "short", "link", "fifo", "large"):
        for name in "ab":
            (path / f"{name}.txt").write_text("word")
    if kind in ("not utf-8", "short"):
        (path / "c.txt").write_bytes(b"caf\xe9" if kind == "not utf-8" else b"cafe")
    if kind == "link":
        (path / "c.txt").symlink_to(path / "gone")
    if kind == "fifo":
        os.mkfifo(path / "c.txt")
    if kind == "large":
        with (path / "c.txt").open("wb") as file:
            file.truncate(2**41)
    if kind == "one file":
        (path / "file").write_text("no blank line")
        return path / "file"
    return path


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        (
            "missing",
            r"`data_path` .*nowhere does not exist; give `data_path`: a text file, or a folder of files",
        ),
        ("empty", r"`data_path` .* holds no files .md, .rst, .txt; give `data_path`: a text file"),
        ("no text", r"`data_path` .* holds no files .md, .rst, .txt"),
        (
            "two",
            r"`data_path` .* holds 2 document\(s\), but training, validation and test need one each; give",
        ),
        ("one file", r"`data_path` .* holds 1 document\(s\)"),
        ("not utf-8", r"`data_path`: .*c.txt is not UTF-8 text"),
        (
            "short",
            r"`data_path` holds . tokens to train on, less than one row of the 16 of `max_tokens`; give",
        ),
        ("link", r"`data_path`: .*c.txt cannot be read \(No such file or directory\); restore or remove it"),
        ("fifo", r"`data_path` .*c.txt is no regular file"),
        ("large", r"`data_path` .* needs at least 8,192.0 GiB for 2,199,023,255,560 bytes of text"),
    ],
)
def test_refused_text(kind, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        data.load(text_config(make_bad(tmp_path, kind)))


def test_a_tokenizer_trains_on_the_first_documents(monkeypatch):
    monkeypatch.setattr(_corpus, "TOKENIZER_CHARACTERS", 10)
    assert list(_corpus._begin(["12345", "12345", "12345"])) == ["12345", "12345"]
    assert list(_corpus._begin(["1" * 50, "2"])) == ["1" * 50]
