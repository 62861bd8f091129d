"""Reading data: the real loaders on small data that the tests make, and everything they refuse."""

import gzip
import os
import statistics
import tarfile
import time
from pathlib import Path

import numpy as np
import pytest
import scipy.ndimage
from sklearn.datasets import load_digits

from nets import data
from nets.config import Config, resolve
from nets.data import Split, _baselines
from nets.data import _imdb as imdb
from nets.data import _listops as listops
from nets.data import _words as text
from tests.helpers_data import pack_archive

REAL = Path(__file__).parents[2] / "shared/data/aclImdb_v1.tar.gz"
needs_real = pytest.mark.skipif(not REAL.exists(), reason="the IMDb archive is not on this machine")
WORDS = {1: "a wonderful and moving film", 0: "a dull and boring film"}


def reviews():
    """Names inside the archive and texts, one of them longer than the rows, one with a line break tag."""
    for split in ("train", "test"):
        for label, folder in ((1, "pos"), (0, "neg")):
            for i in range(12):
                yield (
                    f"aclImdb/{split}/{folder}/{i}_{9 * label + 1}.txt",
                    f"Number {i} <br /><br />{WORDS[label]}. " * (1 + i),
                )
    yield "aclImdb/train/unsup/0_0.txt", "not labelled"
    yield "aclImdb/README", "about"


@pytest.fixture
def folder(tmp_path):
    for name, content in reviews():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")
    return tmp_path / "aclImdb"


def config(**changes):
    return resolve(
        Config(**{"data": "imdb", "max_tokens": 16, "vocabulary": 80, "progress": False} | changes)
    )


def test_archive_folder_and_hub_layout_give_the_same(folder, tmp_path):
    from_archive = imdb.read(pack_archive(tmp_path / "reviews.tar.gz", reversed(list(reviews()))), False)
    from_folder = imdb.read(folder, False)
    assert from_archive == from_folder
    assert [len(from_folder[split][0]) for split in ("train", "test")] == [24, 24] and sum(
        from_folder["train"][1]
    ) == 12
    import pandas

    hub = tmp_path / "hub"
    hub.mkdir()
    for split, (texts, labels) in from_folder.items():
        pandas.DataFrame({"text": texts, "label": labels}).to_parquet(hub / f"{split}-00000-of-00001.parquet")
    assert imdb.read(hub, False) == from_folder


def test_load(folder):
    loaded = data.load(config(data_path=folder))
    assert (
        loaded.train.rows.shape == (22, 16)
        and loaded.validation.rows.shape == (2, 16)
        and loaded.test.rows.shape == (24, 16)
    )
    assert loaded.classes == 2 and loaded.vocabulary <= 80 and loaded.train.rows.max() < loaded.vocabulary
    assert loaded.baseline == {"bag_of_words_accuracy": 1.0, "nbsvm_accuracy": 1.0}
    assert set(np.unique(loaded.test.labels)) == {0, 1}


def test_nbsvm_is_as_computed_in_dense_double_precision():
    from sklearn.svm import LinearSVC

    words = ["good", "bad", "film", "plot", "dull"]
    rng = np.random.default_rng(0)
    texts = [" ".join(rng.choice(words, 6, p=p)) for p in [(0.3, 0.15, 0.25, 0.2, 0.1)] * 60] + [
        " ".join(rng.choice(words, 6, p=p)) for p in [(0.15, 0.3, 0.25, 0.1, 0.2)] * 60
    ]
    labels = np.repeat([1, 0], 60)
    train, test = rng.permutation(120)[:60], rng.permutation(120)[60:]
    terms = sorted(
        {" ".join(pair) for i in train for pair in zip(texts[i].split(), texts[i].split()[1:], strict=False)}
        | set(words)
    )
    counts = np.array([[float(f" {term} " in f" {text} ") for term in terms] for text in texts], np.float64)
    p, q = (1 + counts[train][labels[train] == label].sum(0) for label in (1, 0))
    ratios = np.log(p / np.abs(p).sum() / (q / np.abs(q).sum()))
    machine = LinearSVC(C=1.0, tol=0.1, random_state=0).fit(counts[train] * ratios, labels[train])
    w = machine.coef_[0]
    w = 0.75 * np.abs(w).sum() / len(w) + 0.25 * w
    right = ((counts[test] * ratios) @ w + 0.25 * machine.intercept_ > 0) == labels[test]
    splits = (([texts[i] for i in rows], labels[rows]) for rows in (train, test))
    assert _baselines.nbsvm_accuracy(*splits) == right.mean()
    assert 0.6 < right.mean() < 1


