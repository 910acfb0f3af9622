"""Scores of networks on images against loops in float64, and what they must not depend on."""

from __future__ import annotations

import math
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import naive_fitness as naive  # noqa: E402
from spikex_sim.core.errors import ConfigError, TraceError  # noqa: E402
from spikex_sim.explore.nas.cells import SPACES  # noqa: E402
from spikex_sim.explore.nas.forms import Form, canonical  # noqa: E402
from spikex_sim.explore.nas.macro import Macro  # noqa: E402
from spikex_sim.explore.nas.weights import drawn, quantised  # noqa: E402
from spikex_sim.training.fitness import Evaluation, Images, ImageScorers  # noqa: E402

torch.set_num_threads(1)
DATA = Path(__file__).parents[3] / "shared" / "data" / "cifar10_small.npz"
MACRO = Macro(channels=2, timesteps=2, width=4, threshold=0.3)
SHAPES = {"stem": (2, 3, 3, 3), "down": (4, 2, 3, 3), "linear1": (4, 256), "linear2": (100, 4)}


def form_of(text: str) -> Form:
    return canonical(SPACES["neuronas"].parse(text)).form


def plain(form: Form) -> Any:
    return tuple((one.kernel, one.reads) for one in form.convolutions), form.output


def images(number: int, seed: int = 0) -> Images:
    pixels = np.random.default_rng(seed).integers(0, 256, (number, 3, 32, 32)).astype(np.uint8)
    pixels[:, 1] //= 3
    return Images(pixels, "digest")


def scorers(count: int = 8, macro: Macro = MACRO, **how: Any) -> ImageScorers:
    return ImageScorers(images(count), macro, Evaluation(**{"batch": 4, "repeats": 2} | how))


def weights(a: Form, b: Form, seed: int, bits: int | None) -> dict[str, np.ndarray]:
    found = {}
    shapes = SHAPES | {f"a{k}": (2, 2, 3, 3) for k in range(1, len(a.kernels) + 1)}
    for name, shape in (shapes | {f"b{k}": (4, 4, 3, 3) for k in range(1, len(b.kernels) + 1)}).items():
        form = {"a": a.text, "b": b.text}.get(name[0], "")
        one = drawn(shape, seed, form, name)
        found[name] = (one if bits is None else quantised(one, bits)).astype(np.float32).astype(float)
    return found


@pytest.mark.parametrize(
    ("a", "b", "threshold", "kernel", "constant", "bits"),
    [
        ("112012", "100000", 0.3, "released", "count", 8),
        ("022200", "111111", 0.3, "normalised", "skip", None),
        ("000000", "000000", 0.3, "released", "skip", 3),
        ("001000", "000001", 0.02, "released", "count", None),
    ],
)
def test_a_score_is_that_of_loops_in_float64(
    a: str, b: str, threshold: float, kernel: Any, constant: Any, bits: int | None
) -> None:
    """All images are in the mini-batch, whose order changes no determinant."""
    how: Any = {"kernel": kernel, "constant": constant, "bits": bits, "dtype": "float64"}
    macro = Macro(channels=2, timesteps=2, width=4, threshold=threshold)
    made = scorers(5, macro, batch=5, repeats=1, **how)
    got, recorded = made(3).score(form_of(a), form_of(b))
    pixels = made.images.pixels / 255
    entering = (pixels - pixels.mean((0, 2, 3), keepdims=True)) / pixels.std((0, 2, 3), keepdims=True)
    network = naive.Network(
        plain(form_of(a)), plain(form_of(b)), weights(form_of(a), form_of(b), 3, bits), threshold, 2
    )
    network.run(entering, 2)
    codes = [one.reshape(5, -1) for times in network.spikes.values() for one in times]
    wanted, negative = naive.log_determinant(codes, released=kernel == "released", skip=constant == "skip")
    assert got.value == pytest.approx(wanted, abs=1e-9, rel=0) and got.batches == (got.value,)
    constants = sum(one.all() or not one.any() for one in codes)
    assert (got.negative, got.constant) == (negative, constants)
    # Neurons between the linear layers fire where the threshold is low: dropout would change them.
    assert np.any(network.spikes["classifier"]) == (threshold < 0.1)
    spikes = {name: np.array(times) for name, times in network.spikes.items()}
    first = [
        number
        for number in range(5)
        if all(np.array_equal(one.spikes, spikes[one.name][:, number]) for one in recorded)
    ]
    assert len(first) == 1
    layers = macro.convolutions(form_of(a).kernels, form_of(b).kernels)
    assert tuple(one.layer for one in recorded) == layers[1:]
    assert all(one.spikes.dtype == np.bool_ and one.spikes.any() for one in recorded)


def test_a_score_does_not_depend_on_what_was_scored_before_nor_on_threads() -> None:
    names = ["000000", "100000", "112000", "020001", "100000"]
    pairs = [(form_of(a), form_of(b)) for a in names for b in names[:3]]
    made = scorers()
    alone = [made(1).score(*pair)[0] for pair in pairs[:6]]
    one = made(1)
    assert [one.score(*pair)[0] for pair in pairs][:6] == alone
    assert [one.score(*pair)[0] for pair in reversed(pairs)][::-1][:6] == alone
    torch.set_num_threads(2)
    try:
        assert [made(1).score(*pair)[0] for pair in pairs[:2]] == alone[:2]
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(1)
    assert len({score.value for score in alone}) == 6


def test_a_scorer_goes_to_another_process() -> None:
    made, pair = scorers(bits=4), (form_of("100000"), form_of("010000"))
    wanted = made(2).score(*pair)[0]
    assert pickle.loads(pickle.dumps(made))(2).score(*pair)[0] == wanted


