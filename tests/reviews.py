"""A small folder like that of IMDb, of reviews of all lengths."""

from pathlib import Path

WORDS = {"pos": "wonderful", "neg": "boring"}


def write(folder: Path, count: int = 40) -> Path:
    """Write `count` positive and as many negative reviews for training, and for test, of 3 to 15 words."""
    for split in ("train", "test"):
        for side, word in WORDS.items():
            path = folder / split / side
            path.mkdir(parents=True)
            for i in range(count):
                (path / f"{i}_1.txt").write_text(f"a {word} film" + " and so on" * (i % 5))
    return folder