def test_the_tokenizer_is_the_same_every_time(folder):
    texts = imdb.read(folder, False)["train"][0]
    one, two = (text.train_tokenizer(texts, 70) for _ in range(2))
    assert one.to_str() == two.to_str()
    assert one.token_to_id(text.PADDING) == 0
    assert "br" not in one.get_vocab()


def test_long_texts_keep_both_ends():
    tokenizer = text.train_tokenizer(["a b c d e f g h"] * 3, 30)
    every = tokenizer.encode("a b c d e f g h").ids
    row = text.encode(tokenizer, ["a b c d e f g h", "c"], 5)
    assert row[0].tolist() == every[:3] + every[-2:]
    assert row[1].tolist() == [every[2], 0, 0, 0, 0]


def test_digits():
    loaded = data.load(Config(data="digits"))
    assert loaded.train.rows.shape[1:] == loaded.image == (8, 8) and loaded.vocabulary is None
    assert sum(len(split.labels) for split in (loaded.train, loaded.validation, loaded.test)) == 1797
    assert (
        len({row.tobytes() for split in (loaded.train, loaded.validation, loaded.test) for row in split.rows})
        == 1797
    )


def test_expressions_have_the_value_that_python_gives_them():
    loaded = data.load(Config(data="listops", max_tokens=40, max_examples=300, progress=False))
    names = {number: token for token, number in listops.TOKENS.items()}
    functions = {"[MAX": "max(", "[MIN": "min(", "[MED": "median(", "[SM": "modular_sum("}
    known = {
        "median": lambda *values: int(statistics.median(values)),
        "modular_sum": lambda *values: sum(values) % 10,
    }
    lengths, texts = [], []
    for split in (loaded.train, loaded.validation, loaded.test):
        for row, label in zip(split.rows, split.labels, strict=True):
            tokens = [names[number] for number in row[row > 0]]
            texts.append(" ".join(tokens))
            lengths.append(len(tokens))
            calls = "".join(
                functions[token] if token in functions else f"{token}," if token.isdigit() else "),"
                for token in tokens
            )
            assert eval(calls, known) == (label,)
    assert min(lengths) >= 10 and max(lengths) <= 40 and len(set(texts)) == len(texts) == 300 + 30 + 2000
    # The example of the article.
    assert listops.evaluate(["[MAX", "2", "9", "[MIN", "4", "7", "]", "0", "]"]) == 9
    share = np.mean(loaded.test.labels == np.bincount(loaded.train.labels).argmax())
    assert loaded.baseline == {"most_frequent_accuracy": share} and 0.1 < share < 0.3
    # The test does not depend on how many are trained on.
    fewer = data.load(Config(data="listops", max_tokens=40, max_examples=10, progress=False))
    assert np.array_equal(fewer.test.rows, loaded.test.rows) and len(fewer.train.labels) == 10


def test_images_pixel_by_pixel():
    images, loaded = data.load(Config(data="digits")), data.load(Config(data="pixels"))
    raw = {tuple(row) for row in load_digits().data.astype(int)}
    for name in ("train", "validation", "test"):
        rows = getattr(loaded, name).rows
        assert rows.shape[1] == 64 and loaded.vocabulary == 18 and loaded.image is None
        assert {tuple(row - 1) for row in rows} <= raw
        assert np.array_equal(getattr(loaded, name).labels, getattr(images, name).labels)
    assert loaded.baseline == images.baseline


