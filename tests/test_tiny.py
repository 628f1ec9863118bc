"""The whole library in five seconds: data → model → trainer → files → prediction.

Run it first after any change: ``pytest tests/test_tiny.py``.
"""

import torch

import cnnzoo


def test_the_whole_path(tmp_path):
    torch.manual_seed(0)
    train, test = cnnzoo.load_data("digits")
    assert train.images.dtype == torch.uint8

    model = cnnzoo.build("single_layer_cnn", num_classes=len(train.classes))
    trainer = cnnzoo.Trainer(model, epochs=2, out=tmp_path / "run", progress=False)
    history = trainer.fit(train, test)
    assert history[-1].test_accuracy > 0.85
    assert history[-1].train_loss < history[0].train_loss

    found = trainer.evaluate(test)
    assert found.accuracy == history[-1].test_accuracy
    assert found.confusion.sum() == len(test)

    answers = [cnnzoo.predict(tmp_path / "run", image) for image in test.images[:20]]
    right = sum(a.index == label for a, label in zip(answers, test.labels[:20], strict=True))
    assert right >= 15
    assert all(abs(sum(a.probabilities.values()) - 1) < 1e-6 for a in answers)

    again = cnnzoo.build(model.spec)
    again.load_state_dict(cnnzoo.load_model(tmp_path / "run").model.state_dict())
    images, _ = next(iter(test.batches(8)))
    assert torch.equal(again.eval()(images), model.eval()(images))
    assert "mnist_cnn" in cnnzoo.list_models()
