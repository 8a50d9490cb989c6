"""A training Dataset that grows: four edited copies of every picture, new ones in every epoch.

Three lines: import, wrap, use. What item i is depends on the seed, the epoch and i, and on
nothing else: not on the number of workers, the order, or where a run resumes.
"""

import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, Subset, TensorDataset

from augsynth import PerturbedDataset
from augsynth.perturb.image_policies import image_medium

digits = load_digits()
pictures = torch.tensor(digits.images / 16, dtype=torch.float32)[:, None]
whole = TensorDataset(pictures, torch.tensor(digits.target))
order = torch.randperm(len(whole), generator=torch.Generator().manual_seed(0)).tolist()
base, test = Subset(whole, order[:200]), Subset(whole, order[200:])  # twenty pictures a digit

# The three lines; a name such as "weak" or "medium", or a transform of torchvision, would do as well.
train = PerturbedDataset(base, image_medium(flip=0, degrees=12), copies=4, keep_originals=True, seed=0)


def accuracy(dataset, epochs):
    """Train a small network; return its accuracy on pictures held out."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(1, 16, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(144, 10))
    optimiser = torch.optim.Adam(network.parameters(), lr=0.005)
    loader = DataLoader(dataset, 50, shuffle=True, generator=torch.Generator().manual_seed(0))
    for _ in range(epochs):
        for images, labels in loader:
            optimiser.zero_grad()
            nn.functional.cross_entropy(network(images), labels).backward()
            optimiser.step()
    images, labels = next(iter(DataLoader(test, len(test))))
    return float((network(images).argmax(1) == labels).float().mean())


if __name__ == "__main__":  # worker processes may read this file again
    print("pictures before and after:", len(base), len(train))
    print("each digit:", torch.bincount(torch.tensor(train.labels)).tolist())

    # The same items with and without workers, in an epoch that is pinned.
    train.set_epoch(3)
    one = torch.cat([images for images, _ in DataLoader(train, 64)])
    two = torch.cat([images for images, _ in DataLoader(train, 64, num_workers=2)])
    print("two workers give the same pictures:", bool(torch.equal(one, two)))
    train.set_epoch(4)
    other = torch.cat([images for images, _ in DataLoader(train, 64)])
    same = (one == other).flatten(1).all(1)
    print("in the next epoch all copies are new:", not bool(same[200:].any()))
    print("the originals stay:", bool(same[:200].all()))

    told = train.describe(650, epoch=3)
    print("item 650 is copy", told["copy"], "of record", told["record"], "edited by", list(told))

    # As many steps with either: 10 epochs of 1,000 pictures, or 50 of 200. One run: an illustration.
    train.set_epoch(None)
    print(f"accuracy with the 200 pictures: {accuracy(base, 50):.3f}, with copies: {accuracy(train, 10):.3f}")
