"""What the trainer costs over a loop written by hand, with the same loader and model.

    python benchmarks/bench_trainer.py [--repeats 11]

Both sides train the same weights on the same batches; their final weights are compared before a
figure is printed. The sides alternate, and the ratio is taken pair by pair.
"""

import argparse
import copy
import platform
import statistics
import time

import torch
import torch.nn.functional as F

import cnnzoo


def by_hand(model, train, epochs, batch_size):
    """Train as the tutorial does, counting loss and hits."""
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9, fused=True)
    loader = train.batches(batch_size, shuffle=True, seed=0)
    model.train()
    for epoch in range(epochs):
        loss_sum, hits = 0.0, 0
        for images, labels in loader.epoch(epoch):
            optimizer.zero_grad()
            logits = model(images)
            loss = F.cross_entropy(logits, labels)
            loss.backward()
            optimizer.step()
            loss_sum += loss.item() * len(labels)
            hits += (logits.argmax(1) == labels).sum().item()


def by_trainer(model, train, epochs, batch_size):
    """Train the same with cnnzoo."""
    trainer = cnnzoo.Trainer(model, epochs=epochs, batch_size=batch_size, progress=False)
    trainer.fit(train)


def timed(function, model, *args):
    """Return seconds and the trained copy of ``model``."""
    model = copy.deepcopy(model)
    start = time.perf_counter()
    function(model, *args)
    return time.perf_counter() - start, model


def main():
    """Compare, and print median and spread of the ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=11)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--batch-size", type=int, default=64)
    options = parser.parse_args()
    train, _ = cnnzoo.load_data("digits")
    print(
        f"{platform.processor() or platform.machine()}, {torch.get_num_threads()} threads, torch "
        f"{torch.__version__}; {options.repeats} pairs of {options.epochs} epochs of digits"
    )
    for name in cnnzoo.list_models(["single_layer_cnn", "mnist_cnn"]):
        torch.manual_seed(0)
        model = cnnzoo.build(name)
        args = (model, train, options.epochs, options.batch_size)
        timed(by_hand, *args), timed(by_trainer, *args)  # warm-up
        pairs = []
        for _ in range(options.repeats):
            (hand, one), (trainer, other) = timed(by_hand, *args), timed(by_trainer, *args)
            for p, q in zip(one.parameters(), other.parameters(), strict=True):
                assert torch.equal(p, q), "the two sides must compute the same"
            pairs.append((hand, trainer))
        ratios = sorted(trainer / hand for hand, trainer in pairs)
        quartiles = statistics.quantiles(ratios, n=4)
        print(
            f"{name}: trainer / by hand = {statistics.median(ratios):.3f} "
            f"(quartiles {quartiles[0]:.3f} to {quartiles[2]:.3f}); "
            f"{statistics.median(h for h, _ in pairs):.3f} s by hand"
        )


if __name__ == "__main__":
    main()
