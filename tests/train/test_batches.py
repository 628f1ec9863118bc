"""Batches: every sample once, whoever shares the work; the same order from anywhere."""

import collections
import itertools
import random

import numpy as np
import pytest
import torch
from torch.utils.data import (
    DataLoader,
    Dataset,
    DistributedSampler,
    RandomSampler,
    TensorDataset,
    WeightedRandomSampler,
)

import cnnzoo
from cnnzoo.train.batches import as_batches, hold_out, parts


class Numbers(Dataset):
    """Sample i is an image full of i, with label i."""

    def __init__(self, count):
        self.count = count

    def __len__(self):
        return self.count

    def __getitem__(self, index):
        if not 0 <= index < self.count:
            raise IndexError
        return torch.full((1, 2, 2), float(index)), index


class Jittered(Numbers):
    """The same with noise from all three global generators."""

    def __getitem__(self, index):
        image, label = super().__getitem__(index)
        return image + random.random() + np.random.rand() + torch.rand(1), label


def image_set(count):
    images = torch.arange(count, dtype=torch.uint8).view(-1, 1, 1, 1).expand(-1, 1, 2, 2)
    return cnnzoo.ImageSet.from_tensors(images, torch.arange(count))


def labels_of(batches, epoch=0, start=0):
    return [labels.tolist() for _, labels in batches.epoch(epoch, start)]


def flat(lists):
    return list(itertools.chain.from_iterable(lists))


SOURCES = {
    "image set": lambda n, b: image_set(n),
    "dataset": lambda n, b: Numbers(n),
    "loader": lambda n, b: DataLoader(Numbers(n), b, shuffle=True),
    "distributed loader": lambda n, b: DataLoader(
        Numbers(n), b, sampler=DistributedSampler(Numbers(n), 2, 0)
    ),
}


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("world", [1, 2, 3, 7])
@pytest.mark.parametrize("count", [1, 2, 5, 64, 101])
def test_processes_share_every_sample_once(source, world, count):
    data = SOURCES[source](count, 8)
    ranks = [
        as_batches(data, 8, shuffle=True, seed=1, rank=rank, world=world) for rank in range(world)
    ]
    for epoch in (0, 1):
        shares = [labels_of(batches, epoch) for batches in ranks]
        taken = sorted(label for share in shares for batch in share for label in batch)
        assert taken == list(range(count))
        assert len({len(share) for share in shares}) == 1  # nobody waits for a batch that is none
        for position, of_ranks in enumerate(zip(*shares, strict=True)):
            sizes = [len(batch) for batch in of_ranks]
            assert sum(sizes) == ranks[0].total(position)
            assert max(sizes) - min(sizes) <= 1


@pytest.mark.parametrize("source", SOURCES)
def test_the_batch_of_several_processes_is_the_batch_of_one(source):
    one = labels_of(as_batches(SOURCES[source](50, 16), 16, shuffle=True, seed=1))
    two = [
        labels_of(as_batches(SOURCES[source](50, 8), 8, shuffle=True, seed=1, rank=rank, world=2))
        for rank in range(2)
    ]
    for whole, even, odd in zip(one, *two, strict=True):
        assert whole[0::2] == even
        assert whole[1::2] == odd


@pytest.mark.parametrize("source", SOURCES)
def test_an_epoch_can_be_taken_up_anywhere_and_each_has_its_order(source):
    make = SOURCES[source]
    whole = labels_of(as_batches(make(50, 8), 8, shuffle=True, seed=1), 2)
    torch.manual_seed(99)  # the global generator has no say
    again = as_batches(make(50, 8), 8, shuffle=True, seed=1)
    assert labels_of(again, 2, start=3) == whole[3:]
    assert labels_of(again, 1) != whole
    assert labels_of(as_batches(make(50, 8), 8, shuffle=True, seed=2), 2) != whole


