"""The latent atlas: reproducible, saved and read exactly, and places that can be checked by hand."""

import numpy as np
import pytest
import torch

from qpi_core.base.errors import InputError
from qpi_core.networks.atlas import (
    ATLAS_NAME,
    SHARES,
    TRAITS,
    LatentAtlas,
    build_atlas,
    decode_latents,
    embed,
    encode_kernels,
    load_atlas,
    save_atlas,
)
from qpi_core.networks.checkpoints import LoadedModels
from qpi_core.networks.kernel_vae import KernelVAE
from qpi_core.networks.latent_path import PATHS, latent_between
from qpi_core.synthesis.kernel_families.equation_7 import phenomenological_kernel

SMALL = {"block_out_channels": (8, 8, 16, 16), "layers_per_block": 1, "norm_num_groups": 4}


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    torch.manual_seed(0)
    vae = KernelVAE(**SMALL)
    vae.store_latent_statistics(torch.rand(8, 1, 64, 64))
    return LoadedModels("small", tmp_path_factory.mktemp("small"), "abc", vae.eval(), None, None, "cpu")


@pytest.fixture(scope="module")
def built(models):
    return build_atlas(models, 100, seed=5)


def hand_made() -> LatentAtlas:
    latents = np.zeros((3, 4, 8, 8), dtype=np.float32)
    latents[1, 0, 0, 0], latents[2, 0, 0, 0] = 3.0, 10.0
    embedding = np.array([[0, 0], [1, 0], [0, 5]], dtype=np.float32)
    return LatentAtlas(latents, embedding, np.array(["spline"] * 3), np.arange(3), np.ones((3, len(TRAITS))), "abc", 0)


@pytest.mark.slow
def test_the_seeds_give_the_kernels_that_were_encoded(built, models):
    some = [int(np.flatnonzero(built.families == name)[0]) for name in np.unique(built.families)]
    kernels = np.stack([built.kernel(index).on_window() for index in some])
    np.testing.assert_allclose(encode_kernels(models, kernels), built.latents[some], atol=1e-4)
    for index in some:
        expected = built.kernel(index).traits()
        np.testing.assert_array_equal([built.column(name)[index] for name in TRAITS], [expected[name] for name in TRAITS])
    assert set(np.unique(built.families)) <= set(SHARES) and len(some) > 5 and sum(SHARES.values()) == pytest.approx(1)


def test_encoding_does_not_depend_on_amplitude(models):
    kernel = phenomenological_kernel()[None]
    np.testing.assert_allclose(encode_kernels(models, 1e-9 * kernel), encode_kernels(models, kernel), atol=1e-4)


@pytest.mark.slow
def test_same_seed_gives_the_same_atlas_and_another_does_not(built, models):
    again, other = build_atlas(models, 100, seed=5), build_atlas(models, 100, seed=6)
    np.testing.assert_array_equal(again.embedding, built.embedding)
    assert not np.array_equal(other.kernel_seeds, built.kernel_seeds)


def test_embedding_keeps_clusters_apart():
    rng = np.random.default_rng(0)
    latents = rng.normal(size=(120, 4, 8, 8)).astype(np.float32)
    latents[60:] += 3
    flat = embed(latents, seed=1)
    first, second = flat[:60], flat[60:]
    nearest_of_own_kind = [
        np.argmin(np.where(np.arange(120) == i, np.inf, np.hypot(*(flat - flat[i]).T))) // 60 == i // 60 for i in range(120)
    ]
    assert np.mean(nearest_of_own_kind) > 0.95, (first.mean(axis=0), second.mean(axis=0))


def test_round_trip(built, models):
    path = save_atlas(built, models.folder)
    again = load_atlas(models.folder, "abc")
    assert path.name == ATLAS_NAME
    for name in ("latents", "embedding", "families", "kernel_seeds", "traits", "model_sha256", "seed"):
        np.testing.assert_array_equal(getattr(again, name), getattr(built, name))


def test_a_latent_of_the_atlas_is_placed_on_its_point(built):
    placement = built.place(built.latents[17])
    assert placement.neighbours[0] == 17 and placement.relative_distance == 0
    np.testing.assert_allclose([placement.x, placement.y], built.embedding[17], atol=1e-3)


