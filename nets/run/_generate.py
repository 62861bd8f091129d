"""Write text with a trained language model, token by token, on any device."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float, Int
from tokenizers import Tokenizer
from tokenizers.decoders import DecodeStream

from nets.config import Config, check_values, parse_numbers, resolve
from nets.data import END, read_tokenizer
from nets.models import LanguageModel
from nets.run._build import build_device, build_language_model, choose_device, seed_rngs
from nets.run._checkpoint import load_weights
from nets.run._environment import usual_promotion
from nets.run._folder import RunFolder
from optics._check import check_number, check_whole, describe
from optics._keys import fold_key, split_key
from optics._typing import DeviceLike, ScalarLike, TextLike

# Tokens that never stand in a text.
NOT_TEXT = ("<pad>", "<mask>")
MOST_TOKENS = 10**6


class WrittenToken(NamedTuple):
    """A token that a network wrote.

    Attributes:
        text: what it adds to the text; "" while a character is not complete, and at the end of the text.
        probability: that the network on its device gave it.
        exact: probability that the exact network gave it, after the same text; None without comparison.
        exact_text: the token that the exact network would have chosen, by the same random numbers.
        exact_choice: probability that the exact network gave to its own choice.
    """

    text: str
    probability: float
    exact: float | None = None
    exact_text: str | None = None
    exact_choice: float | None = None


@usual_promotion()
def generate(
    run: Path | str,
    prompt: TextLike = "",
    tokens: int = 200,
    device: str | None = None,
    multiplier: str | None = None,
    temperature: ScalarLike = 1.0,
    top_k: int | None = None,
    top_p: ScalarLike = 1.0,
    seed: int = 0,
    compare: bool = False,
    overrides: Sequence[str] = (),
) -> Iterator[WrittenToken]:
    """Write on from a prompt, one token after another, until the text ends or `tokens` are written.

    Each token is drawn from softmax(logits / temperature), of which the most probable tokens are kept. Once
    the context of the network is full, it goes on from the second half of it.

    Arguments:
        run: folder of the run of a language model.
        prompt: the beginning of the text; "" lets the network begin.
        tokens: the most that are written.
        device: preset that computes the network, or "none"; None is that of the run.
        multiplier: preset that multiplies the matrices of the blocks, "convolutions", or "none"; None is that
            of the run.
        temperature: at least 0; 0 always takes the most probable token.
        top_k: tokens that are kept; None keeps all.
        top_p: the most probable tokens are kept that reach this probability together; above 0, at most 1.
        seed: of the choices and of the noise of the device.
        compare: also compute the exact network on the same text.
        overrides: numbers of the preset, such as "photons=100"; others are those of the run on its own
            device.

    Returns:
        an iterator of the tokens; everything is checked before the first of them is computed.

    Raises:
        ValueError: no run of a language model in the folder, an unknown device, a prompt that is no text or
            fills the context, or a number outside its range.

    Source: A. Holtzman et al., "The curious case of neural text degeneration", ICLR (2020), for `top_p`.
    """
    check_values(Config, {"seed": seed})
    check_whole("tokens", tokens, 1, MOST_TOKENS)
    check_number("temperature", temperature, 0.0)
    check_number("top_p", top_p, 0.0)
    if not 0 < top_p <= 1 or not math.isfinite(temperature):
        name, value, words = ("top_p", top_p, "above 0 and at most 1")
        if 0 < top_p <= 1:
            name, value, words = ("temperature", temperature, "finite and at least 0")
        raise ValueError(f"`{name}` must be {words}, got {value}.")
    if top_k is not None:
        check_whole("top_k", top_k, 1)
    config = choose_device(resolve(RunFolder(Path(run)).config()), device, multiplier)
    built = build_device(config, **parse_numbers("overrides", overrides, "--set photons=100"))
    config, tokenizer, model = load_language_model(run, config.products)
    start = encode_prompt(tokenizer, prompt, model.length)
    options = (float(temperature), tokenizer.get_vocab_size() if top_k is None else top_k, float(top_p))
    return _write(model, tokenizer, start, tokens, built, options, seed, compare)


def load_language_model(
    folder: Path | str, products: str | None = None
) -> tuple[Config, Tokenizer, LanguageModel]:
    """Read the network of a language model and its tokenizer, without its data.

    Arguments:
        folder: of the run.
        products: "electronic" or "device", where the network multiplies matrices; None is as in training.

    Returns:
        the resolved configuration, the tokenizer, and the network in evaluation mode.

    Raises:
        ValueError: no run of a language model or no checkpoint in the folder.
    """
    run = RunFolder(Path(folder))
    config = run.config()
    if config.task != "language":
        raise ValueError(
            f"`run` {folder} is of task {config.task or 'classification'}, which writes no text; give a run "
            "of task language: python -m nets.train --data reviews."
        )
    if products not in (None, config.products):
        config = replace(config, products=products, multiplier=None)
    config = resolve(config)
    tokenizer = read_tokenizer(run.tokenizer() or "")
    model = build_language_model(config, tokenizer.get_vocab_size(), seed_rngs(config.seed))
    load_weights(model, run.path)
    model.eval()
    return config, tokenizer, model


def encode_prompt(tokenizer: Tokenizer, prompt: TextLike, length: int) -> list[int]:
    """The tokens of the beginning of a text, after the end of the one before it.

    Raises:
        ValueError: no text, letters that Unicode does not have, or a prompt that leaves no room in the
            context.
    """
    if not isinstance(prompt, str):
        raise ValueError(f"`prompt` must be text, got {describe(prompt)}.")
    try:
        prompt.encode("utf-8")
    except UnicodeEncodeError as error:
        raise ValueError(
            f"`prompt` has {prompt[error.start : error.end]!a} at place {error.start}, which is no "
            "character; give text in UTF-8."
        ) from None
    tokens = [END, *tokenizer.encode(prompt).ids]
    if len(tokens) > length:
        raise ValueError(
            f"`prompt` has {len(tokens) - 1} tokens, and the context of the run holds {length - 1}; shorten "
            "it."
        )
    return tokens


def choose_token(
    logits: Float[Array, "vocabulary"], key: Array, temperature: Any, top_k: Any, top_p: Any
) -> Int[Array, ""]:
    """Draw a token from the most probable ones, as `generate` says; all three numbers may be traced.

    Each token has a random number of its own: two networks that hardly differ choose alike by the same key.
    """
    order = jnp.argsort(-logits)
    scaled = logits / jnp.maximum(temperature, jnp.finfo(logits.dtype).tiny ** 0.5)
    probabilities = jax.nn.softmax(scaled[order])
    before = jnp.cumsum(probabilities) - probabilities
    rank = jnp.arange(logits.size)
    is_kept = (rank == 0) | ((rank < top_k) & (before < top_p) & (temperature > 0))
    is_kept = jnp.zeros_like(is_kept).at[order].set(is_kept)
    return jax.random.categorical(key, jnp.where(is_kept, scaled, -jnp.inf))


def _write(
    model: LanguageModel,
    tokenizer: Tokenizer,
    start: list[int],
    count: int,
    device: DeviceLike,
    options: tuple,
    seed: int,
    compare: bool,
) -> Iterator[WrittenToken]:
    graph, weights = nnx.split(model)
    not_text = jnp.array([tokenizer.token_to_id(name) for name in NOT_TEXT])

    @jax.jit
    def advance(
        weights: Any, tokens: Array, state: Any, device: DeviceLike, key: Array, options: tuple
    ) -> tuple[Array, Array, Any]:
        """The next token, the probabilities of all, and the state with the tokens before it."""
        choice_key, noise_key = split_key(key, 2)
        logits, state = nnx.merge(graph, weights).extend(tokens[None], state, device, noise_key)
        logits = logits[0, -1].at[not_text].set(-jnp.inf)
        return choose_token(logits, choice_key, *options), jax.nn.softmax(logits), state

    devices = (device, None) if compare and device is not None else (device,)
    states = [model.start(1) for _ in devices]
    stream = DecodeStream(skip_special_tokens=True)
    key, held, new = jax.random.key(seed), [], list(start)
    for number in range(count):
        held += new
        if len(held) > model.length:
            held = new = held[-max(1, model.length // 2) :]
            states = [model.start(1) for _ in devices]
        results = []
        for i, computing in enumerate(devices):
            token, probabilities, states[i] = advance(
                weights, jnp.array(new), states[i], computing, fold_key(key, number), options
            )
            results.append((int(token), probabilities))
        token, probabilities = results[0]
        written = WrittenToken(stream.step(tokenizer, token) or "", float(probabilities[token]))
        if compare:
            choice, exact = results[-1]
            of_choice = tokenizer.decode([choice], skip_special_tokens=False)
            written = written._replace(
                exact=float(exact[token]), exact_text=of_choice, exact_choice=float(exact[choice])
            )
        yield written
        if token == END:
            return
        new = [token]