@pytest.mark.parametrize("workers", [0, 2])
def test_random_transforms_are_the_same_again(workers):
    def images(start):
        random.seed(0), np.random.seed(0), torch.manual_seed(0)
        loader = DataLoader(Jittered(20), 4, shuffle=True, num_workers=workers)
        batches = as_batches(loader, 4, shuffle=True, seed=5)
        return torch.cat([images for images, _ in batches.epoch(1, start)])

    whole = images(0)
    assert torch.equal(whole, images(0))
    assert len(set((whole % 1).flatten().tolist())) == len(whole)  # each sample its own noise
    if workers:  # without workers the checkpoint brings the generators back
        assert torch.equal(whole[8:], images(2))


def test_a_loader_keeps_what_it_was_told():
    def collate(samples):
        images, labels = zip(*samples, strict=True)
        return torch.stack(images) + 100, torch.tensor(labels)

    loader = DataLoader(Numbers(10), 4, shuffle=False, drop_last=True, collate_fn=collate)
    batches = as_batches(loader, 99, shuffle=True, seed=0)
    assert len(batches) == 2
    assert labels_of(batches) == [[0, 1, 2, 3], [4, 5, 6, 7]]
    assert next(batches.epoch(0))[0].min() == 100


def test_a_sampler_of_ones_own_keeps_its_order():
    sampler = WeightedRandomSampler([0.0] * 9 + [1.0], 30)
    batches = as_batches(DataLoader(Numbers(10), 4, sampler=sampler), 4, shuffle=True, seed=0)
    assert collections.Counter(flat(labels_of(batches))) == {9: 30}
    few = DataLoader(Numbers(10), 4, sampler=RandomSampler(Numbers(10), num_samples=3))
    assert len(flat(labels_of(as_batches(few, 4, shuffle=True, seed=0)))) == 3
    with pytest.raises(cnnzoo.CnnzooError, match="WeightedRandomSampler of its own cannot be"):
        as_batches(
            DataLoader(Numbers(10), 4, sampler=sampler), 4, shuffle=True, seed=0, rank=0, world=2
        )


@pytest.mark.parametrize("world", [1, 2, 3])
@pytest.mark.parametrize("accumulate", [1, 2, 3])
def test_weights_make_every_sample_count_the_same(world, accumulate):
    count, seen = 41, collections.defaultdict(float)
    for rank in range(world):
        batches = as_batches(Numbers(count), 4, shuffle=True, seed=0, rank=rank, world=world)
        step = 0
        for part in parts(batches, 0, 0, accumulate, world):
            for label in part.labels.tolist():
                seen[step, label] += part.weight / len(part.labels) / world
            step += part.last
    steps = collections.Counter(step for step, _ in seen)
    assert len(seen) == count
    for (step, _), weight in seen.items():
        assert weight == pytest.approx(1 / steps[step])


def test_parts_go_on_from_a_step():
    batches = as_batches(Numbers(41), 4, shuffle=True, seed=0)
    whole = [part.labels.tolist() for part in parts(batches, 0, 0, 2)]
    rest = list(parts(batches, 0, 2, 2))
    assert [part.labels.tolist() for part in rest] == whole[4:]
    assert [part.position for part in rest] == list(range(4, 11))
    assert [part.first for part in rest] == [True, False] * 3 + [True]
    assert [part.last for part in rest] == [False, True] * 3 + [True]


@pytest.mark.parametrize("data", [image_set(40), Numbers(40)], ids=["image set", "dataset"])
def test_hold_out(data):
    rest, held = hold_out(data, 0.1, seed=3)
    one, two = (
        sorted(flat(labels_of(as_batches(part, 8, shuffle=False, seed=0)))) for part in (rest, held)
    )
    assert len(two) == 4
    assert sorted(one + two) == list(range(40))
    same, other = (
        labels_of(as_batches(hold_out(data, 0.1, seed)[1], 8, shuffle=False, seed=0))
        for seed in (3, 4)
    )
    assert sorted(flat(same)) == two
    assert same != other


def test_hold_out_refuses():
    with pytest.raises(cnnzoo.CnnzooError, match="leaves 40 to train on and 0 to choose by"):
        hold_out(image_set(40), 0.01, 0)
    with pytest.raises(cnnzoo.CnnzooError, match="a DataLoader cannot be split"):
        hold_out(DataLoader(TensorDataset(torch.zeros(4, 1))), 0.5, 0)