def test_reviews_byte_by_byte(folder):
    loaded = data.load(Config(data="imdb-bytes", data_path=folder, max_tokens=30, progress=False))
    texts = {text.encode()[:30] for _, text in reviews()}
    for split in (loaded.train, loaded.validation, loaded.test):
        assert {bytes((row[row > 0] - 1).astype(np.uint8)) for row in split.rows} <= texts
    assert loaded.vocabulary == 257 and set(loaded.baseline) == {"bag_of_words_accuracy", "nbsvm_accuracy"}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (dict(data="listops", max_tokens=8), "`max_tokens` must be at least 16 for data listops, got 8"),
        (dict(data="pixels", max_tokens=65), "`max_tokens` must be the 64 pixels of an image, got 65"),
        (dict(data="pixels", data_path=Path("nowhere")), "`data_path` nowhere must hold"),
        (dict(data="imdb-bytes", data_path=Path("nowhere")), "`data_path` nowhere does not exist"),
        (dict(data="listops", data_path=Path("x")), "`data_path` has no effect with `data` listops"),
        (dict(data="imdb", distortion=0.1), "`distortion` has no effect with `data` imdb"),
    ],
)
def test_refusals_of_sequences(options, message):
    with pytest.raises(ValueError, match=message):
        data.load(Config(**options))


def test_images_are_distorted_by_affine_maps():
    images = np.random.default_rng(1).random((5, 8, 6)).astype(np.float32) + 3
    assert np.array_equal(data.distort(images, 0.0, np.random.default_rng(0)), images)
    distorted = data.distort(images, 0.2, np.random.default_rng(0))
    half = np.array([4, 3])
    for image, result, map_ in zip(
        images, distorted, np.random.default_rng(0).uniform(-1, 1, (5, 2, 3)), strict=True
    ):
        # In pixels, about the middle of the image.
        matrix = half[:, None] * (np.eye(2) + 0.2 * map_[:, :2]) / half
        middle = half - 0.5
        expected = scipy.ndimage.affine_transform(
            image - image.min(),
            matrix,
            middle + 0.2 * map_[:, 2] * half - matrix @ middle,
            order=1,
            mode="grid-constant",
        )
        np.testing.assert_allclose(result, expected + image.min(), atol=1e-6)
        assert result.dtype == np.float32 and not np.allclose(result, image)


def test_the_baselines_of_digits_are_those_of_nearest_neighbours_and_of_a_linear_map():
    loaded = data.load(Config(data="digits"))
    train, test = ((split.rows.reshape(-1, 64), split.labels) for split in (loaded.train, loaded.test))
    distances = ((test[0][:, None] - train[0]) ** 2).sum(-1)
    nearest = train[1][np.argsort(distances, axis=1)[:, :3]]
    votes = (nearest[..., None] == np.arange(10)).sum(1)
    share = (votes.argmax(1) == test[1]).mean()
    assert loaded.baseline["nearest_neighbours_accuracy"] == pytest.approx(share, abs=2 / len(test[1]))
    # Least squares on the same pixels is a little worse than logistic regression.
    pixels = np.c_[train[0], np.ones(len(train[0]))]
    weights = np.linalg.lstsq(pixels, np.eye(10)[train[1]], rcond=None)[0]
    linear = ((np.c_[test[0], np.ones(len(test[0]))] @ weights).argmax(1) == test[1]).mean()
    assert (
        linear
        < loaded.baseline["logistic_regression_accuracy"]
        < loaded.baseline["nearest_neighbours_accuracy"]
    )


@pytest.fixture
def fashion(tmp_path):
    """The four files of Fashion-MNIST, of 30 and 20 small images, one of them not packed."""
    rng = np.random.default_rng(0)
    for stem, count in (("train", 30), ("t10k", 20)):
        images, labels = rng.integers(0, 256, (count, 6, 5), np.uint8), np.arange(count, dtype=np.uint8) % 10
        for name, array in ((f"{stem}-images-idx3-ubyte", images), (f"{stem}-labels-idx1-ubyte", labels)):
            content = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes() + array.tobytes()
            (tmp_path / f"{name}.gz").write_bytes(gzip.compress(content))
    packed = tmp_path / "t10k-labels-idx1-ubyte.gz"
    packed.with_suffix("").write_bytes(gzip.decompress(packed.read_bytes()))
    packed.unlink()
    return tmp_path