def test_placement_weights_by_hand():
    atlas = hand_made()
    latent = np.zeros((4, 8, 8))
    latent[0, 0, 0] = 1.0
    placement = atlas.place(latent, neighbours=2)
    # Distances 1 and 2: weights 4/5 and 1/5. Nearest neighbours of the three points: 3, 3, 7; median 3.
    np.testing.assert_array_equal(placement.neighbours, [0, 1])
    np.testing.assert_allclose(placement.weights, [0.8, 0.2])
    assert (placement.x, placement.y) == (pytest.approx(0.2), pytest.approx(0.0))
    assert placement.relative_distance == pytest.approx(1 / 3)
    assert atlas.nearest_point(0.2, 4.0) == 2


def test_decoding_is_the_decoder_of_the_model(models, built):
    decoded = decode_latents(models, built.latents[:70])
    with torch.no_grad():
        expected = models.vae.decode_kernel(torch.from_numpy(built.latents[68:69]))[0, 0].numpy()
    np.testing.assert_allclose(decoded[68], expected, atol=1e-5)
    assert decode_latents(models, built.latents[0]).shape == (1, 64, 64)


def test_damage_and_other_weights_are_told(built, models, tmp_path):
    with pytest.raises(InputError, match=ATLAS_NAME):
        load_atlas(tmp_path)
    content = save_atlas(built, models.folder).read_bytes()
    for damaged in (b"", b"no archive", content[: len(content) // 2], content[:-30]):
        (tmp_path / ATLAS_NAME).write_bytes(damaged)
        with pytest.raises(InputError, match="damaged"):
            load_atlas(tmp_path)
    np.savez(
        tmp_path / ATLAS_NAME,
        latents=np.zeros(3),
        embedding=np.zeros(3),
        families=np.zeros(3),
        kernel_seeds=np.zeros(3),
        traits=np.zeros(3),
        model_sha256="abc",
        seed=1,
    )
    with pytest.raises(InputError, match="damaged"):
        load_atlas(tmp_path)
    np.savez(tmp_path / ATLAS_NAME, latents=np.array([object()]))
    with pytest.raises(InputError, match="damaged"):
        load_atlas(tmp_path)
    with pytest.raises(InputError, match="other weights"):
        load_atlas(models.folder, "def")


@pytest.mark.parametrize("latent", [np.zeros(256), np.full((4, 8, 8), np.nan)])
def test_bad_latents_are_told(latent):
    with pytest.raises(InputError, match="latent"):
        hand_made().place(latent)


def test_the_straight_line_and_the_great_circle():
    a, b = np.zeros((4, 8, 8)), np.zeros((4, 8, 8))
    a[0, 0, 0], b[1, 2, 3] = 1.0, 3.0
    half, turned = latent_between(a, b, 0.5), latent_between(a, b, 0.5, "slerp")
    assert (half[0, 0, 0], half[1, 2, 3]) == (0.5, 1.5)
    # Halfway in direction (45 degrees) and in length (2).
    np.testing.assert_allclose([turned[0, 0, 0], turned[1, 2, 3]], [np.sqrt(2), np.sqrt(2)], rtol=1e-6)
    third = latent_between(a, b, 1 / 3, "slerp")
    assert np.arctan2(third[1, 2, 3], third[0, 0, 0]) == pytest.approx(np.pi / 6) and np.linalg.norm(third) == pytest.approx(5 / 3)
    for path in PATHS:
        np.testing.assert_allclose(latent_between(a, b, 0.0, path), a, atol=1e-6)
        np.testing.assert_allclose(latent_between(a, b, 1.0, path), b, atol=1e-6)
        for other in (-a, 2 * a, 0 * a):
            np.testing.assert_allclose(latent_between(a, other, 0.25, path), 0.75 * a + 0.25 * other, atol=1e-6)


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        ((np.zeros(3), np.zeros(4), 0.5), "first"),
        ((np.full(3, np.nan), np.zeros(3), 0.5), "first"),
        ((np.zeros(3), np.zeros(3), 1.1), "fraction"),
    ],
)
def test_a_bad_path_is_told(arguments, name):
    with pytest.raises(InputError, match=name):
        latent_between(*arguments)
    with pytest.raises(InputError, match="path"):
        latent_between(np.zeros(3), np.ones(3), 0.5, "detour")


def test_bad_requests_are_told(models):
    with pytest.raises(InputError, match="count"):
        build_atlas(models, 3)
    with pytest.raises(InputError, match="wave_vector"):
        hand_made().column("colour")
    with pytest.raises(InputError, match="shape"):
        decode_latents(models, np.zeros((4, 4)))