def test_a_refused_cell_leaves_the_scorer_as_it_was() -> None:
    one, form, empty = scorers()(0), form_of("100000"), Form((), ())
    wanted = one.score(form, form)[0]
    for pair in ((empty, form_of("000000")), (form, empty)):
        with pytest.raises(ConfigError, match="nothing reaches its output"):
            one.score(*pair)
    assert one.score(form, form)[0] == wanted


def test_every_setting_changes_the_score_and_is_among_the_settings() -> None:
    form = form_of("100000")

    def found(made: ImageScorers, seed: int = 0) -> tuple[float, Any]:
        scorer = made(seed)
        return scorer.score(form, form)[0].value, tuple(sorted(map(str, scorer.settings.items())))

    other = Macro(channels=2, timesteps=2, width=5, threshold=0.3)
    macros = [Macro(channels=2, timesteps=3, width=4, threshold=0.3), other,
              Macro(channels=3, timesteps=2, width=4, threshold=0.3),
              Macro(channels=2, timesteps=2, width=4, threshold=0.4),
              Macro(channels=2, timesteps=2, width=4, threshold=0.3, tau=1.5),
              Macro(channels=2, timesteps=2, width=4, threshold=0.3, pool=4)]  # fmt: skip
    every = [found(scorers()), found(scorers(), 1), *(found(scorers(macro=macro)) for macro in macros)]
    for how in ({"batch": 5}, {"repeats": 1}, {"bits": 3}, {"kernel": "normalised"}, {"constant": "skip"}):
        every.append(found(scorers(**how)))
    assert len({settings for _, settings in every}) == len(every)
    # The width and the last pooling change the classifier alone, which is silent here.
    assert len({value for value, _ in every}) >= len(every) - 2


class TestMiniBatches:
    def test_the_same_image_twice_cannot_be_told_apart(self) -> None:
        data = images(3)
        twice = Images(np.concatenate([data.pixels, data.pixels[:1]]), "digest")
        score, _ = ImageScorers(twice, MACRO, Evaluation(batch=4, repeats=2))(0).score(
            form_of("100000"), form_of("100000")
        )
        assert score.value == -math.inf and score.batches == (-math.inf, -math.inf)

    def test_silent_and_saturated_networks_tell_nothing(self) -> None:
        form = form_of("112000")
        for threshold in (1e6, -1e6):
            macro = Macro(channels=2, timesteps=2, width=4, threshold=threshold)
            for constant in ("count", "skip"):
                score, recorded = scorers(macro=macro, constant=constant)(0).score(form, form)
                assert score.value == -math.inf and not score.negative
                assert score.constant == 2 * 2 * (2 + 2 + 3)
            assert all(one.spikes.all() if threshold < 0 else not one.spikes.any() for one in recorded)

    def test_images_are_normalised_by_channel_over_all_of_them(self) -> None:
        found = images(30).batch(np.arange(30))
        np.testing.assert_allclose(found.mean((0, 2, 3)), 0, atol=1e-12)
        np.testing.assert_allclose(found.std((0, 2, 3)), 1, atol=1e-12)
        black = Images(np.zeros((3, 3, 32, 32), np.uint8), "digest")
        assert not black.batch(np.arange(2)).any()

    def test_a_file_that_does_not_fit_is_refused(self, tmp_path: Path) -> None:
        pixels, labels = np.zeros((4, 3, 28, 28), np.uint8), np.zeros(4, np.int64)
        path = tmp_path / "i.npz"
        np.savez(path, train_images=pixels, train_labels=labels, test_images=pixels, test_labels=labels)
        with pytest.raises(TraceError, match=r"must be uint8 \[samples, 3, 32, 32\]"):
            Images.of_file(path, MACRO)
        with pytest.raises(ConfigError, match="fitness: batch: is 9, but there are 8 training images"):
            scorers(batch=9)

    @pytest.mark.parametrize(
        ("wrong", "why"),
        [
            ({"batch": 1}, "batch: is 1; wants 2 to"),
            ({"repeats": 0}, "repeats: is 0; wants 1 to"),
            ({"bits": 33}, "bits: is 33; wants 1 to 32"),
            ({"kernel": "normal"}, "kernel: 'normal' is none of released, normalised; did you mean"),
            ({"constant": "drop"}, "constant: 'drop' is none of count, skip"),
            ({"dtype": "float16"}, "dtype: 'float16' is none of float32, float64"),
        ],
    )
    def test_wrong_evaluations_are_refused(self, wrong: dict[str, Any], why: str) -> None:
        with pytest.raises(ConfigError, match=f"fitness: {why}"):
            Evaluation(**wrong)
        with pytest.raises(ConfigError, match="seed: must not be negative"):
            scorers()(-1)


@pytest.mark.skipif(not DATA.exists(), reason="needs ../shared/data/cifar10_small.npz")
def test_more_convolutions_score_higher_on_cifar10() -> None:
    macro = Macro(channels=8, timesteps=4)
    data = Images.of_file(DATA, macro)
    np.testing.assert_allclose(data.mean, [0.4935, 0.4834, 0.4475], atol=1e-4)
    found = {}
    for constant in ("count", "skip"):
        scorer = ImageScorers(data, macro, Evaluation(batch=32, repeats=1, constant=constant))(0)
        forms = [form_of(name) for name in ("022200", "112000", "111111")]
        found[constant] = [scorer.score(form, form)[0] for form in forms]
        # The classifier's neurons never fire.
        assert [score.constant for score in found[constant]] == [4, 4, 4]
        values = [score.value for score in found[constant]]
        assert values == sorted(values) and not any(score.negative for score in found[constant])
    gains = [np.diff([score.value for score in found[constant]]) for constant in ("count", "skip")]
    assert np.all(gains[0] > gains[1])