def test_fashion_mnist(fashion):
    loaded = data.load(resolve(Config(data="fashion-mnist", data_path=fashion)))
    assert loaded.image == (6, 5) and loaded.classes == 10 and loaded.vocabulary is None
    assert [len(s.labels) for s in (loaded.train, loaded.validation, loaded.test)] == [27, 3, 20]
    pixels = np.random.default_rng(0).integers(0, 256, (30, 6, 5), np.uint8)
    held = np.concatenate([loaded.train.rows, loaded.validation.rows])
    labels = np.concatenate([loaded.train.labels, loaded.validation.labels])
    for row, label in zip(held, labels, strict=True):
        at = np.flatnonzero(np.abs(pixels / 127.5 - 1 - row).max((1, 2)) < 1e-6)
        assert len(at) == 1 and label == at[0] % 10


def test_fashion_mnist_that_is_not_whole(fashion):
    def refused(message, path=fashion):
        with pytest.raises(ValueError, match=message):
            data.load(resolve(Config(data="fashion-mnist", data_path=path)))

    labels, images = fashion / "t10k-labels-idx1-ubyte", fashion / "train-images-idx3-ubyte.gz"
    whole = labels.read_bytes()
    for content in (whole[:-1], whole[:3], b"", whole.replace(bytes([0, 0, 8, 1]), bytes([0, 0, 13, 1]), 1)):
        labels.write_bytes(content)
        refused(
            "t10k-labels-idx1-ubyte is not an IDX file of bytes with 1 axes, or not a whole one; fetch it "
            "again"
        )
    packed = images.read_bytes()
    for content in (packed[:50], b"no gzip"):
        images.write_bytes(content)
        refused(
            r"train-images-idx3-ubyte.gz is not a readable gzip file, or not a whole one \(.*\); fetch it "
            r"again"
        )
    images.unlink()
    refused("`data_path` .* must hold train-images-idx3-ubyte.gz; name the folder of the four files")
    refused("or install the Debian package dataset-fashion-mnist", fashion / "nowhere")


def test_batches_cover_a_split_once():
    split = Split(np.arange(10, dtype=np.int32)[:, None], np.arange(10))
    seen = [
        row
        for rows, _, weights in data.batches(split, 4, np.arange(10)[::-1])
        for row in rows[weights > 0, 0]
    ]
    assert seen == list(range(10))[::-1]
    assert {rows.shape for rows, _, _ in data.batches(split, 4)} == {(4, 1)}


@needs_real
@pytest.mark.slow
def test_the_real_archive():
    texts = imdb.read(REAL, False)
    assert [len(texts[split][0]) for split in ("train", "test")] == [25_000, 25_000]
    assert [sum(texts[split][1]) for split in ("train", "test")] == [12_500, 12_500]


@pytest.mark.slow
@needs_real
def test_nbsvm_of_the_real_reviews_is_as_published():
    texts = imdb.read(REAL, False)
    assert abs(_baselines.nbsvm_accuracy(texts["train"], texts["test"]) - 0.9122) <= 0.003


