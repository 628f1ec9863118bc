"""What is special about this package; what every plugin promises is checked by cnnzoo's checks."""

import torch

import cnnzoo


def test_shapes_are_what_their_labels_say():
    train, test = cnnzoo.load_data("exampleplugin:shapes")
    assert (len(train), len(test)) == (900, 300)
    ink = [(train.images[train.labels == label] > 127).float().mean() for label in range(3)]
    circle, square, triangle = ink  # πr², 2r², (3√3/4)r²
    assert circle > square > triangle > 0


def test_another_seed_draws_other_shapes():
    first, second = (cnnzoo.load_data("exampleplugin:shapes", seed=seed).train for seed in (0, 1))
    assert first.fingerprint() != second.fingerprint()


def test_the_network_learns_them(tmp_path):
    torch.manual_seed(0)
    train, test = cnnzoo.load_data("exampleplugin:shapes")
    model = cnnzoo.build("exampleplugin:shape_cnn")
    trainer = cnnzoo.Trainer(
        model, epochs=4, batch_size=16, lr=0.01, optimizer="adam", progress=False
    )
    assert trainer.fit(train, test)[-1].test_accuracy > 0.8
