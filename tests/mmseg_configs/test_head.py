"""The linear head against its formula."""

from __future__ import annotations

import numpy as np
import torch

from mmseg_configs.head import LinearHead


def test_logits_are_an_affine_map_of_standardised_channels() -> None:
    torch.manual_seed(0)
    head = LinearHead(8, num_classes=5, dropout_ratio=0.0).eval()
    fmap = torch.randn(2, 8, 3, 4)
    head.norm.running_mean.normal_()
    head.norm.running_var.uniform_(0.5, 2.0)
    head.norm.weight.data.normal_()
    logits = head([torch.zeros(1), fmap])  # the last map is read

    norm = {name: value.double().numpy()[:, None, None] for name, value in head.norm.state_dict().items() if value.ndim}
    x = (fmap.double().numpy() - norm["running_mean"]) / np.sqrt(norm["running_var"] + 1e-5)
    x = x * norm["weight"] + norm["bias"]
    weight, bias = head.conv_seg.weight.detach().numpy()[..., 0, 0], head.conv_seg.bias.detach().numpy()
    expected = np.einsum("kc,bchw->bkhw", weight, x) + bias[:, None, None]
    np.testing.assert_allclose(logits.detach().numpy(), expected, rtol=1e-5, atol=1e-6)


def test_it_starts_as_radio_does() -> None:
    torch.manual_seed(0)
    head = LinearHead(512, num_classes=150)
    head.init_weights()
    assert abs(float(head.conv_seg.weight.detach().std()) - 0.01) < 2e-4
    assert not head.conv_seg.bias.detach().any()
