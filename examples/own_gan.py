"""A criterion, a generator and images of your own, against a strategy that is there: ``python examples/own_gan.py``."""

import numpy as np
import torch
from torch import nn

import ganprune
from strategies.allocation import global_mean
from strategies.builtin import strategy
from strategies.criteria.registry import criterion
from strategies.granularity.channel import channel


@criterion("spread", source="this example", formula="(w - mean w)^2")
def spread(context):
    return {name: (weight - weight.mean()) ** 2 for name, weight in context.weights()}


strategy("spread-channel-global", spread, channel, global_mean)


def generator():
    first = [nn.ConvTranspose2d(8, 24, 4), nn.ReLU(), nn.ConvTranspose2d(24, 16, 4, 2, 1), nn.ReLU()]
    return nn.Sequential(*first, nn.ConvTranspose2d(16, 3, 4, 2, 1), nn.Tanh())


if __name__ == "__main__":  # worker processes import this file as well
    z, net = torch.randn(400, 8, 1, 1), generator()
    labels = (z[:, 0, 0, 0] > 0).long()  # 0: the left half is white, 1: the right half
    bars = torch.eye(2).repeat_interleave(8, 1)[labels, None, None].expand(-1, 3, 16, 16)
    np.savez("bars.npz", (204 * bars + 51 * torch.rand(bars.shape)).byte().permute(0, 2, 3, 1), labels)
    optimizer = torch.optim.Adam(net.parameters(), 0.01)
    for _ in range(60):  # any way of training
        net.zero_grad()
        (net(z) + 1 - 2 * bars).square().mean().backward()
        optimizer.step()
    torch.save(net.state_dict(), "generator.pth")
    said = {"checkpoint": "generator.pth", "reference": "bars.npz", "extractor": "auto:classifier"}
    bars = ganprune.workload("bars", generator, inputs=[{"kind": "normal", "shape": [8, 1, 1]}], **said)
    ganprune.run("quick", ["name=own", 'strategies=["l1-channel-global", "spread-channel-global"]'], workloads=[bars])