def _archive_of(tmp_path, keep):
    return pack_archive(tmp_path / "some.tar.gz", [(n, c) for n, c in reviews() if keep(n)])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda t: t / "missing.tar.gz",
            r"`data_path` .*missing.tar.gz does not exist; give `data_path`: aclImdb_v1.tar.gz",
        ),
        (
            lambda t: _archive_of(t, lambda n: "unsup" in n),
            r"holds 0 positive and 0 negative reviews in train/",
        ),
        (
            lambda t: _archive_of(t, lambda n: "test/pos" not in n),
            r"holds 0 positive and 12 negative reviews in test/",
        ),
        (lambda t: t, r"holds 0 positive and 0 negative reviews in train/"),
        (
            lambda t: (t / "x.tar.gz").write_bytes(b"not a tar") and t / "x.tar.gz",
            r"`data_path` .* is not a readable tar archive",
        ),
        (
            lambda t: (
                pack_archive(t / "y.tar.gz", reviews()).write_bytes((t / "y.tar.gz").read_bytes()[:300])
                and t / "y.tar.gz"
            ),
            "is not a readable tar archive",
        ),
        (lambda t: (t / "z.parquet").write_bytes(b"no") and t, r"could not be loaded"),
    ],
)
def test_refused_paths(make, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        data.load(config(data_path=make(tmp_path)))


@pytest.mark.parametrize("packed", [False, True])
def test_text_that_is_not_utf8(packed, folder, tmp_path):
    bad = folder / "train/pos/3_10.txt"
    bad.write_bytes(b"caf\xe9")
    path = folder
    if packed:
        path = tmp_path / "reviews.tar"
        with tarfile.open(path, "w") as archive:
            archive.add(folder, "aclImdb")
    with pytest.raises(
        ValueError,
        match=r"`data_path`: .*train/pos/3_10.txt is not UTF-8 text \(.* at byte 3\); convert or remove it",
    ):
        imdb.read(path, False)


def flip(content, place):
    """The bytes with one bit changed."""
    return content[: place // 8] + bytes([content[place // 8] ^ 1 << place % 8]) + content[place // 8 + 1 :]


def test_an_archive_is_read_to_its_end_or_refused(tmp_path):
    whole = imdb.read(pack_archive(tmp_path / "whole.tar.gz", reviews()), False)
    packed = (tmp_path / "whole.tar.gz").read_bytes()
    plain = gzip.decompress(packed)
    refused = 0
    rng = np.random.default_rng(0)
    # Without a sum, a plain archive knows the bits of its headers and of its end only.
    headers = [8 * start + bit for start in (0, 1024) for bit in range(0, 8 * 500, 97)]
    for name, content, places in (
        ("x.tar.gz", packed, rng.choice(8 * len(packed), 60, replace=False)),
        ("x.tar", plain, headers),
    ):
        for place in places:
            (tmp_path / name).write_bytes(flip(content, int(place)))
            try:
                assert imdb.read(tmp_path / name, False) == whole
            except ValueError as error:
                assert f"`data_path` {tmp_path / name} is not a readable tar archive" in str(error)
                refused += 1
    # The others hit the name, the time or the padding in the header of gzip.
    assert refused >= 130
    end = plain.rstrip(b"\0").rfind(b"about") + 512
    for content in (plain[: end + 600], plain[: end - end % 512], plain[:-4] + b"more", plain[:5000]):
        (tmp_path / "x.tar").write_bytes(content)
        with pytest.raises(ValueError, match="is not a readable tar archive, or not a whole one"):
            imdb.read(tmp_path / "x.tar", False)
    (tmp_path / "x.tar.gz").write_bytes(packed[:-1] + b"\1\2")
    with pytest.raises(ValueError, match="is not a readable tar archive"):
        imdb.read(tmp_path / "x.tar.gz", False)


def test_only_reviews_of_the_archive_itself_count(tmp_path):
    outside = ["../aclImdb/train/pos/90_9.txt", "/aclImdb/train/pos/91_9.txt", "a/../../x/train/pos/92_9.txt"]
    more = [*reviews(), *((name, "from outside") for name in outside)]
    assert imdb.read(pack_archive(tmp_path / "a.tar.gz", more), False) == imdb.read(
        pack_archive(tmp_path / "b.tar.gz", reviews()), False
    )


def test_an_archive_with_all_unlabelled_reviews_has_all_labelled_ones(tmp_path, monkeypatch):
    path = pack_archive(tmp_path / "a.tar.gz", reviews())
    monkeypatch.setattr(imdb, "UNLABELLED", 1)
    with pytest.raises(
        ValueError, match="holds the 1 unlabelled reviews, but 48 of the 50,000 labelled ones"
    ):
        imdb.read(path, False)
    monkeypatch.setattr(imdb, "LABELLED", 48)
    imdb.read(path, False)


def test_sizes_that_an_archive_claims_are_not_believed(tmp_path):
    for kind, size in ((tarfile.REGTYPE, 2**36), (tarfile.GNUTYPE_LONGNAME, 2**30), (tarfile.XHDTYPE, 2**33)):
        header = tarfile.TarInfo("aclImdb/train/pos/0_9.txt")
        header.size, header.type = size, kind
        packed = gzip.compress(header.tobuf(tarfile.GNU_FORMAT) + bytes(2**20))
        (tmp_path / "bomb.tar.gz").write_bytes(packed)
        with pytest.raises(ValueError, match="is not a readable tar archive"):
            imdb.read(tmp_path / "bomb.tar.gz", False)


def test_what_is_no_file_is_not_waited_for(folder, tmp_path):
    os.mkfifo(tmp_path / "pipe.tar.gz")
    with pytest.raises(ValueError, match=r"`data_path` .*pipe.tar.gz is no regular file"):
        imdb.read(tmp_path / "pipe.tar.gz", False)
    os.mkfifo(folder / "train/pos/pipe_1.txt")
    with pytest.raises(ValueError, match=r"`data_path` .*pipe_1.txt is no regular file"):
        imdb.read(folder, False)


def test_a_word_of_millions_of_characters_is_cut():
    long = "x" * 3_000_000
    tokenizer = text.train_tokenizer(["a b c", long], 60)
    start = time.process_time()
    assert text.encode(tokenizer, [long], 8).shape == (1, 8)
    assert time.process_time() - start < 10
    # Words as people write them stay as they are.
    words = ["y" * text.LONGEST_WORD, "a <br />b " * 300]
    assert list(text._cut_words(words)) == words
    cut = next(text._cut_words([long[:600]]))
    assert [len(word) for word in cut.split()] == [256, 256, 88]


def test_too_few_rows_for_validation():
    with pytest.raises(
        ValueError, match="`data_path` has too few rows to set 10% aside for validation, got 4"
    ):
        data.hold_out(Split(np.zeros((4, 2)), np.zeros(4, int)), 0.1, 0)
    with pytest.raises(ValueError, match="too few rows to set 10% aside for validation, got 8"):
        data.hold_out(Split(np.zeros((8, 2)), np.arange(8) % 2), 0.1, 0, contiguous=True)


def test_the_hub_out_of_reach():
    assert os.environ["HF_HUB_OFFLINE"] == "1"
    with pytest.raises(ValueError, match=r"stanfordnlp/imdb could not be loaded .*give `data_path`"):
        data.load(config())


def test_the_hub_not_installed(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "datasets", None)
    with pytest.raises(ValueError, match='needs the extra "hub"'):
        imdb.read(None)


@pytest.mark.parametrize(
    ("rows", "labels", "message"),
    [
        (
            np.array([[[1.0], [np.nan]]]),
            np.array([0]),
            r"`rows` must be finite, got nan at index \(0, 1, 0\); remove or repair that row",
        ),
        (np.array([[[1.0], [np.inf]]]), np.array([0]), r"`rows` must be finite, got inf"),
        (
            np.zeros((0, 2)),
            np.zeros(0, int),
            "`rows` and `labels` must have the same length, at least 1; got 0 and 0",
        ),
        (np.zeros((2, 2)), np.zeros(3, int), "got 2 and 3"),
        (np.zeros((2, 2)), np.zeros(2), "`labels` must be whole numbers from 0"),
        (np.zeros((2, 2)), np.array([0, -1]), "`labels` must be whole numbers from 0"),
    ],
)
def test_refused_numbers(rows, labels, message):
    with pytest.raises(ValueError, match=message):
        Split(rows, labels)
