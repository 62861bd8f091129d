"""Simple methods whose test accuracies stand beside those of networks, by scikit-learn."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from nets.data._dataset import Split

Labelled = tuple[Any, Sequence[int] | np.ndarray]

# A word, or one mark that is neither a word nor a space: "great!" is two.
TOKEN = r"\w+|[^\w\s]"


def text_baselines(train: Labelled, test: Labelled) -> dict[str, float]:
    """Test accuracies of a bag of words and of NBSVM.

    Arguments:
        train, test: texts and labels, 1 for positive and 0 for negative.
    """
    return {
        "bag_of_words_accuracy": bag_of_words_accuracy(train, test),
        "nbsvm_accuracy": nbsvm_accuracy(train, test),
    }


def bag_of_words_accuracy(train: Labelled, test: Labelled) -> float:
    """Test accuracy of logistic regression on TF-IDF of single words, regardless of their order.

    Arguments:
        train, test: texts and labels.
    """
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    model = make_pipeline(TfidfVectorizer(sublinear_tf=True), LogisticRegression(max_iter=1000))
    return float(model.fit(*train).score(*test))


def nbsvm_accuracy(train: Labelled, test: Labelled) -> float:
    """Test accuracy of a support vector machine on the log-count ratios of single words and bigrams.

    With f a text's binary counts, r = log (p / |p|₁) − log (q / |q|₁) of the counts p = 1 + Σ f of positive
    and q = 1 + Σ f of negative texts, the machine learns w from r∘f and decides by
    (1 − β) |w|₁ / n + β w over its n features, β = 1/4, and by β times its offset.

    Arguments:
        train, test: texts and labels, 1 for positive and 0 for negative.

    Source: S. Wang and C. D. Manning, Baselines and bigrams: simple, good sentiment and topic classification,
    ACL (2012), equations 1 to 5; 91.22 % for IMDb.
    """
    from sklearn.feature_extraction.text import CountVectorizer
    from sklearn.svm import LinearSVC

    vectorizer = CountVectorizer(binary=True, ngram_range=(1, 2), token_pattern=TOKEN, dtype=np.float32)
    counts, labels = vectorizer.fit_transform(train[0]), np.asarray(train[1])
    positive, negative = (1 + np.asarray(counts[labels == label].sum(axis=0)).ravel() for label in (1, 0))
    ratios = np.log(positive / positive.sum()) - np.log(negative / negative.sum())
    # The tolerance of LIBLINEAR's own command; a closer one takes ten times as long for the same accuracy.
    machine = LinearSVC(C=1.0, tol=0.1, random_state=0).fit(counts.multiply(ratios).tocsr(), labels)
    weights = machine.coef_[0]
    weights = 0.75 * np.abs(weights).mean() + 0.25 * weights
    # The offset is the weight of a feature that is always 1, whose prior is zero.
    offset = 0.25 * machine.intercept_
    decision = vectorizer.transform(test[0]).multiply(ratios).tocsr() @ weights + offset
    return float(np.mean((decision > 0) == np.asarray(test[1])))


def most_frequent_accuracy(train: Split, test: Split) -> float:
    """Test accuracy of always answering the class that is most frequent in training."""
    return float(np.mean(test.labels == np.bincount(train.labels).argmax()))


def image_baselines(train: Labelled, test: Labelled) -> dict[str, float]:
    """Test accuracies of logistic regression and of three nearest neighbours, fitted to the training pixels.

    Arguments:
        train, test: images, shape (images, height, width), and labels.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.neighbors import KNeighborsClassifier
    from threadpoolctl import threadpool_limits

    classifiers = {
        "logistic_regression_accuracy": LogisticRegression(max_iter=1000),
        "nearest_neighbours_accuracy": KNeighborsClassifier(3),
    }
    fit, score = ((rows.reshape(len(rows), -1), labels) for rows, labels in (train, test))
    # Threads take longer to meet than these small products take, and the sums depend on their number.
    with threadpool_limits(1):
        return {name: classifier.fit(*fit).score(*score) for name, classifier in classifiers.items()}
