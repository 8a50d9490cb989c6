"""A balanced training set for PyTorch: tensors go in, tensors come out."""

import torch
from sklearn.datasets import load_wine
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from augsynth import KDEGenerator, OverSampler

X, y = load_wine(return_X_y=True)
keep = torch.cat([torch.arange(120), torch.arange(130, 145)])  # the third class has few rows now
X, y = torch.tensor(X, dtype=torch.float32)[keep], torch.tensor(y)[keep]

sampler = OverSampler(KDEGenerator(), random_state=0)
X_more, y_more = sampler.fit_resample(X, y)
print("rows before:", torch.bincount(y).tolist(), " after:", torch.bincount(y_more).tolist())
print("still", X_more.dtype)

mean, scale = X_more.mean(0), X_more.std(0)
loader = DataLoader(
    TensorDataset((X_more - mean) / scale, y_more),
    batch_size=32,
    shuffle=True,
    generator=torch.Generator().manual_seed(0),
)
network = nn.Sequential(nn.Linear(13, 16), nn.ReLU(), nn.Linear(16, 3))
optimiser = torch.optim.Adam(network.parameters(), lr=0.01)
for _epoch in range(20):
    for rows, labels in loader:
        optimiser.zero_grad()
        loss = nn.functional.cross_entropy(network(rows), labels)
        loss.backward()
        optimiser.step()
print(f"training loss after 20 epochs: {loss.item():.3f}")
