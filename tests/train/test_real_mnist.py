"""The tutorial's recipe on the tutorial's data, where that is at hand."""

import torch

import cnnzoo


def test_two_epochs_of_the_default_recipe_reach_98_percent(real_data):
    train, test = cnnzoo.load_data("mnist", root=real_data)
    torch.manual_seed(0)
    model = cnnzoo.build("mnist_cnn")
    history = cnnzoo.Trainer(model, epochs=2, seed=0, progress=False).fit(train, test)
    assert history[-1].test_accuracy >= 0.98
